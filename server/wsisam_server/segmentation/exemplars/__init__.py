"""Exemplars room: where else in a region something looks like the objects that an annotator showed.

In: the exemplars, and what an encoder made of windows (an array of numbers for each of 64 x 64 positions). Out: the
scale to work at and its windows; then the places that look alike, and how sure that is. Every number is taken relative
to the exemplars and their surroundings, so that other weights need no other constants. It must never know what a model
is.
"""

from wsisam_server.segmentation.exemplars.appearance import Appearance, Basis, Shown, described
from wsisam_server.segmentation.exemplars.checking import ShownObject, checked_exemplars, usual_size
from wsisam_server.segmentation.exemplars.confidence import Confidence, least_probability
from wsisam_server.segmentation.exemplars.lattice import lattice, scales, window_over
from wsisam_server.segmentation.exemplars.places import Place, places_in, spread_out
from wsisam_server.segmentation.exemplars.tightness import best_threshold, cells_inside

__all__ = [
    "Appearance",
    "Basis",
    "Confidence",
    "Place",
    "Shown",
    "ShownObject",
    "best_threshold",
    "cells_inside",
    "checked_exemplars",
    "described",
    "lattice",
    "least_probability",
    "places_in",
    "scales",
    "spread_out",
    "usual_size",
    "window_over",
]
