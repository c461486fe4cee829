"""Precompute room: encodes a slide's windows before anybody asks, into the embeddings' store on the disk.

In: an open slide, a model and where prompts will be: boxes, tissue, or anywhere. Out: entries of
the store, which every server that uses it then finds. It must never know of messages or sessions, nor answer a prompt.
"""

from wsisam_server.segmentation.precompute.plan import (
    Precompute,
    PrecomputePlan,
    PrecomputeResult,
    fields_of_boxes,
    fields_over,
    planned,
)

__all__ = ["Precompute", "PrecomputePlan", "PrecomputeResult", "fields_of_boxes", "fields_over", "planned"]
