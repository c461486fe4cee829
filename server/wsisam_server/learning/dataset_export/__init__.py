"""Dataset export: annotated slides as training data.

What flows in: annotations, of the store or of a QuPath project, and where slides lie. What flows out: image windows,
label images, the manifest that training and evaluation read, and beside it what each label was made of.
It must never know of messages or models.

`placing`, `splitting` and `labels` are pure; `slides` finds files; `writing` puts files in their place, whole or not at
all; `making` joins them.
"""

from wsisam_server.learning.dataset_export.drawn import Chosen, Drawn, DrawnSlide, Gathered
from wsisam_server.learning.dataset_export.errors import HarvestError
from wsisam_server.learning.dataset_export.from_project import gather_project
from wsisam_server.learning.dataset_export.from_store import as_drawn, gather
from wsisam_server.learning.dataset_export.making import make
from wsisam_server.learning.dataset_export.options import Options
from wsisam_server.learning.dataset_export.report import Report
from wsisam_server.learning.dataset_export.slides import SlideFinder

__all__ = [
    "Chosen",
    "Drawn",
    "DrawnSlide",
    "Gathered",
    "HarvestError",
    "Options",
    "Report",
    "SlideFinder",
    "as_drawn",
    "gather",
    "gather_project",
    "make",
]
