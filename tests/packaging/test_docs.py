"""What the documentation points at is there: links between pages, and files that the map names."""

import re

import pytest

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w./-]+\.(?:py|java|groovy|proto))`")
ANCHOR = re.compile(r"^#+ (.+)$", re.MULTILINE)

PLACES = (
    "",
    "server/wsisam_server",
    "qupath_script/src/main/java/io/wsisam",
    "qupath_script/src/main/groovy",
)
"""What the paths of docs/architecture.md are relative to, as it says itself."""


MADE = {"contract.md", "commands.md"}
"""Pages of docs/reference that are made when the site is built; `make site` checks links to them and in them."""

FUNCTIONS = re.compile(r"`([\w/]+\.(?:py|java|groovy))`: `(\w+)`")


def pages(repository):
    folders = (repository / "docs", repository / "examples")
    return sorted([*repository.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    headings = ANCHOR.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if target.parent.name == "reference" and target.name in MADE:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


def test_links_between_pages_lead_somewhere(repository):
    broken = {
        str(page.relative_to(repository)): links for page in pages(repository) if (links := [*broken_links(page)])
    }
    assert broken == {}


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "b.md").write_text("# A heading, and more\n")
    page = tmp_path / "a.md"
    page.write_text("[x](b.md) [y](b.md#a-heading-and-more) [z](c.md) [w](b.md#gone) [v](https://example.org/d.md)")
    assert [*broken_links(page)] == ["c.md", "b.md#gone"]


def test_each_picture_is_shown_and_small(repository):
    text = "".join(page.read_text(encoding="utf-8") for page in pages(repository))
    pictures = sorted((repository / "docs" / "images").iterdir())
    assert [path.name for path in pictures if f"images/{path.name})" not in text] == []
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []


def code_lines(page):
    """The lines of a page's indented code."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    return {" ".join(line.split()) for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)}


def test_the_labs_tutorial_shows_only_commands_that_the_walk_runs(repository):
    """tests/walks/test_admin_page.py runs those of docs/admin.md."""
    shown = code_lines(repository / "docs" / "tutorials" / "lab-server.md")
    assert len(shown) > 15
    assert shown - code_lines(repository / "docs" / "admin.md") == set()


def test_files_that_the_map_names_exist(repository):
    named = set(FILE.findall((repository / "docs" / "architecture.md").read_text(encoding="utf-8")))
    assert len(named) > 50
    assert sorted(name for name in named if not any((repository / place / name).exists() for place in PLACES)) == []


def test_functions_that_the_map_names_exist(repository):
    named = FUNCTIONS.findall((repository / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for name, function in named:
        (path,) = [path for place in PLACES if (path := repository / place / name).exists()]
        declared = rf"(def|class|void|static|private|public|[\w<>\[\]]+) {function}\b[(:]"
        assert re.search(declared, path.read_text(encoding="utf-8")), (name, function)


def test_every_decision_is_in_the_index_once(repository):
    folder = repository / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    linked = sorted(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert linked == records
    assert [name[:4] for name in records] == [f"{number:04d}" for number in range(1, len(records) + 1)]


@pytest.mark.parametrize("part", ["Context", "Decision", "Consequences"])
def test_every_decision_has_all_its_parts(repository, part):
    records = (repository / "docs" / "decisions").glob("[0-9]*.md")
    assert [path.name for path in records if f"\n## {part}\n" not in path.read_text(encoding="utf-8")] == []
