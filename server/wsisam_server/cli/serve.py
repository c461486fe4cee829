"""`wsisam serve`: the server until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wsisam_model import available_models
from wsisam_server.annotations.store import default_path, store_name
from wsisam_server.cli.app import App, StartError
from wsisam_server.cli.configuration import Configuration, Mapped, configuration, printed
from wsisam_server.cli.embedding_store import embedding_store_options
from wsisam_server.cli.leaving import SECONDS_TO_LEAVE, leave_now, leave_within
from wsisam_server.cli.model import load_model, model_options, served_models
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.size import Size
from wsisam_server.cli.store import NONE, store_option
from wsisam_server.cli.token import tokens_option
from wsisam_server.core.settings import MIB, PathMapping, Settings
from wsisam_server.inference.cluster import ClusterError, ClusterModels, Recipe
from wsisam_server.inference.weights import WeightsError, WeightsFolder, built_in
from wsisam_server.service.identity import default_tokens
from wsisam_server.service.interceptors import TEXT, JsonLines, LogContext

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.platform != "win32":  # where there is no such limit
    import resource

MOST_FILES: Final = 65_536
"""Connections, slides and the store's files together."""

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _mappings(values: tuple[str, ...]) -> tuple[Mapped, ...]:
    mappings = []
    for value in values:
        client, separator, server = value.partition("=")
        if not separator or not client or not Path(server).is_absolute():
            raise click.BadParameter(f"{value!r}: write it as CLIENT_PREFIX=/server/folder", param_hint="--map")
        mappings.append(Mapped(client=client, server=Path(server)))
    return tuple(mappings)


@click.command("serve")
@click.option("--config", "file", type=_FILE, help="A TOML file; the environment and other options go before it.")
@click.option("--print-config", is_flag=True, help="Print what would be used, as such a file with comments, and end.")
@click.option(
    "--slides",
    "roots",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="A folder whose slides may be opened; repeatable. Without one, clients send pixels.",
)
@click.option(
    "--map",
    "mappings",
    multiple=True,
    metavar="CLIENT=SERVER",
    help=r"How clients' paths become the server's, for example 'Z:\slides=/data/slides'; repeatable.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any free port.")
