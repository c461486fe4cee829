"""Geometry room: one type per coordinate frame, and the conversions between them.

In: plain numbers from the wire or the command line. Out: validated, immutable values.
It must never know what a slide file, a model or a message is.

Frames
------
slide   Level-0 pixels of a slide, x to the right, y down. Pixel i covers [i, i + 1), as in QuPath and OpenSlide.
window  Pixels of a square patch that was read from a slide for the model; same half-open convention.
model   What SAM's prompt encoder takes: pixel *indices* of the patch, that is window coordinates minus one half.
"""

from wsisam_server.core.geometry.frames import Box, FieldPair, Point, SlideSize, Viewport, Window

__all__ = ["Box", "FieldPair", "Point", "SlideSize", "Viewport", "Window"]
