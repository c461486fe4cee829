"""What MkDocs does for this site beside rendering pages: see `mkdocs.yml`.

The pages of the contract and of the commands are made here, from the protos and from the program. Files of the
repository that a page links to become pages of the site, so that each link leads somewhere without a network.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

import command_pages  # MkDocs looks beside its hooks, too
import contract_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
log = logging.getLogger("mkdocs.plugins.wsisam")  # MkDocs counts the warnings of its own loggers

HOME = "repository"
"""The folder of the site that holds pages of repository files."""

INSTEAD = {"protos/wsisam/v1": "reference/contract.md", "README.md": "index.md"}
"""Pages of the site that say the same as a path of the repository."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    root = Path(config.config_file_path).parent
    made = {
        "reference/contract.md": contract_pages.page(root / "protos"),
        "reference/commands.md": command_pages.page(),
    }
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        for path in _linked_files(waiting.pop(), root):
            if path not in seen:
                seen.add(path)
                made[_page_of(path)] = _shown(path, (root / path).read_text(encoding="utf-8"))
                waiting += [path] if path.endswith(".md") else []
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs' own
    """Leads links to files of the repository to their pages here."""
    here = page.file.src_uri
    source = here.removeprefix(f"{HOME}/") if here.startswith(f"{HOME}/") else f"docs/{here}"
    root = Path(config.config_file_path).parent

    def led(target: str) -> str:
        path = _in_repository(target, source)
        goal = INSTEAD.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else _page_of(path))
        known = path in INSTEAD or (root / path).is_file()
        return posixpath.relpath(goal, posixpath.dirname(here)) if known else target

    return _with_links(markdown, lambda target: led(target) if _leaves(target, source) else target)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs' own
    """Warns, which ends a strict build, of what a page would load from a network."""
    for found in LOADED.finditer(output):
        log.warning("'%s' loads something from a network: %s", page.file.src_uri, found[0])
    return output


def _linked_files(source: str, root: Path) -> Iterator[str]:
    """The files of the repository, outside docs/, that a page links to."""
    path = root / source
    if path.is_file():
        for _, target, _, _ in LINK.findall(path.read_text(encoding="utf-8")):
            goal = _in_repository(target, source)
            ours = goal in INSTEAD or goal.startswith("docs/") or not _leaves(target, source)
            if not ours and (root / goal).is_file():
                yield goal


def _leaves(target: str, source: str) -> bool:
    """Whether a link leads out of docs/, or stands on a page that lies outside."""
    if ":" in target:
        return False
    return not (source.startswith("docs/") and _in_repository(target, source).startswith("docs/"))


def _in_repository(target: str, source: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _page_of(path: str) -> str:
    return f"{HOME}/{path}" if path.endswith(".md") else f"{HOME}/{path}.md"


def _shown(path: str, text: str) -> str:
    """A file as a page: Markdown as it is, anything else as code."""
    if path.endswith(".md"):
        return text
    language = {".py": "python", ".proto": "protobuf", ".json": "json"}.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}\n````\n"


def _with_links(markdown: str, led: Callable[[str], str]) -> str:
    return LINK.sub(lambda found: f"{found[1]}{led(found[2])}{found[3] or ''}{found[4]}", markdown)
