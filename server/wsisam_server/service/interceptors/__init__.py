"""Interceptors room: what happens around every call: admission, request id, log line, errors to statuses.

In: calls with their tokens, and what they raise. Out: calls with a request id and a user, and statuses of the
catalogue. It must never know what a call does.
"""

from wsisam_server.service.interceptors.access import Access, ReadinessGate
from wsisam_server.service.interceptors.boundary import BoundaryInterceptor, CallListener
from wsisam_server.service.interceptors.log_records import TEXT, JsonLines, LogContext
from wsisam_server.service.interceptors.method_permissions import METHOD_PERMISSIONS
from wsisam_server.service.interceptors.request_id import current_request_id
from wsisam_server.service.interceptors.status import normalized

__all__ = [
    "METHOD_PERMISSIONS",
    "TEXT",
    "Access",
    "BoundaryInterceptor",
    "CallListener",
    "JsonLines",
    "LogContext",
    "ReadinessGate",
    "current_request_id",
    "normalized",
]
