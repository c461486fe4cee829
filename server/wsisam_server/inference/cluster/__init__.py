"""Cluster room: the models run in Ray Serve replicas on other machines; sessions, planning and pixels stay here.

    segmenter -> ClusterModels -> ClusterEngine -> RemoteDevice -> RayReplicas ~~> Replica (ModelPool, Device, cache)

A replica is what one server is without Ray: a pool of models on one device, with its queue and its embedding cache.
This side plans, reads slides and keeps order. Out: a window's pixels, once, through Ray's object store, when
its embedding is not known to be kept; then prompts. What flows back: logits. Embeddings never travel: a hash ring over
slide and window, which is Ray Serve's own router, sends all that concerns a window to the replica that has it.

A lost replica is a smaller ring: the windows that it had are asked of another one, which says that it lacks them, is
sent their pixels, and answers. What was under way is asked once more. This room must never know messages, sessions or
polygons. Ray is imported by two modules (`deploy` and `batching`), when the engine is started and never before.
"""

from wsisam_server.inference.cluster.errors import ClusterError
from wsisam_server.inference.cluster.models import ClusterModels
from wsisam_server.inference.cluster.replica_config import ModelFactory

__all__ = ["ClusterError", "ClusterModels", "ModelFactory"]
