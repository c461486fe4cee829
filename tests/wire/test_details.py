"""Errors as google.rpc.Status, and back in the client."""

import re
import urllib.parse

import pytest
from google.rpc import error_details_pb2

from wsisam_server.client import FieldViolation, ServerError, status_error
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelsNeededError, PixelWindow
from wsisam_server.wire.details import status_of

ECHOED = (
    "available",
    "field",
    "method",
    "model",
    "object_id",
    "problem",
    "project",
    "request_id",
    "role",
    "session_id",
)
"""Details that may hold what a client sent."""


def test_all_that_is_known_of_an_error_arrives():
    error = WsiSamServerError(Reason.QUEUE_FULL, limit=7)
    there = status_error(status_of(error))
    assert (there.status, there.reason, there.text) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL", error.public_text)
    assert there.details == {"limit": "7"}
    assert there.retry_seconds == Reason.QUEUE_FULL.value.retry_seconds
    assert there.violations == ()
    window = PixelWindow(1, 2, 30, 40, 3, 4, 10.0)
    there = status_error(status_of(PixelsNeededError([window])))
    (sent,) = there.pixels_needed.windows
    assert (there.retry_seconds, sent.x, sent.tile_height) == (None, 1, 4)


@pytest.mark.parametrize(
    ("reason", "given", "violation"),
    [
        (
            Reason.INVALID_FIELD,
            {"field": "prompt.box", "problem": "it is flat"},
            FieldViolation("items[3].prompt.box", "it is flat"),
        ),
        (Reason.EMPTY_PROMPT, {}, FieldViolation("items[3].prompt", Reason.EMPTY_PROMPT.value.text)),
        (Reason.SUPERSEDED, {"object_id": "a"}, None),
    ],
)
def test_a_field_at_fault_is_named_from_the_requests_message_on(reason, given, violation):
    error = WsiSamServerError(reason, **given)
    there = status_error(status_of(error, "items[3]."))
    assert there.violations == (() if violation is None else (violation,))
    if "field" in given:
        assert "'items[3].prompt.box'" in there.text
        assert there.details["field"] == "items[3].prompt.box"
    # The error itself may be that of other prompts, too.
    assert error.details == given


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_no_status_is_too_large_for_a_header_whatever_it_echoes(reason):
    names = set(re.findall(r"\{(\w+)\}", reason.value.text)) | ({"field"} if reason.value.field else set())
    error = WsiSamServerError(reason, **{name: "\U0001f52c" * 500 if name in ECHOED else 2**40 for name in names})
    status = status_of(error, "items[99999].")
    in_base64, in_percents = len(status.SerializeToString()) * 4 // 3, len(urllib.parse.quote(status.message))
    assert in_base64 + in_percents < 7000  # of 8 KiB, with the other headers


def test_every_text_names_its_reason_once_whoever_sent_it():
    error = WsiSamServerError(Reason.QUEUE_FULL, limit=7)
    assert status_of(error).message == error.public_text
    assert error.public_text.endswith(" answers, then go on. [QUEUE_FULL]")
    assert "[" not in str(error)  # it begins with the reason
    of_now, of_before = status_of(error), status_of(error)
    of_before.message = of_before.message.removesuffix(" [QUEUE_FULL]")
    for status in (of_now, of_before):
        assert status_error(status).text.count("[QUEUE_FULL]") == 1
        assert str(status_error(status)).endswith("[QUEUE_FULL]")
    assert ServerError("UNAVAILABLE", "", "There is no computer of that name.", {}).text.endswith("name.")


def test_every_refusal_of_a_request_says_which_field():
    status = status_of(WsiSamServerError(Reason.TOO_MANY_POINTS, count=99, limit=64))
    bad = error_details_pb2.BadRequest()
    assert [detail.Unpack(bad) for detail in status.details] == [False, True]
    assert bad.field_violations[0].field == "prompt.points"
