"""Fields room: a prompt, what the annotator sees and the slide's size in; the HR and the LR window out.

Pure arithmetic in slide coordinates. It must never read a pixel, and knows of a model only the side of its input.
"""

from wsisam_server.segmentation.fields.lattice import Lattice, shared
from wsisam_server.segmentation.fields.plan import checked, keeps, onto_slide, plan
from wsisam_server.segmentation.fields.prefetch import prefetch_fields

__all__ = [
    "Lattice",
    "checked",
    "keeps",
    "onto_slide",
    "plan",
    "prefetch_fields",
    "shared",
]
