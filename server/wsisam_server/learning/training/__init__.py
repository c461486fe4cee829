"""Training room: trains additions to a frozen SAM on drawn objects, and writes them as a file that a model loads.

In: a base model, manifests of data sets, options. Out: `best/additions.safetensors`, a checkpoint
to go on from, a report. Windows are encoded once (`examples`, `cache`); then a simulated annotator asks the network for
objects, round after round (`session`, `trainer`). It must never know of messages, streams or the store. Needs the extra
`train`.
"""

from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.export import with_calibration, with_number_types
from wsisam_server.learning.training.history import Validation
from wsisam_server.learning.training.listeners import TrainingListener, with_tensorboard
from wsisam_server.learning.training.options import TrainOptions
from wsisam_server.learning.training.report import write_report
from wsisam_server.learning.training.run import Run, TrainingResult
from wsisam_server.learning.training.sources import Source

__all__ = [
    "Run",
    "Source",
    "TrainOptions",
    "TrainingError",
    "TrainingListener",
    "TrainingResult",
    "Validation",
    "with_calibration",
    "with_number_types",
    "with_tensorboard",
    "write_report",
]
