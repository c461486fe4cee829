"""The error catalogue: every failure that a client can meet, with its gRPC status and a text that says what to do.

What flows in: the place where something went wrong raises one of these with structured details. What flows out: the
interceptors and the streams have it made into a google.rpc.Status (`wire.details`), of the call or of one prompt.
The public text never holds a server path or a library's message; those go into `place` and `private`, which are only
logged.
An error that is not in this catalogue reaches the client as INTERNAL and is a bug.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Code(Enum):
    """The gRPC status codes that the catalogue uses; values are google.rpc.Code numbers."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One line of the catalogue.

    Attributes:
        text: a format string over the error's details.
        retry_seconds: when the same may succeed, without anybody's doing; None where it will not.
        defaults: what the text says where the error has no such detail.
        field: the field of the request that is at fault where the details name none (`field`), as a path from the
            prompt's or the call's message; empty where no field is.
    """

    code: Code
    text: str
    retry_seconds: int | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    field: str = ""


class Reason(Enum):
    """Stable, machine-readable reasons. Names are part of the API: never renamed, only added."""

    TOKEN_MISSING = CatalogueEntry(
        Code.UNAUTHENTICATED,
        "This server answers only those whom it knows, and the call has no token. Send one as 'authorization: Bearer "
        "TOKEN'; the administrator makes it with 'wsisam token create'.",
    )
    TOKEN_INVALID = CatalogueEntry(
        Code.UNAUTHENTICATED,
        "The server does not know this token: it was revoked, or is not written as it was given. Ask the administrator "
        "for a new one ('wsisam token create').",
    )
    TOKEN_EXPIRED = CatalogueEntry(
        Code.UNAUTHENTICATED,
        "This token's time is over. Ask the administrator for a new one ('wsisam token create').",
    )
    TOKENS_UNAVAILABLE = CatalogueEntry(
        Code.UNAVAILABLE,
        "The server cannot read its tokens, so it lets nobody in. Tell the administrator, who finds the cause in the "
        "server's log.",
    )
    ROLE_NOT_ALLOWED = CatalogueEntry(
        Code.PERMISSION_DENIED,
        "Your token is that of a {role}, who may not call {method}. Ask the administrator for a token with another "
        "role ('wsisam token create --role').",
    )
    PROJECT_NOT_YOURS = CatalogueEntry(
        Code.PERMISSION_DENIED,
        "Your token does not hold for the project '{project}', so nothing can be stored in it. Ask the administrator "
        "for a token that does ('wsisam token create --project').",
    )
    SLIDE_NOT_FOUND = CatalogueEntry(
        Code.NOT_FOUND,
        "The server cannot open this slide by reference: it does not exist or is outside the configured slide roots. "
        "Ask the administrator for the roots or a path mapping, or offer pixels (OpenSlideRequest.pixels).",
    )
    SLIDE_UNREADABLE = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The slide file exists but cannot be read as an image ({problem}). {advice}.",
        defaults={
            "problem": "damaged, truncated or of an unsupported format, or replaced since it was opened",
            "advice": "Open it in another viewer to check it, or copy it to the server again; if it was replaced, call "
            "OpenSlide again",
        },
    )
    VIEW_TOO_COARSE = CatalogueEntry(
        Code.OUT_OF_RANGE,
        "The view is too far zoomed out for this slide: it asks for downsample {downsample}, and the coarsest level "
        "that the file stores is {coarsest}, of which {pixels} pixels would have to be read. Zoom in to downsample "
        "{finest} or finer, draw a smaller box, or convert the slide to a pyramid (for example OME-TIFF).",
    )
    SLIDE_UNAVAILABLE = CatalogueEntry(
        Code.UNAVAILABLE,
        "The drive that the slide lies on does not answer the server within {seconds} s. Slides on other drives work "
        "as usual. Try again in a few seconds; if it persists, tell the administrator that the drive hangs.",
        5,
    )
    SLIDE_TOO_LARGE = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The image has {pixels} pixels and no pyramid; plain images are limited to {limit}. "
        "Convert it to a tiled pyramid (for example an OME-TIFF or a generic pyramidal TIFF).",
    )
    UNKNOWN_SLIDE_ID = CatalogueEntry(
        Code.NOT_FOUND,
        "No open slide has this slide_id (the server may have restarted or closed it). Call OpenSlide again.",
    )
    UNKNOWN_MODEL = CatalogueEntry(
        Code.NOT_FOUND,
        "There is no model named '{model}' here. Choose one of: {available}. An administrator adds others, without a "
        "restart, with 'wsisam weights add'.",
    )
    MODEL_UNAVAILABLE = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The model '{model}' is known but not ready on this server. ListModels says what it needs.",
    )
    MODEL_DAMAGED = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The files of the model '{model}' are damaged, missing or changed, so it was not loaded. Choose another model "
        "and tell the administrator, who looks at it with 'wsisam weights verify' and, after an upgrade, restarts the "
        "server.",
    )
    MODEL_TOO_LARGE = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The model '{model}' takes {needed_mib} MiB of memory, and this server gives all its models {limit_mib} MiB. "
        "Choose a smaller one, or ask the administrator for a higher --model-bytes.",
    )
    MODELS_BUSY = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "There is no room for the model '{model}': the loaded ones are answering other users and take all the memory "
        "that models may have. Try again in a moment; if it persists, ask the administrator for a higher "
        "--model-bytes.",
        5,
    )
    INVALID_FIELD = CatalogueEntry(
        Code.INVALID_ARGUMENT, "The field '{field}' is not valid: {problem}.", field="message"
    )
    EMPTY_PROMPT = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The prompt is empty. Give at least one positive point, a box or a shape.",
        field="prompt",
    )
    ONLY_NEGATIVE_POINTS = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The prompt has only negative points, which say where the object is not. Add a positive point, a box or a "
        "shape.",
        field="prompt",
    )
    TOO_MANY_POINTS = CatalogueEntry(
        Code.INVALID_ARGUMENT, "The prompt has {count} points; the limit is {limit}.", field="prompt.points"
    )
    UNKNOWN_CANDIDATE = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The prompt names the candidate {candidate}, and {problem}. Choose a number of Outline.candidates "
        "(Candidate.number, 0 to {last}), or leave it unset for the chosen one.",
        field="prompt.candidate",
    )
    PROMPT_OUTSIDE_SLIDE = CatalogueEntry(
        Code.OUT_OF_RANGE,
        "The prompt lies outside the slide, which is {width} x {height} level-0 pixels. "
        "Coordinates are level-0 pixels from the top left corner.",
        field="prompt",
    )
    INVALID_REGION = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The region cannot be worked on: {problem}. Draw it as one or more closed areas, each with some width.",
        field="region",
    )
    REGION_OUTSIDE_SLIDE = CatalogueEntry(
        Code.OUT_OF_RANGE,
        "The region lies outside the slide, which is {width} x {height} level-0 pixels. "
        "Coordinates are level-0 pixels from the top left corner.",
        field="region",
    )
    REGION_TOO_LARGE = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The region takes {needed} windows or more at this size of objects, and the limit is {limit}. Choose a smaller "
        "region, do it in parts, or look for larger objects; the administrator can raise windows_per_region.",
    )
    PROMPT_OUTSIDE_FIELD = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The prompt does not fit into the field that was asked for. Ask for a larger downsample or a window that holds "
        "the whole prompt, or leave the choice to the server.",
        field="field",
    )
    PIXELS_NEEDED = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The server cannot open this slide itself and needs pixels of it (windows: {count}). "
        "Send them as tiles with the request; the status details list the windows.",
    )
    TILE_NOT_REQUESTED = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The server did not ask for this pixel tile (or already has it). Send only the windows of PixelsNeeded, once.",
        field="tile",
    )
    TILE_WRONG_SIZE = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The pixel tile is {actual}, but the window asked for is {expected}. "
        "Send exactly the window's width x height, 8-bit RGB.",
        field="tile",
    )
    TILE_UNREADABLE = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The pixel tile cannot be decoded as {encoding}. Send 8-bit RGB as raw, PNG or JPEG.",
        field="tile",
    )
    TOO_MANY_PIXELS = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The pixels pushed for this slide pass the server's limit of {limit} bytes. Try again in a moment.",
    )
    QUEUE_FULL = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED, "Too many prompts are waiting ({limit}). Wait for some answers, then go on.", 1
    )
    TOO_MANY_PROMPTS = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "{limit} of your prompts wait for answers, in all your images and programs together, and one user may have no "
        "more. Wait for some answers, then send this one again.",
        1,
    )
    TOO_MANY_STREAMS = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "You have {limit} streams open, in all your images and programs together, and one user may have no more. Close "
        "images on which you do not work, then try again; the administrator can raise the limit (streams_per_user).",
        5,
    )
    TOO_MANY_MESSAGES = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "You send more than {limit} messages a second, in all your images and programs together, and one user may not. "
        "Wait a second, then send this one again; the administrator can raise messages_per_second_per_user.",
        1,
    )
    TOO_MANY_OBJECTS = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED, "This session holds {limit} objects. Cancel finished objects or start a new session."
    )
    OUT_OF_DEVICE_MEMORY = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The model's device is out of memory. Try again in a moment; if it persists, tell the administrator.",
        5,
    )
    ENGINE_UNAVAILABLE = CatalogueEntry(
        Code.UNAVAILABLE,
        "The machine that was to compute the answer was lost, and asking once more did not help. Nothing of your work "
        "is lost: send the prompt again in a few seconds. If it persists, tell the administrator, who looks at the "
        "cluster with 'ray status'.",
        5,
    )
    SESSION_IN_USE = CatalogueEntry(
        Code.ALREADY_EXISTS, "Another stream uses the session id '{session_id}'. Choose a new, random session id."
    )
    SESSION_NOT_STARTED = CatalogueEntry(
        Code.FAILED_PRECONDITION, "The first message of Interact must be 'start'. Send it before anything else."
    )
    SESSION_ALREADY_STARTED = CatalogueEntry(
        Code.FAILED_PRECONDITION, "This stream was started already. One stream serves one open image."
    )
    STALE_REVISION = CatalogueEntry(
        Code.ABORTED,
        "Object '{object_id}' is at revision {current}; revision {given} is not newer. Number revisions upwards.",
    )
    SUPERSEDED = CatalogueEntry(Code.ABORTED, "A newer revision of object '{object_id}' took this prompt's place.")
    PROMPT_CANCELLED = CatalogueEntry(Code.CANCELLED, "The prompt was cancelled before an answer was computed.")
    ANNOTATION_NOT_FOUND = CatalogueEntry(
        Code.NOT_FOUND,
        "The store has no annotation {annotation_id} (or not that revision of it), or it belongs to others and to none "
        "of your token's projects. A new annotation is saved with revision 0, under a new id.",
    )
    INVALID_SHAPE = CatalogueEntry(
        Code.INVALID_ARGUMENT,
        "The shape of annotation {annotation_id} cannot be stored: {problem}. Repair it, for example with QuPath's "
        "'Make valid' or with 'wsisam import --repair', and save it again.",
    )
    REVISION_CONFLICT = CatalogueEntry(
        Code.ABORTED,
        "Annotation {annotation_id} is at revision {current}, and the change was made to revision {expected}. Nothing "
        "of this request was stored. Look at both versions, then save again with the current revision.",
    )
    REQUEST_ID_REUSED = CatalogueEntry(
        Code.ALREADY_EXISTS,
        "The request id '{request_id}' was used for another request. Choose a new, random one for each request; "
        "repeat one only to repeat its request.",
    )
    SYNC_BASE_UNKNOWN = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "The store does not have what this image held at its last sync: it is another store, was restored from a "
        "backup, or an annotation was moved out of your projects. Nothing is lost. Send all annotations of the image "
        "as 'changed'.",
        field="batch.unchanged",
    )
    SYNC_TOO_LARGE = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The image has more than one sync may send: {limit}. Nothing was done. Ask the administrator to raise "
        "annotations_per_sync or sync_bytes.",
    )
    REVISION_AHEAD = CatalogueEntry(
        Code.OUT_OF_RANGE,
        "The store is at revision {current} and was asked for what came after {given}: it is another store, or was "
        "restored from a backup. List everything again, from revision 0.",
    )
    WATCH_TOO_SLOW = CatalogueEntry(
        Code.ABORTED,
        "The client did not read its changes for {seconds} s, so the stream was ended. "
        "Watch again, from the revision of the last message that came.",
    )
    STORE_OFF = CatalogueEntry(
        Code.FAILED_PRECONDITION,
        "This server stores no annotations (it was started with --store none). Keep them on the client, or ask the "
        "administrator for a store.",
    )
    STORE_BUSY = CatalogueEntry(
        Code.UNAVAILABLE,
        "The annotation store is busy with other writers. Nothing was stored. Try again in a few seconds, with the "
        "same request id.",
        3,
    )
    STORE_FULL = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The annotation store has no room left: its disk is full. Nothing of this request was stored, and what was "
        "stored before is safe. Tell the administrator, then try again with the same request id.",
    )
    STORE_UNAVAILABLE = CatalogueEntry(
        Code.UNAVAILABLE,
        "The annotation store cannot be reached, read or written. Try again with the same request id; if it persists, "
        "tell the administrator, who finds the cause in the server's log.",
        5,
    )
    STORE_DAMAGED = CatalogueEntry(
        Code.DATA_LOSS,
        "The annotation store is damaged. Tell the administrator, who looks at it with 'wsisam db check' and restores "
        "the last backup.",
    )
    OUT_OF_MEMORY = CatalogueEntry(
        Code.RESOURCE_EXHAUSTED,
        "The server has no memory, threads or open files left for this request. Try again in a moment; if it persists, "
        "tell the administrator.",
        5,
    )
    STARTING = CatalogueEntry(Code.UNAVAILABLE, "The server is loading its model. Connect again in a few seconds.", 5)
    SHUTTING_DOWN = CatalogueEntry(Code.UNAVAILABLE, "The server is shutting down. Connect again in a few seconds.", 5)
    METHOD_UNKNOWN = CatalogueEntry(
        Code.UNIMPLEMENTED,
        "This server, of release {release}, does not know the call {method}: the client is of another release. Connect "
        "with a client of the server's release, or bring both to the newest.",
    )
    INTERNAL = CatalogueEntry(
        Code.INTERNAL,
        "The server met an error that it does not know. Report the request id {request_id} to the administrator.",
    )


def named(text: str, reason: str) -> str:
    """A text for people with the reason at its end, once: the word by which docs/troubleshooting.md has it."""
    tag = f"[{reason}]"
    return text if not reason or text.endswith(tag) else f"{text} {tag}"


class WsiSamServerError(Exception):
    """An error of the catalogue.

    Args:
        reason: which one.
        private: text for the log only (library messages, which may hold the path).
        path: the file or URI that it is about. For the log only, where it may be hidden.
        **details: structured details; they fill the public text and reach the client as strings.
    """

    def __init__(self, reason: Reason, *, private: str = "", path: object = "", **details: object) -> None:
        self.reason = reason
        self.private = private
        self.path = str(path)
        self.details = {key: _shown(value) for key, value in details.items()}
        super().__init__(f"{reason.name}: {self.text_with(self.details)}")

    def at(self, **where: object) -> WsiSamServerError:
        """The same error with further details, for a caller who knows what it is about."""
        self.details |= {key: _shown(value) for key, value in where.items()}
        return self

    @property
    def code(self) -> Code:
        """The gRPC status."""
        return self.reason.value.code

    @property
    def retry_seconds(self) -> int | None:
        """When the same may succeed, without anybody's doing; None where it will not."""
        return self.reason.value.retry_seconds

    @property
    def log_level(self) -> int:
        """How a log has it: ERROR where an administrator must act, WARNING where one should look, INFO for the rest."""
        if self.reason in _FOR_ADMINISTRATORS:
            return logging.ERROR
        cause = self.__cause__
        denied = isinstance(cause, PermissionError) or "Permission denied" in self.private
        return logging.WARNING if denied or self.reason is Reason.SLIDE_UNAVAILABLE else logging.INFO

    @property
    def private_text(self) -> str:
        """What the log and users of this machine may read beside the public text; may be empty."""
        return ": ".join(filter(None, (self.path, self.private)))

    @property
    def public_text(self) -> str:
        """What people read, with the reason at its end."""
        return named(self.text_with(self.details), self.reason.name)

    def text_with(self, details: Mapping[str, str]) -> str:
        """The text without the reason, with other details, such as a field's path in a larger message."""
        return self.reason.value.text.format_map(_Blank({**self.reason.value.defaults, **details}))


_FOR_ADMINISTRATORS = frozenset(
    {
        Reason.TOKENS_UNAVAILABLE,
        Reason.MODEL_DAMAGED,
        Reason.STORE_FULL,
        Reason.STORE_UNAVAILABLE,
        Reason.STORE_DAMAGED,
        Reason.OUT_OF_MEMORY,
        Reason.INTERNAL,
    }
)
"""Nothing that a caller does differently helps."""

LONGEST_DETAIL = 200
"""Characters of a detail that are shown. Details echo what clients send, and travel in headers of limited size."""

LONGEST_BYTES = 400
"""Of these characters in UTF-8. Of a field that is at fault, each detail travels four times, in headers of 8 KiB."""


def _shown(value: object) -> str:
    text = str(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST_DETAIL + 1])
    data = text.encode()
    if len(data) > LONGEST_BYTES:
        return data[: LONGEST_BYTES - 3].decode(errors="ignore") + "..."
    return text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 3]}..."


class _Blank(dict[str, str]):
    """Leaves a visible gap where a detail is missing instead of failing inside error handling."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"
