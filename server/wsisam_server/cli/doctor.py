"""`wsisam doctor`: is everything here that the server needs? Each line says ok or what to do."""

from __future__ import annotations

import platform
import socket
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import click
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIN_PYTHON = (3, 10)


@click.command("doctor")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port to look at.")
def command(*, port: int) -> None:
    """Check this machine and say what to do. Exit status 1 when something is missing.

    Example: wsisam doctor
    """
    failed = False
    for name, check in _checks(port):
        try:
            ok, text = check()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, not a crash
            ok, text = False, f"the check itself failed: {error}"
        failed |= not ok
        click.echo(f"{'ok   ' if ok else 'TO DO'} {name}: {text}")
    if failed:
        raise click.exceptions.Exit(1)


Finding = tuple[bool, str]


def _checks(port: int) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "Python", _python
    yield "torch", _torch
    yield "device", _device
    yield "OpenSlide", _openslide
    yield "models", _models
    yield f"port {port}", lambda: _port(port)


def _python() -> Finding:
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return False, f"{text}; install Python {'.'.join(map(str, MIN_PYTHON))} or newer"
    return True, text


def _torch() -> Finding:
    try:
        import torch  # noqa: PLC0415 - its absence is what is looked for
    except ImportError as error:
        return False, f"cannot be imported ({error}); run: pip install torch"
    return True, f"{torch.__version__}, {torch.get_num_threads()} CPU threads"


def _device() -> Finding:
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return True, f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    return True, "no GPU that torch can use; the CPU works, slower"


def _openslide() -> Finding:
    try:
        import openslide  # noqa: PLC0415 - its absence is what is looked for
    except (ImportError, OSError) as error:
        return False, f"cannot be loaded ({error}); run: pip install openslide-python openslide-bin"
    return True, f"{openslide.__library_version__} (openslide-python {metadata.version('openslide-python')})"


def _models() -> Finding:
    from wsisam_model import available_models  # noqa: PLC0415

    models = available_models()
    ready = [model.name for model in models if model.installed]
    if not ready:
        return False, f"none ready; for {models[0].name} run: {models[0].how_to_install}"
    others = ", ".join(model.name for model in models if not model.installed)
    return True, f"{', '.join(ready)} ready; from files of your own: {others}"


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _who(port)
    return True, "free"


def _who(port: int) -> Finding:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="wsisam.v1.Segmentation"), timeout=2
            )
        except grpc.RpcError:
            return False, "taken by another program; choose another with: wsisam serve --port"
    return True, f"a wsisam server is {health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)} here"