@click.option("--tls-cert", type=_FILE, help="The server's certificate (PEM), with those between it and its authority.")
@click.option("--tls-key", type=_FILE, help="Its private key (PEM, without a password).")
@click.option("--tls-client-ca", type=_FILE, help="Only clients with a certificate that this authority (PEM) signed.")
@tokens_option
@click.option("--require-tokens", is_flag=True, help="Also on loopback, for example behind a proxy.")
@click.option("--insecure", is_flag=True, help="Allow an address other than loopback without encryption and tokens.")
@store_option(optional=True)
@click.option("--cache-mib", type=click.IntRange(1), default=1024, show_default=True, help="Embedding cache, MiB.")
@embedding_store_options
@click.option(
    "--models",
    "served",
    metavar="NAME,...",
    help="The models that clients may name, the first the default unless --model or --sam is given; "
    "all that were added if not given.",
)
@click.option(
    "--model-memory",
    type=Size(),
    default="8GiB",
    show_default=True,
    help="What the weights of the loaded models may take together; those not used make room for others.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object each.",
)
@click.option(
    "--log-hide-paths", is_flag=True, help="Write slides' paths to the log as hashes: names may be patients'."
)
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Numbers for Prometheus, on this port.")
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    help="Address for them. They need no token, and name users.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What runs the model: this machine, or Ray Serve replicas on many (extra: ray; docs/scale.md).",
)
@click.option(
    "--ray-address",
    metavar="ADDRESS",
    help="With --engine ray: auto (the cluster of this machine) or HOST:6379; Ray on this machine alone if not given.",
)
@click.option(
    "--ray-replicas",
    metavar="N[-MOST]",
    help="Replicas that always run, and how many do when there is much to do; 1 if not given.",
)
@click.option("--ray-cpus", type=Number(0, min_open=True), help="CPU cores of a replica; 1 if not given.")
@click.option("--ray-gpus", type=Number(0), help="GPUs of a replica, 0.5 lets two share one; 0 if not given.")
@model_options
def command(
    *,
    file: Path | None,
    print_config: bool,
    roots: tuple[Path, ...],
    mappings: tuple[str, ...],
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tokens: Path,
    require_tokens: bool,
    insecure: bool,
    store: str | None,
    cache_mib: int,
    embedding_store: Path | None,
    embedding_store_bytes: int | None,
    served: str | None,
    model_memory: int,
    log_level: str,
    log_format: str,
    log_hide_paths: bool,
    metrics_port: int | None,
    metrics_host: str,
    engine: str,
    ray_address: str | None,
    ray_replicas: str | None,
    ray_cpus: float | None,
    ray_gpus: float | None,
    **model: Any,
) -> None:
    """Serve slides and a model to QuPath and other clients.

    Example: wsisam serve --slides /data/slides --port 8765
    """
    flags = {
        "slides": tuple(root.resolve() for root in roots),
        "map": _mappings(mappings),
        "host": host,
        "port": port,
        "insecure": insecure,
        "require_tokens": require_tokens,
        "tokens": tokens,
        "store": store or NONE,
        "embedding_store": embedding_store,
        "log_level": log_level,
        "log_format": log_format,
        "log_hide_paths": log_hide_paths,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
        "tls": {"certificate": tls_cert, "key": tls_key, "client_ca": tls_client_ca},
        "limits": {
            "embedding_cache_bytes": cache_mib * MIB,
            "embedding_store_bytes": embedding_store_bytes,
            "model_bytes": model_memory,
        },
        "engine": engine,
        "ray": {"address": ray_address, "cpus": ray_cpus, "gpus": ray_gpus, **_replicas(ray_replicas)},
    }
    wanted = configuration(file, _given(flags))
    if print_config:
        click.echo(printed(wanted), nl=False)
        return
    _log_to_stderr(wanted)
    settings = _settings(wanted, model.pop("threads"))
    only = _only(served, model)
    _allow_files()
    try:
        app = _app(wanted, settings, only, model)
        asyncio.run(_serve(app, settings))
    except (StartError, ClusterError) as error:
        raise click.ClickException(str(error)) from error
    if app.segmenter.slides.drives.is_busy:
        leave_now()  # libraries must not be unloaded under threads that a drive may yet answer


def _allow_files() -> None:
    """As many as this process may have open: shells and containers often begin with 1,024, a connection takes one."""
    if sys.platform == "win32":
        return
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _log_to_stderr(wanted: Configuration) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(LogContext(hide_paths=wanted.log_hide_paths))
    handler.setFormatter(JsonLines() if wanted.log_format == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=wanted.log_level.upper(), handlers=[handler])


