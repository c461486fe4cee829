"""Encoders room: how the image encoder is run on this machine's CPU, by torch or compiled by OpenVINO.

In: a loaded model. Out: the same model, with a runner that changes over to the compiled encoder once that is known to
be faster here and to agree with torch. Converting, compiling and trying go on in a process of their own. This room must
never know of prompts, slides or messages, and importing it imports neither torch nor OpenVINO.
"""

from wsisam_server.inference.encoders.choice import EncoderChoice
from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.finding import Finding, Processor
from wsisam_server.inference.encoders.folder import EncoderFolder
from wsisam_server.inference.encoders.library import installed_version

__all__ = ["EncoderChoice", "EncoderError", "EncoderFolder", "Finding", "Processor", "installed_version"]
