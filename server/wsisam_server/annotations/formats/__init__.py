"""Formats room: annotations as files of other programs, and back.

What flows in: texts and bytes of files, or annotations of the store. What flows out: drafts for the store, or texts.
Everything is in level-0 pixels, as in QuPath. It must never know of messages, nor open a file.
"""

from wsisam_server.annotations.formats.errors import FormatError, FrameError
from wsisam_server.annotations.formats.parsed import ParsedFile

__all__ = ["FormatError", "FrameError", "ParsedFile"]