_OPTIONS: Final = {
    "slides": "roots",
    "map": "mappings",
    "certificate": "tls_cert",
    "key": "tls_key",
    "client_ca": "tls_client_ca",
    "embedding_cache_bytes": "cache_mib",
    "model_bytes": "model_memory",
    "address": "ray_address",
    "replicas": "ray_replicas",
    "max_replicas": "ray_replicas",
    "cpus": "ray_cpus",
    "gpus": "ray_gpus",
}
"""What an option's variable is called where that is not the configuration's name."""


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was said on the command line: defaults must not hide the file."""
    context = click.get_current_context()
    given: dict[str, Any] = {}
    for name, value in flags.items():
        if isinstance(value, dict):
            part = _given(value)
            if part:
                given[name] = part
            continue
        source = context.get_parameter_source(_OPTIONS.get(name, name))
        if source is not None and source.name == "COMMANDLINE":
            given[name] = value
    return given


def _settings(wanted: Configuration, threads: int | None) -> Settings:
    missing = [str(root) for root in wanted.slides if not root.is_dir()]
    if missing:
        raise click.ClickException(f"there is no folder of slides {', '.join(missing)}")
    return Settings(
        host=wanted.host,
        port=wanted.port,
        insecure=wanted.insecure,
        tls=wanted.tls,
        tokens=wanted.tokens or default_tokens(),
        require_tokens=wanted.require_tokens,
        slide_roots=tuple(root.resolve() for root in wanted.slides),
        path_mappings=tuple(PathMapping(mapping.client, mapping.server) for mapping in wanted.map),
        embedding_store=wanted.embedding_store,
        threads=threads,
        store=None if wanted.store == NONE else wanted.store or str(default_path()),
        metrics_host=wanted.metrics_host,
        metrics_port=wanted.metrics_port,
        limits=wanted.limits,
    )


def _replicas(text: str | None) -> dict[str, int | None]:
    """What --ray-replicas says: a number, or the least and the most of them."""
    if text is None:
        return {"replicas": None}
    least, separator, most = text.partition("-")
    try:
        numbers = [int(least), int(most if separator else least)]
    except ValueError:
        numbers = []
    if not numbers or not 1 <= numbers[0] <= numbers[1]:
        raise click.BadParameter(f"{text!r}: write it as 4, or as 2-8", param_hint="--ray-replicas")
    return {"replicas": numbers[0], "max_replicas": numbers[1]}


def _app(wanted: Configuration, settings: Settings, only: list[str] | None, model: dict[str, Any]) -> App:
    """The server, with what runs its models."""
    load = partial(load_model, **model)
    source = partial(served_models, WeightsFolder(model["weights_dir"]), model["device"], model["dtype"], only)
    if wanted.engine == "local":
        return App(settings, load, source())
    # This machine only looks at the models, on its CPU: --device is meant for the replicas.
    here = served_models(WeightsFolder(model["weights_dir"]), "cpu", "auto", only)
    known = [listed.name for listed in available_models()]
    models = ClusterModels(
        Recipe(load, source),
        here,
        wanted.ray,
        settings.limits,
        threads=settings.threads,
        known=known,
        store=settings.embedding_store,
    )
    return App(settings, partial(load, device="cpu"), models=models)


def _only(served: str | None, model: dict[str, Any]) -> list[str] | None:
    """The models that may be asked, None for all; makes the first the default if no other is asked for."""
    folder = WeightsFolder(model["weights_dir"])
    only = None if served is None else [name.strip() for name in served.split(",") if name.strip()]
    if only is not None:
        try:
            there = [*built_in(), *folder.names()]
        except WeightsError as error:
            raise click.ClickException(str(error)) from error
        missing = [name for name in only if name not in there]
        if missing or not only:
            problem = f"there is no model {', '.join(missing) or served!r}; there are: {', '.join(there)}"
            raise click.BadParameter(f"{problem}. Add one: wsisam weights add", param_hint="--models")
        source = click.get_current_context().get_parameter_source("model")
        if model["sam"] is None and (source is None or source.name != "COMMANDLINE"):
            model["model"] = only[0]
    return only


async def _serve(app: App, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if stop.is_set():
            # Again: now. What was acknowledged is on the disk, and a model's step cannot be interrupted otherwise.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        leave_within(settings.limits.drain_seconds + SECONDS_TO_LEAVE)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, asked, number)
        except NotImplementedError:  # Windows: Ctrl+C then ends asyncio.run itself
            break
    click.echo("wsisam: loading the model", err=True)
    starting, stopping = asyncio.ensure_future(app.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            port = starting.result()
            names = ", ".join(listed.offer.info.name for listed in app.segmenter.models.listed())
            click.echo(f"wsisam: serving {names} on {settings.host}:{port}")
            kept = f"in {store_name(settings.store)}" if settings.store else "nowhere (--store none)"
            click.echo(f"wsisam: annotations are kept {kept}", err=True)
            if app.metrics_port is not None:
                click.echo(f"wsisam: metrics are on {settings.metrics_host}:{app.metrics_port}", err=True)
            if app.requires_tokens:
                click.echo(f"wsisam: callers need a token of {settings.tokens} (wsisam token create)", err=True)
            if not settings.slide_roots:
                click.echo("wsisam: no --slides folder: clients have to send pixels", err=True)
            await stopping
        click.echo("wsisam: stopping")
        seconds = settings.limits.drain_seconds
        click.echo(f"wsisam: what was asked has {seconds:g} s to be answered; once more ends at once", err=True)
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await app.stop()
