"""Interceptors room: what happens around every call: let in or not, request id, log line, errors to statuses.

What flows in: calls with their tokens, and whatever they raise. What flows out: calls with a request id and a user, and
statuses of the catalogue. It must never know what a call does.
"""

from wsisam_server.service.interceptors.access import Access
from wsisam_server.service.interceptors.boundary import BoundaryInterceptor
from wsisam_server.service.interceptors.gate import Gate
from wsisam_server.service.interceptors.log_context import LogContext
from wsisam_server.service.interceptors.log_lines import TEXT, JsonLines
from wsisam_server.service.interceptors.observer import CallObserver
from wsisam_server.service.interceptors.request_id import current_request_id
from wsisam_server.service.interceptors.rights import RIGHTS
from wsisam_server.service.interceptors.status import normalized

__all__ = [
    "RIGHTS",
    "TEXT",
    "Access",
    "BoundaryInterceptor",
    "CallObserver",
    "Gate",
    "JsonLines",
    "LogContext",
    "current_request_id",
    "normalized",
]
