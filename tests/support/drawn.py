"""Annotations as the harvest room takes them."""

import uuid

import shapely

from wsisam_server.learning.dataset_export import LabelSource


def drawn(shape, number=None, **more):
    """An annotation; one with a number has the id of that number."""
    made = uuid.uuid4() if number is None else uuid.UUID(int=number)
    return LabelSource(made, shape, more.pop("version", "1"), **more)


def square(x, y, side, number=None, **more):
    return drawn(shapely.box(x, y, x + side, y + side), number, **more)
