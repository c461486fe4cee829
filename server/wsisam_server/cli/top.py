"""`wsisam top`: a running server's numbers, as they change."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import click
from rich.console import Console
from rich.live import Live

from wsisam_server.cli.numbers import Number
from wsisam_server.cli.top_table import screen
from wsisam_server.client.address import ServerAddress
from wsisam_server.service.metrics.scrape import Interval, Scrape, ScrapeError, read

WINDOW_SECONDS: Final = 60.0
"""Time that latencies and rates are computed over; over the two seconds between scrapes they would jump."""

METRICS_PORT: Final = 9464
"""Prometheus's own choice for such exporters."""

PIPED_WIDTH: Final = 100
"""Columns where there is no terminal: nothing is cut then."""


class _Place(click.ParamType):  # type: ignore[type-arg]
    name = "host:port"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        try:
            address = ServerAddress.parse(value, METRICS_PORT)
        except ValueError:
            self.fail(f"{value!r}: write HOST:PORT, as in 127.0.0.1:9464 or [::1]:9464", param, ctx)
        if address.host.isdecimal() or value.endswith(":"):  # a port without a host, or the other way round
            self.fail(f"{value!r}: write HOST:PORT, as in 127.0.0.1:9464", param, ctx)
        if address.tls:
            self.fail(f"{value!r}: the numbers are not encrypted; write {address.authority}", param, ctx)
        return address.host, address.port


@click.command("top")
@click.option(
    "--metrics",
    "place",
    type=_Place(),
    default="127.0.0.1:9464",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the server's numbers are (wsisam serve --metrics-port).",
)
@click.option("--every", type=Number(0.2, 60), default=2.0, show_default=True, help="Seconds between scrapes.")
@click.option("--once", is_flag=True, help="Print the numbers since the server's start, and end.")
def command(*, place: tuple[str, int], every: float, once: bool) -> None:
    """Show who works on a server, what waits, and how long answers take. Ctrl+C ends it.

    Latencies and counts are those of the last minute. They come from the port for Prometheus: no token is needed.

    Example: wsisam top --metrics 127.0.0.1:9464
    """
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    try:
        first = read(*place)
    except ScrapeError as error:
        raise click.ClickException(str(error)) from error
    if once:
        console.print(screen(Interval(None, first)))
        return
    try:
        _follow(console, place, every, first)
    except KeyboardInterrupt:
        return


def _follow(console: Console, place: tuple[str, int], every: float, first: Scrape) -> None:
    kept = deque([first])
    with Live(screen(Interval(None, first)), console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            trouble = ""
            try:
                _keep(kept, read(*place))
            except ScrapeError as error:
                trouble = str(error)
            begin = kept[0] if len(kept) > 1 else None
            live.update(screen(Interval(begin, kept[-1]), trouble), refresh=True)


def _keep(kept: deque[Scrape], new: Scrape) -> None:
    """Adds a scrape; removes those that are too old, or of a server that was restarted since."""
    if new.started != kept[-1].started or new.value("wsisam_calls_total") < kept[-1].value("wsisam_calls_total"):
        kept.clear()
    kept.append(new)
    while len(kept) > 1 and new.taken - kept[1].taken >= WINDOW_SECONDS:
        kept.popleft()
