"""The options that choose a model and where it runs, shared by the commands that load one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

import wsisam_model
from wsisam_model import WsiSamError
from wsisam_server.cli.options import all_settings, settings_options
from wsisam_server.core.settings import default_encoder_dir
from wsisam_server.inference.encoders import EncoderChoice
from wsisam_server.inference.weights import ServedModels, WeightsError, WeightsFolder, load

if TYPE_CHECKING:
    from wsisam_model import Dtype, LowReading, WsiSam
    from wsisam_server.core.settings import ModelChoice

Command = TypeVar("Command", bound=Callable[..., Any])

TRIED_DEVICES: Final = ("cpu", "cuda")
"""Kinds of torch devices on which the model is known to answer as it should. CUDA's are tested where there is one."""

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

weights_dir_option = settings_options("weights_dir", envvar=True)
"""Adds --weights-dir, passed on as a path."""


_ENCODER: Final = ("model.encoder", "model.encoder_dir")

encoder_options = settings_options(*_ENCODER, envvar=True)
"""Adds --encoder and --encoder-dir."""


def model_options(command: Command) -> Command:
    """Adds the options from --model to --threads, --encoder and --encoder-dir, and --weights-dir."""
    paths = [".".join(setting.path) for setting in all_settings() if setting.path[0] == "model"]
    of_model = settings_options(*(path for path in paths if path not in _ENCODER))
    return of_model(encoder_options(weights_dir_option(command)))


def loading(choice: ModelChoice, weights_dir: Path) -> dict[str, Any]:
    """What `load_model` takes, from the settings."""
    return {"weights_dir": weights_dir, "model": choice.name, **choice.model_dump(exclude={"name"})}


def load_model(
    *,
    model: str,
    sam: Path | None,
    high: Path | None,
    low: Path | None,
    additions: Path | None,
    low_resolution: LowReading | Literal["auto"] = "auto",
    weights_dir: Path,
    device: str,
    dtype: Dtype | Literal["auto"],
    threads: int | None = None,
    encoder: Literal["auto", "torch", "openvino"] = "torch",
    encoder_type: Literal["auto", "float32", "bfloat16"] = "float32",
    encoder_dir: Path | None = None,
    stays: bool = False,
) -> WsiSam:
    """Loads what the options say; sets the CPU threads for the thread that calls it.

    With `stays`, for a process that stays, its encoder is compiled from the start; else once there is much to do.

    Raises:
        click.ClickException: with what to do about it.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    number_type = choose_dtype(dtype)
    if sam is None and (high is not None or low is not None):
        raise click.UsageError("--high and --low need --sam")
    for option, file in (("--sam", sam), ("--high", high), ("--low", low), ("--additions", additions)):
        if file is not None and not file.is_file():
            raise click.BadParameter(f"there is no file {file}", param_hint=option)
    if additions is not None and high is not None:
        raise click.UsageError("--additions takes the place of --high and --low")
    try:
        if sam is not None:
            loaded = wsisam_model.WsiSam.from_files(
                sam, high, low, additions=additions, device=chosen, dtype=number_type
            )
        else:
            loaded = load(WeightsFolder(weights_dir), model, additions=additions, device=chosen, dtype=number_type)
        if low_resolution != "auto":
            loaded.set_low_reading(low_resolution)
    except (WsiSamError, WeightsError) as error:
        raise click.ClickException(str(error)) from error
    folder = encoder_dir or default_encoder_dir()
    return EncoderChoice(folder, encoder, eager=stays, number_type=encoder_type).apply(loaded)


def for_measuring(model: dict[str, Any]) -> dict[str, Any]:
    """The options of a model that is to be measured: its encoder runs in float32 unless something else was asked for.

    Numbers of two machines can then be compared.
    """
    return model if _given("encoder_type") else model | {"encoder_type": "float32"}


def model_of_server(model: dict[str, Any]) -> str:
    """The model that the options name for a server; empty for its default.

    Raises:
        click.UsageError: an option says how to load one.
    """
    ignored = [name for name in model if name != "model" and model[name] is not None and _given(name)]
    if ignored:
        raise click.UsageError(f"--{ignored[0]} is the server's business; leave it out with --server")
    return str(model["model"]) if _given("model") else ""


def served_models(
    folder: WeightsFolder,
    device: str,
    dtype: Dtype | Literal["auto"],
    only: Collection[str] | None,
    encoder: EncoderChoice | None = None,
) -> ServedModels:
    """The models of a folder, for the device that the options mean on the machine where this is called.

    Args:
        folder: of the models.
        device: --device.
        dtype: --dtype.
        only: names that may be asked; None for all.
        encoder: how their encoders are run; None for torch.

    Raises:
        click.ClickException: there is no such device.
    """
    chosen = choose_device(device)
    return ServedModels(folder, device=chosen, dtype=choose_dtype(dtype), only=only, encoder=encoder)


def choose_device(name: str) -> str:
    """The torch device that an option means.

    Raises:
        click.ClickException: there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise click.UsageError(f"--device {name}: use auto, cpu, cuda or cuda:N") from error
    if device.type not in TRIED_DEVICES:
        raise click.UsageError(
            f"--device {name}: the model was never tried on such a device, and torch is reported to compute some of "
            "its steps wrongly on Macs' (mps). Use auto, cpu, cuda or cuda:N"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise click.ClickException(
            f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices. Use --device cpu, or check the "
            "driver with nvidia-smi."
        )
    return name


def choose_dtype(name: Dtype | Literal["auto"]) -> Dtype:
    """The number type that an option means.

    Left to us, it is float32 on every device: one prompt then has one answer in the whole lab, and bfloat16's masks
    were measured to be too far from it (docs/performance.md).
    """
    return "float32" if name == "auto" else name


def _given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
