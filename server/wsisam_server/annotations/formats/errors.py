"""Errors of the formats room."""


class FormatError(Exception):
    """A text is not what it should be; the message says where and what."""


class FrameError(FormatError):
    """A file counts from the corner of the whole scanned frame, and nobody said where the slide begins in it."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"{program} counts from the corner of the whole scanned frame, and it is not known where the slide's own "
            "image begins in it"
        )


class UnreadableError(ValueError):
    """A value is not what it should be; the message says what. It costs only itself."""


class LeftOutError(ValueError):
    """One annotation cannot be taken.

    Args:
        what: what such annotations are, in the plural, to be counted.
        why: what is wrong with this one; nothing if `what` says it all.
    """

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(why or what)
        self.what = what
        self.why = why
