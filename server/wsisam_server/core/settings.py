"""The settings of `wsisam serve`, declared once: names, types, bounds, defaults, meanings, and which are options.

What is read from a file, the environment and the command line, what is checked, printed and explained, and the page
docs/configuration.md all follow from the fields below. In: values. Out: one frozen `Settings`;
every module gets what it needs from there. It must never open or start anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

import platformdirs
from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, TypeAdapter, ValidationError

MIB = 1024 * 1024

NONE: Final = "none"
"""The store that keeps nothing."""


@dataclass(frozen=True, slots=True)
class Option:
    """Marks a field that is an option of the command line, too.

    Attributes:
        name: such as --port; made of the field's name if empty.
        metavar: what stands for its value in the help; made of the field's type if empty.
    """

    name: str = ""
    metavar: str = ""


class NoHomeError(RuntimeError):
    """This user has no folder for data: in a container, a number without a name, and no HOME."""

    def __init__(self) -> None:
        super().__init__(
            "this user has no home folder, so there is no place for data (HOME is not set, and the system knows no "
            "home of this user's number, as often in containers). Set HOME or XDG_DATA_HOME to a folder that may be "
            "written"
        )


def user_data(name: str) -> Path:
    """A file or folder in the user's folder for application data, as the platform has it.

    Raises:
        NoHomeError: the user has none.
    """
    try:
        folder = platformdirs.user_data_path("wsisam", appauthor=False)
    except RuntimeError as error:
        raise NoHomeError from error
    if str(folder).startswith("~"):  # as platformdirs before 4.4 leaves it where there is no home
        raise NoHomeError
    return folder / name


def default_store() -> Path:
    """The annotations' file where nobody says another.

    In the user's data folder: that is where a program may keep what must not be lost without asking; neither the
    working folder, which differs from start to start, nor a folder of slides, which is often shared or read-only.
    """
    return user_data("annotations.sqlite")


def default_weights_dir() -> Path:
    """The folder of models that were added where nobody says another."""
    return user_data("weights")


def default_encoder_dir() -> Path:
    """The folder of compiled encoders where nobody says another."""
    return user_data("encoders")


def _nbytes(value: Any) -> int:
    """A number of bytes, or a text such as "8GiB"."""
    problem = "write a size as 8GiB, 500MB or a number of bytes"
    try:
        nbytes = int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError as error:
        raise ValueError(problem) from error
    if nbytes < 1:
        raise ValueError(problem)
    return nbytes


def _listed(value: Any) -> Any:
    """Names with commas between them, as a list."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Bytes: TypeAlias = Annotated[int, BeforeValidator(_nbytes)]
