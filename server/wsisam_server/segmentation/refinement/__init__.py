"""Refinement: a coarse answer in; the finer windows along its border, what to ask there, and one mosaic out.

In: logits over a field, the slide's size, how fine and how much it may cost; then the logits of the finer
windows. Out: windows, prompts, and logits in which coarse and fine are merged without seams. It is pure: it
must never know a model, pixels, messages, or who waits.
"""

from wsisam_server.segmentation.refinement.mosaic import Mosaic, build_mosaic
from wsisam_server.segmentation.refinement.prompting import refinement_prompt
from wsisam_server.segmentation.refinement.windows import BorderWindows, border_windows

__all__ = ["BorderWindows", "Mosaic", "border_windows", "build_mosaic", "refinement_prompt"]
