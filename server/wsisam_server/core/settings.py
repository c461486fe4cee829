"""The server's settings: limits, places and devices. Immutable; every room gets what it needs from here.

What flows in: values from the command line. What flows out: one frozen `Settings`. It must never open, read or
start anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator, ByteSize, ConfigDict, Field, TypeAdapter

MIB = 1024 * 1024


def _nbytes(value: Any) -> int:
    """A number of bytes, or a text such as "8GiB"."""
    return int(TypeAdapter(ByteSize).validate_python(value))


Bytes: TypeAlias = Annotated[int, BeforeValidator(_nbytes), Field(gt=0)]
Count: TypeAlias = Annotated[int, Field(gt=0)]
Seconds: TypeAlias = Annotated[float, Field(gt=0)]


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
    """Upper bounds that keep one request, or one user, from hurting the others. In a file, bytes may have a unit."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    message_bytes: Annotated[Bytes, Field(description="Of one message from or to a client.")] = 16 * MIB
    embedding_cache_bytes: Annotated[
        Bytes, Field(description="Of all embeddings that are kept for the next prompt.")
    ] = 1024 * MIB
    embedding_store_bytes: Annotated[
        Bytes, Field(description="Of the embeddings on the disk, if there is a folder for them.")
    ] = 64 * 1024 * MIB
    model_bytes: Annotated[Bytes, Field(description="Of the weights of the loaded models together.")] = 8192 * MIB
    model_room_seconds: Annotated[
        Seconds, Field(description="That a model waits to be loaded while others in use take that memory.")
    ] = 30.0
    pushed_pixels_bytes: Annotated[
        Bytes, Field(description="Of the pixels that clients sent for one slide in pixel mode.")
    ] = 64 * MIB
    pushed_slides: Annotated[
        Count, Field(description="Slides in pixel mode that are open at once; the one not used for longest goes.")
    ] = 64
    pushed_slides_per_user: Annotated[
        Count, Field(description="Of them those of one user, whose own oldest goes then.")
    ] = 16
    open_slides: Annotated[
        Count, Field(description="Slide files that are open at once; the one not used for longest goes.")
    ] = 64
    open_slide_bytes: Annotated[
        Bytes, Field(description="Of decoded plain images; the newest may alone be over it.")
    ] = 4096 * MIB
    points_per_prompt: Annotated[Count, Field(description="Points of one prompt.")] = 64
    prompts_per_batch: Annotated[Count, Field(description="Prompts of one SegmentBatch.")] = 100_000
    refinement_windows: Annotated[Count, Field(description="Finer windows along the border of one outline.")] = 256
    windows_per_region: Annotated[
        Count, Field(description="Windows of one SegmentEverything; each takes seconds on a CPU.")
    ] = 10_000
    queued_prompts_per_stream: Annotated[
        Count, Field(description="Prompts of one Interact stream that wait for their answers.")
    ] = 256
    queued_prompts_per_user: Annotated[
        Count, Field(description="Prompts of one user that wait for their answers, all but those of batches.")
    ] = 1024
    streams_per_user: Annotated[
        Count, Field(description="Streams that one user has open: Interact, SegmentBatch, Watch.")
    ] = 64
    messages_per_second_per_user: Annotated[
        Count, Field(description="Calls and messages in streams of one user, in the long run.")
    ] = 200
    message_burst_per_user: Annotated[
        Count, Field(description="Of them those that may come at once after a silence.")
    ] = 2000
    prefetched_fields: Annotated[
        int,
        Field(
            ge=0, description="Encoded ahead for clicks in what an annotator sees, when nothing else waits; 0: none."
        ),
    ] = 4
    unsent_events_per_stream: Annotated[
        Count, Field(description="Answers that wait for a client that does not read; it is not read then, either.")
    ] = 256
    objects_per_session: Annotated[Count, Field(description="Objects of one Interact stream.")] = 10_000
    id_length: Annotated[Count, Field(description="Characters of a client's id.")] = 128
    plain_image_pixels: Annotated[
        Count, Field(description="Pixels of an image without a pyramid; 4 bytes each while it is open.")
    ] = 400_000_000
    file_system_seconds: Annotated[
        Seconds,
        Field(description="That a drive may take to answer; then its slides are SLIDE_UNAVAILABLE until it does."),
    ] = 5.0
    read_pixels: Annotated[
        Count, Field(description="Stored pixels that are read for one window; a view that takes more is too coarse.")
    ] = 2**28
    annotations_per_request: Annotated[Count, Field(description="Annotations in one change.")] = 10_000
    vertices_per_annotation: Annotated[
        Count, Field(description="Vertices of one annotation; so many take 8 MB and fit into a message.")
    ] = 500_000
    annotation_text: Annotated[
        Count, Field(description="Characters of all texts and measurement names of one annotation together.")
    ] = 65_536
    waiting_writes: Annotated[
        Count, Field(description="Changes that wait for the store; more are refused with STORE_BUSY.")
    ] = 256
    drain_seconds: Annotated[
        Seconds,
        Field(description="That accepted work may take once the server is told to stop; then it is handed back."),
    ] = 10.0
    heartbeat_seconds: Annotated[
        Seconds, Field(description="Between two messages of a Watch stream on which nothing happens.")
    ] = 15.0
    watch_stall_seconds: Annotated[Seconds, Field(description="That a Watch client may take to read one message.")] = (
        60.0
    )