Count: TypeAlias = Annotated[int, Field(gt=0)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class PathMapping:
    r"""How a path as the client sees it becomes a path as the server sees it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    client: Annotated[
        str,
        Field(min_length=1, description=r"What the client's path or URI starts with, such as Z:\slides or /mnt/share."),
    ]
    server: Annotated[Path, Field(description="The folder on the server that is meant.")]


def _mapping(value: Any) -> Any:
    """What `--map` says, as a mapping."""
    if not isinstance(value, str):
        return value
    client, separator, server = value.partition("=")
    if not separator or not client or not Path(server).is_absolute():
        raise ValueError("write it as CLIENT_PREFIX=/server/folder")
    return PathMapping(client, Path(server))


Mapping: TypeAlias = Annotated[PathMapping, BeforeValidator(_mapping)]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds that keep one request, or one user, from hurting the others. In a file, bytes may have a unit."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    message_bytes: Annotated[Bytes, Field(description="Of one message from or to a client.")] = 16 * MIB
    embedding_cache_bytes: Annotated[
        Bytes, Option(), Field(description="Of all embeddings that are kept for the next prompt.")
    ] = 1024 * MIB
    embedding_store_bytes: Annotated[
        Bytes, Option(), Field(description="Of the embeddings on the disk, if there is a folder for them.")
    ] = 64 * 1024 * MIB
    model_bytes: Annotated[Bytes, Option(), Field(description="Of the weights of the loaded models together.")] = (
        8192 * MIB
    )
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
    message_bytes_per_second_per_user: Annotated[
        Bytes, Field(description="Of one user's messages, in the long run; eight seconds' worth may come at once.")
    ] = 20 * MIB
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
    annotations_per_sync: Annotated[
        Count, Field(description="Annotations of one image that is synced, by their ids.")
    ] = 1_000_000
    sync_bytes: Annotated[
        Bytes, Field(description="Of what one sync sends; what does not fit into memory lies in a temporary file.")
    ] = 2048 * MIB
    vertices_per_annotation: Annotated[
        Count, Field(description="Vertices of one annotation; so many take 8 MB and fit into a message.")
    ] = 500_000
    annotation_text: Annotated[
        Count, Field(description="Characters of all texts and measurement names of one annotation together.")
    ] = 65_536
    waiting_writes: Annotated[
        Count, Field(description="Changes that wait for the store; more are refused with STORE_BUSY.")
    ] = 256
    store_seconds: Annotated[
        Seconds,
        Field(description="That the store may take to answer; then calls end with STORE_UNAVAILABLE until it does."),
    ] = 30.0
    drain_seconds: Annotated[
        Seconds,
        Field(description="That accepted work may take after a stop signal. The rest then ends with SHUTTING_DOWN."),
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
        Option("--ray-address", "ADDRESS"),
        Field(
            description="Of the Ray cluster: auto (the one that this machine is in) or HOST:6379. Not set: Ray is "
            "started on this machine, and ends with the server."
        ),
    ] = None
    name: Annotated[
        str, Field(min_length=1, description="Of the application on the cluster; another for each server that uses it.")
    ] = "wsisam"
    replicas: Annotated[
        Count, Option("--ray-replicas"), Field(description="Replicas of the model that always run, one a device.")
    ] = 1
    max_replicas: Annotated[
        Count | None,
        Option("--ray-max-replicas"),
        Field(description="Most that run when there is much to do. Not set: as many as `replicas`."),
    ] = None
    ongoing_per_replica: Annotated[
        float, Field(gt=0, description="Prompts and encodings at a replica that Ray aims at when it adds some.")
    ] = 2.0
    upscale_seconds: Annotated[Seconds, Field(description="That there must be more to do before one is added.")] = 10.0
    downscale_seconds: Annotated[
        Seconds, Field(description="That there must be less to do before one is taken away, with what it has cached.")
    ] = 600.0
    cpus: Annotated[
        float,
        Option("--ray-cpus"),
        Field(gt=0, allow_inf_nan=False, description="CPU cores that a replica takes of its node."),
    ] = 1.0
    gpus: Annotated[
        float,
        Option("--ray-gpus"),
        Field(ge=0, allow_inf_nan=False, description="GPUs that a replica takes; 0.5 lets two share one."),
    ] = 0.0
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
        Path,
        Option("--tls-cert"),
        Field(description="The server's certificate (PEM), with those between it and its authority."),
    ]
    key: Annotated[Path, Option("--tls-key"), Field(description="Its private key (PEM, without a password).")]
    client_ca: Annotated[
        Path | None,
        Option("--tls-client-ca"),
        Field(description="Let in only clients with a certificate that this authority (PEM) signed."),
    ] = None


class ModelChoice(BaseModel):
    """Which model is loaded, and where it runs. The same options for every command that loads one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Option("--model"), Field(description="Name of a model: wsisam weights list.")] = "wsisam-lite"
    sam: Annotated[
        Path | None, Option(), Field(description="SAM checkpoint (MobileSAM, ViT-B, L or H), in place of --model.")
    ] = None
    high: Annotated[
        Path | None, Option(), Field(description="With --sam: WSI-SAM's high-resolution decoder, net_high.pth.")
    ] = None
    low: Annotated[
        Path | None, Option(), Field(description="With --sam and --high: its low-resolution decoder, net_low.pth.")
    ] = None
    additions: Annotated[
        Path | None, Option(), Field(description="What `wsisam train` made for that --model or --sam.")
    ] = None
    low_resolution: Annotated[
        Literal["auto", "none", "middle", "whole"],
        Option(),
        Field(description="How much of the low-resolution image is read. auto: what the weights ask for."),
    ] = "auto"
    device: Annotated[str, Option(), Field(description="auto, cpu, cuda or cuda:N.")] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        Option(),
        Field(
            description="Number type of the model. auto is float32; others' masks differ a little: docs/performance.md."
        ),
    ] = "auto"
    threads: Annotated[Count | None, Option(), Field(description="CPU threads of the model. Not set: all cores.")] = (
        None
    )
    encoder: Annotated[
        Literal["auto", "torch", "openvino"],
        Option(),
        Field(
            description="What runs the image encoder on a CPU. auto: OpenVINO (extra: openvino) where it is measured "
            "to be faster on this machine."
        ),
    ] = "auto"
    encoder_type: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Option(),
        Field(
            description="Number type in which OpenVINO runs the image encoder. auto: bfloat16 where the processor has "
            "it and the weights say that outlines are as good (wsisam number-types), else float32."
        ),
    ] = "auto"
    encoder_dir: Annotated[
        Path,
        Option(metavar="FOLDER"),
        Field(description="Folder of encoders compiled by OpenVINO. Not set: encoders in the user's data folder."),
    ] = Field(default_factory=default_encoder_dir)


