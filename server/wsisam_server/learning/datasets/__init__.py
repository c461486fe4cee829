"""Datasets room: images with drawn objects, and an annotator who points at them.

In: a manifest (CSV) that names images and label images. Out: pixels, objects, and the clicks and
boxes that a person would give for an object. It must never know of a model.

Coordinates are those of an image at level 0: x to the right, y down, pixel i covering [i, i + 1).
"""

from wsisam_server.learning.datasets.annotator import crude_outline, first_click, jittered_box, next_click
from wsisam_server.learning.datasets.errors import DatasetError
from wsisam_server.learning.datasets.image_slide import ImageSlide
from wsisam_server.learning.datasets.manifest import Row, read_manifest
from wsisam_server.learning.datasets.objects import ObjectMask, crop, objects
from wsisam_server.learning.datasets.sample import Sample, load

__all__ = [
    "DatasetError",
    "ImageSlide",
    "ObjectMask",
    "Row",
    "Sample",
    "crop",
    "crude_outline",
    "first_click",
    "jittered_box",
    "load",
    "next_click",
    "objects",
    "read_manifest",
]
