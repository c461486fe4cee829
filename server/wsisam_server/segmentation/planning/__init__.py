"""Planning room: a request in, what the engine shall do out. The one place where a prompt is checked.

What flows in: a `Request`. What flows out: a `Planned`: the prompt checked against its slide and clipped to it, its
field chosen, embeddings that exist considered. It reads no pixels and runs no model, and must never know of messages,
streams or users.
"""

from wsisam_server.segmentation.planning.planned import Planned
from wsisam_server.segmentation.planning.planner import Planner

__all__ = ["Planned", "Planner"]
