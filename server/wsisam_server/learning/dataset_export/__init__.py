"""Dataset export: annotated slides as training data.

In: annotations of the store or of a QuPath project, and folders of slides. Out: image windows, label images, the
manifest that training and evaluation read, and a table of each label's source. It must never know messages or models.

`placing`, `splitting` and `labels` are pure. `slides` finds files. `writing` writes files atomically. `making` joins
them.
"""

from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide, AnnotationSet, ClassFilter, LabelSource
from wsisam_server.learning.dataset_export.errors import DatasetExportError
from wsisam_server.learning.dataset_export.from_project import read_project
from wsisam_server.learning.dataset_export.from_store import annotated_slide, read_store
from wsisam_server.learning.dataset_export.making import make
from wsisam_server.learning.dataset_export.options import ExportOptions
from wsisam_server.learning.dataset_export.report import ExportReport
from wsisam_server.learning.dataset_export.slides import SlideFinder

__all__ = [
    "AnnotatedSlide",
    "AnnotationSet",
    "ClassFilter",
    "DatasetExportError",
    "ExportOptions",
    "ExportReport",
    "LabelSource",
    "SlideFinder",
    "annotated_slide",
    "make",
    "read_project",
    "read_store",
]
