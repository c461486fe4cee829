"""The error of this room."""


class DatasetExportError(Exception):
    """No data set can be made; the text says why and what to do."""
