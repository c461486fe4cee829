"""The error of this room."""


class HarvestError(Exception):
    """No data set can be made; the text says why and what to do."""
