"""Everything in a region that looks like exemplars.

`survey` drives it, from a `plan` that needs no pixels: `windows` shows each window once, `finding` says where to ask,
`outlining` asks there.
"""

from wsisam_server.segmentation.segmenter.like.survey import LikeSurvey

__all__ = ["LikeSurvey"]
