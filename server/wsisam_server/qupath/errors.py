"""What can go wrong with files for QuPath."""


class QuPathFilesError(Exception):
    """The files cannot be found, read or written; the text says what to do."""
