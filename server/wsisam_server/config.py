"""The server's settings: limits, places and devices. Immutable; every room gets what it needs from here.

What flows in: values from the command line. What flows out: one frozen `Settings`. It must never open, read or
start anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PathMapping:
    r"""How a path as the client sees it becomes a path as the server sees it.

    Attributes:
        client_prefix: what the client's path or URI starts with, for example `Z:\slides` or `/mnt/share`.
        server_prefix: what takes its place on the server.
    """

    client_prefix: str
    server_prefix: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds that keep one request, or one user, from hurting the others. Bytes unless said otherwise."""

    message_bytes: int = 16 * MIB
    embedding_cache_bytes: int = 1024 * MIB
    model_bytes: int = 8192 * MIB  # weights of the loaded models together
    model_room_seconds: float = 30.0  # that a model waits to be loaded while others in use take that memory
    pushed_pixels_bytes: int = 64 * MIB  # for one slide in pixel mode
    pushed_slides: int = 64
    open_slides: int = 64
    open_slide_bytes: int = 4096 * MIB  # decoded plain images; the newest may alone be over it
    points_per_prompt: int = 64
    prompts_per_batch: int = 100_000
    queued_prompts_per_stream: int = 256
    unsent_events_per_stream: int = 256
    objects_per_session: int = 10_000
    id_length: int = 128
    plain_image_pixels: int = 400_000_000  # 4 bytes each while it is open
    annotations_per_request: int = 10_000
    vertices_per_annotation: int = 500_000  # 8 MB as numbers: one annotation always fits into a message
    annotation_text: int = 65_536  # characters of all texts and measurement names of one annotation together
    waiting_writes: int = 256
    heartbeat_seconds: float = 15.0  # of a Watch stream on which nothing happens
    watch_stall_seconds: float = 60.0  # that a Watch client may take to read one message


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files for encryption.

    Attributes:
        certificate: the server's, with what is between it and the certificate authority.
        key: its private key.
        client_ca: clients must have a certificate that this authority signed; None: they need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server listens and what it serves; the models come from whoever starts it."""

    host: str = "127.0.0.1"
    port: int = 8765
    insecure: bool = False
    tls: Tls | None = None
    tokens: Path | None = None  # the file of bearer tokens; None: no token is known
    require_tokens: bool = False  # also on loopback
    slide_roots: tuple[Path, ...] = ()
    path_mappings: tuple[PathMapping, ...] = ()
    threads: int | None = None  # CPU threads of a model's step; None: all cores
    store: str | None = None  # a SQLite file, or a URL; None: annotations are not stored
    limits: Limits = field(default_factory=Limits)