@dataclass(frozen=True, slots=True)
class Ray:
    """Where and how models run with `--engine ray`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    address: Annotated[
        str | None,
        Field(
            description="Of the Ray cluster: auto (the one that this machine is in) or HOST:6379. Not set: Ray is "
            "started on this machine, and ends with the server."
        ),
    ] = None
    name: Annotated[
        str, Field(min_length=1, description="Of the application on the cluster; another for each server that uses it.")
    ] = "wsisam"
    replicas: Annotated[Count, Field(description="Replicas of the model that always run, one a device.")] = 1
    max_replicas: Annotated[
        Count | None, Field(description="Most that run when there is much to do. Not set: as many as `replicas`.")
    ] = None
    ongoing_per_replica: Annotated[
        float, Field(gt=0, description="Prompts and encodings at a replica that Ray aims at when it adds some.")
    ] = 2.0
    upscale_seconds: Annotated[Seconds, Field(description="That there must be more to do before one is added.")] = 10.0
    downscale_seconds: Annotated[
        Seconds, Field(description="That there must be less to do before one is taken away, with what it has cached.")
    ] = 600.0
    cpus: Annotated[float, Field(gt=0, description="CPU cores that a replica takes of its node.")] = 1.0
    gpus: Annotated[float, Field(ge=0, description="GPUs that a replica takes; 0.5 lets two share one.")] = 0.0
    calls_per_replica: Annotated[
        int,
        Field(
            ge=2,
            description="Prompts and encodings that are at a replica at once, half of them of batches at most; "
            "others wait here, in order.",
        ),
    ] = 4
    decode_batch: Annotated[
        Count, Field(description="Prompts in one field that a replica answers in one step, where several wait.")
    ] = 1
    answer_seconds: Annotated[
        Seconds, Field(description="That a replica may take for one prompt or encoding before it counts as lost.")
    ] = 120.0
    start_seconds: Annotated[Seconds, Field(description="That the replicas may take until all of them run.")] = 300.0
    health_seconds: Annotated[Seconds, Field(description="Between two looks of Ray at a replica's health.")] = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files for encryption."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    certificate: Annotated[
        Path, Field(description="The server's certificate (PEM), with those between it and its authority.")
    ]
    key: Annotated[Path, Field(description="Its private key (PEM, without a password).")]
    client_ca: Annotated[
        Path | None, Field(description="Let in only clients with a certificate that this authority (PEM) signed.")
    ] = None


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
    embedding_store: Path | None = None  # a folder; None: embeddings are kept in memory only
    threads: int | None = None  # CPU threads of a model's step; None: all cores
    store: str | None = None  # a SQLite file, or a URL; None: annotations are not stored
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None  # numbers for Prometheus; None: nowhere
    limits: Limits = field(default_factory=Limits)
