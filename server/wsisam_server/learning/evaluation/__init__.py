"""Evaluation room: how well a model outlines drawn objects, by the prompts that an annotator would give.

In: a model and the rows of a manifest. Out: an `EvaluationReport` of Dice and IoU, with intervals, for each kind of
prompt and each way of using the model. It plans fields and reads patches with the server's own code, so that it
measures what a user meets. It must never know messages, streams or the store. Needs the extra `train`.

The protocol is fixed: `protocol` says how an object is prompted, `object_sample` which objects are evaluated, and
`scores` how answers are counted.
"""

from wsisam_server.learning.evaluation.calibrating import Judged, fitted, judged, ranking_helps
from wsisam_server.learning.evaluation.evaluate import evaluate
from wsisam_server.learning.evaluation.journal import Journal, JournalError, identity_of
from wsisam_server.learning.evaluation.number_types import KINDS, Kept, compared
from wsisam_server.learning.evaluation.options import BOX, MAX_CLICKS, EvaluationOptions
from wsisam_server.learning.evaluation.pictures import WorstCases, picture
from wsisam_server.learning.evaluation.plot import plot
from wsisam_server.learning.evaluation.protocol import Case
from wsisam_server.learning.evaluation.report import Difference, EvaluationReport, MeanScores
from wsisam_server.learning.evaluation.scores import dice, iou
from wsisam_server.learning.evaluation.sheet import contact_sheet
from wsisam_server.learning.evaluation.variants import Variant, variants_of

__all__ = [
    "BOX",
    "KINDS",
    "MAX_CLICKS",
    "Case",
    "Difference",
    "EvaluationOptions",
    "EvaluationReport",
    "Journal",
    "JournalError",
    "Judged",
    "Kept",
    "MeanScores",
    "Variant",
    "WorstCases",
    "compared",
    "contact_sheet",
    "dice",
    "evaluate",
    "fitted",
    "identity_of",
    "iou",
    "judged",
    "picture",
    "plot",
    "ranking_helps",
    "variants_of",
]
