"""Planning room: a request in, what the engine shall do out. The one place where a prompt is checked.

In: a `Request`. Out: a `PlannedPrompt`, which is checked against its slide, clipped to it, and has a field. Embeddings
that exist are considered. It reads no pixels, runs no model, and must never know messages, streams or users.
"""

from wsisam_server.segmentation.planning.planner import PlannedPrompt, Planner

__all__ = ["PlannedPrompt", "Planner"]
