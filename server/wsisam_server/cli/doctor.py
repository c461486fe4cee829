"""`wsisam doctor`: is everything here that the server needs? Each line says ok or what to do."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wsisam_server.cli import doctor_service
from wsisam_server.cli.configuration import configuration
from wsisam_server.cli.extras import missing
from wsisam_server.cli.ports import why_not
from wsisam_server.client.address import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wsisam_server.core.settings import Settings

MIN_PYTHON = (3, 10)

LIGHT: Final = (
    "none in this installation, which can ask a server, sync, export, import and set up QuPath. To run a model or a "
    'server on this machine: pip install ".[server]"'
)


@click.command("doctor")
@click.option(
    "--config",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What 'wsisam serve --config' would use: slides, encryption, tokens and store are checked as it says. Run it "
    "as the server's user.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port to check. Not given: the server's, 8765.")
@click.option(
    "--weights-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the models that were added. Not given: the folder that the other commands use.",
)
def command(*, file: Path | None, port: int | None, weights_dir: Path | None) -> None:
    """Check this machine and say what to do. Exit status 1 when something is missing.

    Example: wsisam doctor --config /etc/wsisam/wsisam.toml
    """
    settings = configuration(file, {} if port is None else {"port": port})
    failed = False
    for name, check in _checks(settings, weights_dir or settings.weights_dir):
        try:
            findings = check()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, not a crash
            findings = [(False, f"the check itself failed: {error}")]
        for ok, text in findings:
            failed |= not ok
            click.echo(f"{'ok   ' if ok else 'TO DO'} {name}: {text}")
    if failed:
        raise click.exceptions.Exit(1)


Finding = tuple[bool, str]


def _checks(settings: Settings, weights_dir: Path) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    yield "Python", lambda: [_python()]
    yield "OpenSlide", lambda: [_openslide()]
    if _is_light():
        yield "model", lambda: [(True, LIGHT)]
    else:
        yield "torch", lambda: [_torch()]
        yield "device", lambda: [_device()]
        yield "encoder", lambda: _encoder(settings)
        yield "models", lambda: _models(weights_dir)
    yield "slides", lambda: doctor_service.slides(settings)
    yield "encryption", lambda: doctor_service.encryption(settings)
    yield "tokens", lambda: doctor_service.tokens(settings)
    yield "annotations", lambda: doctor_service.store(settings)
    yield f"port {settings.port}", lambda: _port(settings)
    yield "metrics", lambda: doctor_service.metrics(settings)


def _python() -> Finding:
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return False, f"{text}; install Python {'.'.join(map(str, MIN_PYTHON))} or newer"
    return True, text


def _is_light() -> bool:
    """Whether nothing of the model is installed: on purpose, then."""
    return set(missing("server")) >= {"torch", "timm", "segment_anything"}


def _torch() -> Finding:
    gone = missing("server")
    if gone:
        return False, f'not all of the model\'s packages are here ({", ".join(gone)}); run: pip install ".[server]"'
    try:
        import torch
    except ImportError as error:
        return False, f"cannot be imported ({error}); run: pip install torch"
    return True, f"{torch.__version__}, {torch.get_num_threads()} CPU threads"


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return True, f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    return True, "no GPU that torch can use; the CPU works, slower"


def _encoder(settings: Settings) -> list[Finding]:
    """What was found out about running the image encoder on this processor."""
    from wsisam_server.inference.encoders import EncoderError, EncoderFolder, Processor
    from wsisam_server.inference.encoders.library import require_version

    try:
        version = require_version()
    except EncoderError as error:
        return [(True, f"run by torch: {error}")]
    folder = EncoderFolder(settings.model.encoder_dir)
    here = Processor.here()
    found = [
        finding
        for finding in folder.all()
        if (finding.conditions.processor, finding.conditions.openvino) == (here.digest, version)
    ]
    if not found:
        return [
            (True, f"run by torch until OpenVINO {version} was tried, which a server does while it answers; {here}")
        ]
    return [
        (True, f"{finding.model}, {finding.conditions.threads} threads, {here}: run by {finding.text()}")
        for finding in found
    ]


def _openslide() -> Finding:
    try:
        import openslide
    except (ImportError, OSError) as error:
        return False, f"cannot be loaded ({error}); run: pip install openslide-python openslide-bin"
    return True, f"{openslide.__library_version__} (openslide-python {metadata.version('openslide-python')})"


def _models(weights_dir: Path) -> list[Finding]:
    from wsisam_server.inference.weights import PUBLISHED, WeightsFolder, list_models

    known = list_models(WeightsFolder(weights_dir))
    ready = [model for model in known if not model.problem]
    findings = [(True, f"{_facts(model.name, model.weights_hash, model.licence)}") for model in ready]
    # A built-in model that is not installed is missed only where there is no other.
    findings += [(model.built_in and bool(ready), f"{model.name}: {model.problem}") for model in known if model.problem]
    more = ", ".join(name for name in PUBLISHED if name not in {model.name for model in known})
    return [*findings, (True, f"more: wsisam weights add, with files of your own or one of {more}")]


def _port(settings: Settings) -> list[Finding]:
    problem = why_not(settings.host, settings.port)
    if not problem:
        return [(True, "free")]
    return _who(settings) if "another server" in problem else [(False, problem)]


def _who(settings: Settings) -> list[Finding]:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from wsisam.v1 import segmentation_pb2
    from wsisam_server.client import Client, ServerError, is_installed
    from wsisam_server.client.channel import open_channel

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - where to ask
    target = ServerAddress(host, settings.port, tls=settings.tls is not None)
    if target.tls:
        return [(True, "taken; whether by this server, say those who connect to it by its name")]
    with open_channel(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="wsisam.v1.Segmentation"), timeout=2
            )
        except grpc.RpcError:
            return [(False, "taken by another program; choose another with: wsisam serve --port")]
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    findings = [(True, f"a wsisam server is {name} here")]
    with Client(str(target), timeout=5) as client:
        try:
            models = [model for model in client.models() if is_installed(model)]
        except ServerError as error:
            return [*findings, (True, f"its models are not known yet: {error.text}")]
    for model in models:
        state = "loaded" if model.state == segmentation_pb2.MODEL_STATE_LOADED else "loaded when asked for"
        state += f", encoder run by {model.encoder}" if model.encoder else ""
        findings.append((True, f"serves {_facts(model.name, model.weights_hash, model.licence)}, {state}"))
    return findings


def _facts(name: str, weights_hash: str, licence: str) -> str:
    return f"{name}, weights {weights_hash[:12]}, licence {licence or 'unknown'}"
