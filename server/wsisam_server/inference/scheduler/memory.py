"""How torch says that memory is full, and what it can give back."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a model's step means that the device's memory is full."""
    # On the CPU torch has no class of its own for it: a RuntimeError from the allocator.
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


def release_unused() -> None:
    """Gives back what torch keeps of the device's memory without using it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
