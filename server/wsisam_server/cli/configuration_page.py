"""docs/configuration.md, made of the settings' declarations: `python -m wsisam_server.cli.configuration_page > PAGE`.

In: the declarations. Out: Markdown. It must never say anything about a setting by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wsisam_server.cli.options import SECTIONS, all_settings, settings_of
from wsisam_server.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.cli.options import Setting

HEAD = """# Configuration of `wsisam serve`

Every setting is a line of a TOML file (`wsisam serve --config FILE`) and an environment variable. Many are options of
the command line too. An option overrides a variable, and a variable overrides the file. `wsisam serve --print-config`
prints what would be used, as such a file. Lists and mappings are written as JSON in a variable: `'["/data/slides"]'`.

This page is generated from the program (`make docs`).
"""


def page() -> str:
    """The page, as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    about = {setting.path[0]: setting.info.description for setting in settings_of(Settings)}
    yield HEAD
    for name in ("", *SECTIONS):
        members = [one for one in all_settings() if (one.path[0] if one.path[0] in SECTIONS else "") == name]
        yield f"## Section `[{name}]`\n\n{about[name]}\n" if name else "## Without a section\n"
        yield "| name | option | default | meaning |"
        yield "|---|---|---|---|"
        yield from map(_row, members)
        yield f"\nVariables: `{members[0].variable}` for `{members[0].path[-1]}`, and so on.\n"


def _row(setting: Setting) -> str:
    option = f"`{setting.flag}`" if setting.flag else ""
    default = f"`{setting.default_text}`" if setting.default_text else ""
    meaning = (setting.info.description or "").replace("|", "\\|")
    return f"| `{setting.path[-1]}` | {option} | {default} | {meaning} |"


if __name__ == "__main__":
    click.echo(page(), nl=False)
