"""The command line: `wsisam serve`, `segment` and the other commands of `COMMANDS`.

In: arguments. Out: text, files and an exit status (0 done, 1 failed, 2 wrong usage). Each
command is a module of its own, imported when it is run: `wsisam --help` must not wait for torch.
"""

from __future__ import annotations

import gc
import importlib
import keyword
import os
import sys
from typing import Any

import click

import wsisam_server
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.system_errors import of_the_system

LOOKS_FOR_CYCLES = (25_000, 20, 20)
"""See `gc.set_threshold`."""

COMMANDS = {
    "serve": "Serve slides and a model to QuPath and other clients.",
    "segment": "Outline objects on one slide.",
    "precompute": "Encode windows of a slide before anybody asks.",
    "everything": "Propose all objects of some size in a region.",
    "evaluate": "Measure a model on drawn objects.",
    "train": "Train a model on drawn objects.",
    "calibrate": "Calibrate a model's scores on drawn objects.",
    "number-types": "Find out whether the encoder may run in bfloat16.",
    "dataset": "Write annotated slides as training data.",
    "weights": "List, add, remove and verify named models.",
    "token": "Make, list and revoke users' tokens.",
    "top": "Show who works on a server, what waits, and how long it takes.",
    "qupath": "Install the client for QuPath, check it, or remove it.",
    "sync": "Sync a QuPath project's annotations with the store.",
    "export": "Write annotations to a file for QuPath or for training.",
    "import": "Store the annotations in files of QuPath, ASAP or ImageScope.",
    "agreement": "Tell how far two people agree about the objects of a slide.",
    "replay": "Ask stored prompts again of another model.",
    "db": "Upgrade, check and back up the annotation store.",
    "doctor": "Check this machine and say what to do.",
    "demo": "Run the whole chain once on a real slide.",
}


class _LazyGroup(click.Group):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click.Command; for consoles of any encoding."""
        for stream in (sys.stdout, sys.stderr):
            # Windows' redirected output knows some 200 letters; a slide's name that has others must not end a command.
            if hasattr(stream, "reconfigure") and stream.errors == "strict":
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """See click.Command; Ctrl+C ends a command with a status of its own, where it says no more itself."""
        with on_stop(str), of_the_system():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"wsisam_server.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(wsisam_server.__version__, prog_name="wsisam")
def main() -> None:
    """WSI-SAM for whole-slide images: prompts in, outlines out.

    All coordinates are level-0 pixels of the slide, as QuPath shows them.
    """
    # Torch, once imported, then takes memory in large pages: the system clears and maps a twentieth as many.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if click.get_current_context().invoked_subcommand != "serve":
        _warn_of_unknown_variables()
    # Python looks for cycles among the newest objects whenever there are 700 more, and often among all of them: of the
    # time that 100,000 annotations take, a third. They have none.
    gc.set_threshold(*LOOKS_FOR_CYCLES)


def _warn_of_unknown_variables() -> None:
    """A misspelt variable changes nothing, which nobody notices. `serve` does not start with one."""
    if any(name.startswith("WSISAM_") for name in os.environ):
        from wsisam_server.cli.configuration_problems import unknown_variables

        for problem in unknown_variables(os.environ):
            click.echo(f"warning: {problem}; it is not used", err=True)
