"""`wsisam doctor`: is everything here that the server needs? Each line says ok or what to do."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wsisam_server.cli.extras import missing
from wsisam_server.core.settings import default_encoder_dir, default_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIN_PYTHON = (3, 10)

LIGHT: Final = (
    "none in this installation, which can ask a server, sync, export, import and set up QuPath. To run a model or a "
    "server on this machine: pip install 'wsisam[server]'"
)


@click.command("doctor")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port to check.")
@click.option(
    "--weights-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the models that were added. Not given: the folder that the other commands use.",
)
def command(*, port: int, weights_dir: Path | None) -> None:
    """Check this machine and say what to do. Exit status 1 when something is missing.

    Example: wsisam doctor
    """
    failed = False
    for name, check in _checks(port, weights_dir):
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


def _checks(port: int, weights_dir: Path | None) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    yield "Python", lambda: [_python()]
    yield "OpenSlide", lambda: [_openslide()]
    if _is_light():
        yield "model", lambda: [(True, LIGHT)]
    else:
        yield "torch", lambda: [_torch()]
        yield "device", lambda: [_device()]
        yield "encoder", _encoder
        yield "models", lambda: _models(weights_dir)
    yield "annotations", lambda: [_store()]
    yield f"port {port}", lambda: _port(port)


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
        return False, f"not all of the model's packages are here ({', '.join(gone)}); run: pip install 'wsisam[server]'"
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


def _encoder() -> list[Finding]:
    """What was found out about running the image encoder on this processor."""
    from wsisam_server.inference.encoders import EncoderError, EncoderFolder, Processor
    from wsisam_server.inference.encoders.library import require_version

    try:
        version = require_version()
    except EncoderError as error:
        return [(True, f"run by torch: {error}")]
    folder = EncoderFolder(Path(os.environ.get("WSISAM_MODEL__ENCODER_DIR") or default_encoder_dir()))
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


def _models(weights_dir: Path | None) -> list[Finding]:
    from wsisam_server.inference.weights import PUBLISHED, WeightsFolder, default_folder, list_models

    known = list_models(WeightsFolder(weights_dir or default_folder()))
    ready = [model for model in known if not model.problem]
    findings = [(True, f"{_facts(model.name, model.weights_hash, model.licence)}") for model in ready]
    # A built-in model that is not installed is missed only where there is no other.
    findings += [(model.built_in and bool(ready), f"{model.name}: {model.problem}") for model in known if model.problem]
    more = ", ".join(name for name in PUBLISHED if name not in {model.name for model in known})
    return [*findings, (True, f"more: wsisam weights add, with files of your own or one of {more}")]


def _store() -> Finding:
    from wsisam_server.annotations.store import StoreError, open_store, store_name

    where = os.environ.get("WSISAM_STORE") or str(default_store())
    if where == "none":
        return True, "kept nowhere (WSISAM_STORE is none)"
    if "://" not in where and not Path(where).exists():
        return True, f"none yet; 'wsisam serve' will keep them in {where}"
    try:
        with open_store(where) as store:
            return True, f"{store_name(where)}, {store.head()} revisions"
    except StoreError as error:
        return False, str(error)


def _port(port: int) -> list[Finding]:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _who(port)
    return [(True, "free")]


def _who(port: int) -> list[Finding]:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from wsisam.v1 import segmentation_pb2
    from wsisam_server.client import Client, ServerError, is_installed
    from wsisam_server.client.channel import open_channel

    target = f"127.0.0.1:{port}"
    with open_channel(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="wsisam.v1.Segmentation"), timeout=2
            )
        except grpc.RpcError:
            return [(False, "taken by another program; choose another with: wsisam serve --port")]
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    findings = [(True, f"a wsisam server is {name} here")]
    with Client(target, timeout=5) as client:
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
