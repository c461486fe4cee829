"""`wsisam serve`: the server until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wsisam_model import available_models
from wsisam_server.annotations.store import store_name
from wsisam_server.cli.configuration import configuration, printed
from wsisam_server.cli.extras import need
from wsisam_server.cli.model import load_model, loading, served_models
from wsisam_server.cli.options import given, settings_options
from wsisam_server.cli.process_exit import EXIT_SECONDS, are_threads_left, exit_now, exit_within
from wsisam_server.client.address import ServerAddress
from wsisam_server.core.pseudonyms import SaltError
from wsisam_server.core.settings import NONE
from wsisam_server.inference.encoders import EncoderChoice
from wsisam_server.inference.weights import WeightsError, WeightsFolder, built_in

if TYPE_CHECKING:
    from wsisam_server.cli.app import App
    from wsisam_server.cli.server_log import ServerLog
    from wsisam_server.core.settings import ModelChoice, Settings

if sys.platform != "win32":  # where there is no such limit
    import resource

MOST_FILES: Final = 65_536
"""Connections, slides and the store's files together."""

_STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""Ctrl+C, what a service manager sends, and Ctrl+Break of Windows."""

_CONFIG: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.option("--config", "file", type=_CONFIG, help="A TOML file. Other options and the environment take precedence.")
@click.option("--print-config", is_flag=True, help="Print what would be used, as such a file with comments, and end.")
@settings_options()
def command(*, file: Path | None, print_config: bool, **options: Any) -> None:
    """Serve slides and a model to QuPath and other clients.

    Each option is also a variable ($WSISAM_PORT for --port) and a line of the file; docs/configuration.md has all.

    Example: wsisam serve --slides /data/slides --port 8765
    """
    flags = given(options)
    try:
        settings = configuration(file, flags)
    except click.ClickException as error:
        from wsisam_server.cli.server_log import failed_early

        raise failed_early(error, flags) from error
    if print_config:
        click.echo(printed(settings), nl=False)
        return
    need("server", "wsisam serve")
    from wsisam_server.cli.server_log import ServerLog, failed_early

    try:
        log = ServerLog(settings)
    except SaltError as error:
        raise failed_early(click.ClickException(str(error)), flags) from error
    try:
        _run(log, settings)
    except click.ClickException as error:
        raise log.failed(error) from error
    log.close()
    if are_threads_left():
        exit_now()  # libraries must not be unloaded under threads that a drive or a database may yet answer


def _run(log: ServerLog, settings: Settings) -> None:
    """Serves until it is told to stop.

    Raises:
        click.ClickException: it cannot start.
    """
    from wsisam_server.cli.app import StartError
    from wsisam_server.inference.cluster import ClusterError

    settings = settings.model_copy(update={"model": _default_model(settings)})
    _allow_files()
    # A thread that computes in Python lets the loop that answers everybody go on after a millisecond, not five.
    sys.setswitchinterval(0.001)
    try:
        app = _app(settings)
        asyncio.run(_serve(app, settings, log))
    except (StartError, ClusterError) as error:
        raise click.ClickException(str(error)) from error


def _allow_files() -> None:
    """As many as this process may have open: shells and containers often begin with 1,024, a connection takes one."""
    if sys.platform == "win32":
        return
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _app(settings: Settings) -> App:
    """The server, with what runs its models."""
    from wsisam_server.cli.app import App
    from wsisam_server.inference.cluster import ClusterModels, ModelFactory

    choice, only = settings.model, settings.models
    load = partial(load_model, **loading(choice, settings.weights_dir), stays=True)
    encoder = EncoderChoice(choice.encoder_dir, choice.encoder, eager=True, number_type=choice.encoder_type)
    source = partial(served_models, WeightsFolder(settings.weights_dir), choice.device, choice.dtype, only, encoder)
    if settings.engine == "local":
        return App(settings, load, source())
    # This machine only looks at the models, on its CPU: --device and --encoder are meant for the replicas.
    here = served_models(WeightsFolder(settings.weights_dir), "cpu", "auto", only)
    known = [listed.name for listed in available_models()]
    models = ClusterModels(
        ModelFactory(load, source),
        here,
        settings.ray,
        settings.limits,
        threads=choice.threads,
        known=known,
        store=settings.embedding_store,
    )
    return App(settings, partial(load, device="cpu", encoder="torch"), models=models)


def _default_model(settings: Settings) -> ModelChoice:
    """What is loaded first: the first of --models if no other is asked for."""
    choice, only = settings.model, settings.models
    if only is None:
        return choice
    folder = WeightsFolder(settings.weights_dir)
    try:
        there = [*built_in(), *folder.names()]
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    missing = [name for name in only if name not in there]
    if missing:
        problem = f"there is no model {', '.join(map(repr, missing))}; there are: {', '.join(there)}"
        raise click.BadParameter(f"{problem}. Add one: wsisam weights add", param_hint="--models")
    is_chosen = choice.sam is not None or "name" in choice.model_fields_set
    return choice if is_chosen else choice.model_copy(update={"name": only[0]})


async def _serve(app: App, settings: Settings, log: ServerLog) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if stop.is_set():
            # Again: now. What was acknowledged is on the disk, and a model's step cannot be interrupted otherwise.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        exit_within(settings.limits.drain_seconds + EXIT_SECONDS)
        stop.set()

    for number in _STOP_SIGNALS:
        try:
            loop.add_signal_handler(number, asked, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(asked, signal.Signals(number)))
    log.say("loading the model")
    starting, stopping = asyncio.ensure_future(app.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            port = starting.result()
            # Modules and models stay: whoever looks for cycles among all objects need not look at them again and again.
            gc.collect()
            gc.freeze()
            names = ", ".join(listed.available.info.name for listed in app.segmenter.models_listed())
            log.say(f"serving {names} on {ServerAddress(settings.host, port)}", err=False)
            kept = f"in {store_name(settings.store)}" if settings.store != NONE else "nowhere (--store none)"
            log.say(f"annotations are kept {kept}")
            if app.metrics_port is not None:
                log.say(f"metrics are on {ServerAddress(settings.metrics_host, app.metrics_port)}")
            if app.requires_tokens:
                log.say(f"callers need a token of {settings.tokens} (wsisam token create)")
            if not settings.slides:
                log.say("no --slides folder: clients have to send pixels")
            await stopping
        log.say("stopping", err=False)
        seconds = settings.limits.drain_seconds
        log.say(f"what was asked has {seconds:g} s to be answered; once more ends at once")
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await app.stop()
        # What is frozen is not freed at the end, and libraries in C++ then tell everybody what they have leaked.
        gc.unfreeze()
