"""The options that say where embeddings are kept on a disk, for the commands that write them there without a server."""

from __future__ import annotations

from typing import Final

from wsisam_server.cli.options import PREFIX, SEPARATOR, settings_options

FOLDER_VARIABLE: Final = f"{PREFIX}EMBEDDING_STORE"
BYTES_VARIABLE: Final = f"{PREFIX}LIMITS{SEPARATOR}EMBEDDING_STORE_BYTES"

embedding_store_options = settings_options("embedding_store", "limits.embedding_store_bytes", envvar=True)
"""Adds --embedding-store and --embedding-store-bytes."""
