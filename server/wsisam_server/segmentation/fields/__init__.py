"""Fields room: a prompt, what the annotator sees and the slide's size in; the HR and the LR window out.

Pure arithmetic in slide coordinates. It must never read a pixel, and knows of a model only the side of its input.
"""

from wsisam_server.segmentation.fields.ahead import ahead
from wsisam_server.segmentation.fields.checking import checked
from wsisam_server.segmentation.fields.lattice import Lattice, shared
from wsisam_server.segmentation.fields.plan import keeps, onto_slide, plan

__all__ = [
    "Lattice",
    "ahead",
    "checked",
    "keeps",
    "onto_slide",
    "plan",
    "shared",
]
