"""Embeddings room: keeps what the model computed from pixels alone, in memory and, if wanted, on a disk.

In: a key (slide, weights, window, role) and a way to compute its value, or a value's bytes. Out:
the value, computed once however many ask for it at the same time, or the very bytes that were written. It must never
know how an embedding is made or what is in it: it asks a value only for its size.
"""

from wsisam_server.inference.embeddings.cache import EmbeddingCache
from wsisam_server.inference.embeddings.store import EmbeddingStore, EntryKey
from wsisam_server.inference.embeddings.write_behind import WriteBehindQueue

__all__ = ["EmbeddingCache", "EmbeddingStore", "EntryKey", "WriteBehindQueue"]
