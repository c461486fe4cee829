"""Slides room: squares of RGB pixels out of any slide, whether the server opens the file or the client sends pixels.

In: a client's URI or a local path, and windows in slide coordinates. Out: a `SlideInfo` and
uint8 RGB patches, registered to a fraction of a pixel. It must never know what a model, a prompt or a message is.

Level-0 coordinates agree with QuPath's: they start at the bounding box that OpenSlide reports (QuPath crops to it),
and a plain image's orientation tag is ignored. Colour profiles are not applied, as in QuPath.
"""

from wsisam_server.slides.access import FileLocation, SlideAccess
from wsisam_server.slides.base import DamagedRegionError, Slide, SlideInfo
from wsisam_server.slides.decoding import decode_tile
from wsisam_server.slides.file import SlideFile
from wsisam_server.slides.fingerprint import fingerprint
from wsisam_server.slides.opening import open_slide
from wsisam_server.slides.parts import read_around_damage, read_in_parts
from wsisam_server.slides.pushed import PushedSlide
from wsisam_server.slides.registry import OpenSlides
from wsisam_server.slides.tissue import BackgroundFilter, Tissue, background_filter, find_tissue, overview

__all__ = [
    "BackgroundFilter",
    "DamagedRegionError",
    "FileLocation",
    "OpenSlides",
    "PushedSlide",
    "Slide",
    "SlideAccess",
    "SlideFile",
    "SlideInfo",
    "Tissue",
    "background_filter",
    "decode_tile",
    "find_tissue",
    "fingerprint",
    "open_slide",
    "overview",
    "read_around_damage",
    "read_in_parts",
]
