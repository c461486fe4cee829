"""Agreement room: how far two people, or a person and a model, agree about the objects of one slide.

What flows in: annotations of either. What flows out: which of them are the same objects, and measures
of that. It must never know of messages, stores or files.
"""

from wsisam_server.annotations.agreement.matching import Matching, Outlined, match, outlined
from wsisam_server.annotations.agreement.measures import ClassAgreement, Measures, measure

__all__ = ["ClassAgreement", "Matching", "Measures", "Outlined", "match", "measure", "outlined"]