def _without_brackets(value: Any) -> Any:
    """An IPv6 address as people copy it from where a port follows it."""
    return value[1:-1] if isinstance(value, str) and value.startswith("[") and value.endswith("]") else value


Host: TypeAlias = Annotated[str, BeforeValidator(_without_brackets)]


class Settings(BaseModel):
    """All settings of `wsisam serve`. Frozen; names, bounds and meanings are the fields' own.

    Raises:
        pydantic.ValidationError: a value is not one, or a name is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[Host, Option(), Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Option(), Field(description="0 for any free port.")] = 8765
    slides: Annotated[
        tuple[Path, ...],
        Option(metavar="FOLDER"),
        Field(description="Folders whose slides may be opened. Without one, clients send pixels."),
    ] = ()
    insecure: Annotated[
        bool, Option(), Field(description="Allow an address other than loopback without encryption and tokens.")
    ] = False
    tokens: Annotated[
        Path | None,
        Option(metavar="FILE"),
        Field(description="The file of tokens (wsisam token create). Not set: tokens.json in the user's data folder."),
    ] = Field(default_factory=lambda: user_data("tokens.json"))
    require_tokens: Annotated[
        bool, Option(), Field(description="Ask for tokens also on loopback, for example behind a proxy.")
    ] = False
    store: Annotated[
        str,
        Option(metavar="PATH|URL|none"),
        Field(
            min_length=1,
            description="Where annotations are kept: a SQLite file, postgresql://USER:PASSWORD@HOST/DATABASE, or none. "
            "Not set: annotations.sqlite in the user's data folder.",
        ),
    ] = Field(default_factory=lambda: str(default_store()))
    embedding_store: Annotated[
        Path | None,
        Option(metavar="FOLDER"),
        Field(description="A folder for embeddings, which then outlive the server. Not set: memory only."),
    ] = None
    weights_dir: Annotated[
        Path,
        Option(metavar="FOLDER"),
        Field(description="Folder of the models that were added. Not set: weights in the user's data folder."),
    ] = Field(default_factory=default_weights_dir)
    models: Annotated[
        Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] | None,
        Option(metavar="NAME,..."),
        Field(
            description="The models that clients may name, the first the default unless --model or --sam is given. "
            "Not set: all that were added."
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Option(), Field(description="What goes to standard error.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Option(), Field(description="Lines for people, or one JSON object each.")
    ] = "text"
    log_hide_paths: Annotated[
        bool, Option(), Field(description="Write slides' paths to the log as hashes: names may be patients'.")
    ] = False
    log_deidentify: Annotated[
        bool, Option(), Field(description="Write slides' paths and users' names to the log as hashes.")
    ] = False
    log_salt: Annotated[
        Path | None,
        Option(metavar="FILE"),
        Field(
            description="The salt of the hashes, made if it is not there: the same file, the same hashes. Not set: "
            "they are others after each start."
        ),
    ] = None
    metrics_host: Annotated[
        Host,
        Option(),
        Field(description="Address of the numbers for Prometheus. They need no token, and name users."),
    ] = "127.0.0.1"
    metrics_port: Annotated[
        Port | None, Option(), Field(description="Port of the numbers for Prometheus. Not set: there are none.")
    ] = None
    engine: Annotated[
        Literal["local", "ray"],
        Option(),
        Field(description="What runs the model: this machine, or Ray Serve replicas (extra: ray; docs/scale.md)."),
    ] = "local"
    map: Annotated[
        tuple[Mapping, ...],
        Option(metavar="CLIENT=SERVER"),
        Field(description="How clients' paths become the server's, such as 'Z:\\slides=/data/slides'."),
    ] = ()
    tls: Annotated[Tls | None, Field(description="Encryption: PEM files.")] = None
    model: Annotated[ModelChoice, Field(description="The default model, and where models run.")] = ModelChoice()
    limits: Annotated[Limits, Field(description="Upper bounds. Bytes may have a unit, such as 8GiB.")] = Limits()
    ray: Annotated[Ray, Field(description="With the engine ray: where the model runs (docs/scale.md).")] = Ray()
