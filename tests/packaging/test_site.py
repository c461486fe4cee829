"""The pages of the site that follow from the program: nothing of it is missing there, and nothing is made up."""

import importlib
import re
import sys

import click
import pytest

from wsisam.v1 import annotations_pb2, geometry_pb2, segmentation_pb2
from wsisam_server import client
from wsisam_server.cli import main
from wsisam_server.core.errors import Reason

SECTION = re.compile(r"^### ([A-Z_]+)$\n(.*?)(?=^#{2,3} |\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture
def maker(repository, monkeypatch):
    """Imports a module of docs/site by its name."""
    monkeypatch.setattr(sys, "path", [str(repository / "docs" / "site"), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return importlib.import_module


def sections(repository):
    return SECTION.findall((repository / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))


def client_reasons(repository):
    path = repository / "qupath_script/src/main/java/io/wsisam/client/connection/ClientReason.java"
    return re.findall(r'String (\w+) = "\1";', path.read_text(encoding="utf-8"))


def test_every_reason_has_one_section_and_no_section_is_of_none(repository):
    found = [name for name, _ in sections(repository)]
    ours = client_reasons(repository)
    assert len(ours) > 10
    assert sorted(found) == sorted([*(reason.name for reason in Reason), *ours])


@pytest.mark.parametrize("part", ["- **Why.** ", "- **Do.** "])
def test_every_reason_says_why_and_what_to_do(repository, part):
    assert [name for name, text in sections(repository) if text.count(f"\n{part}") != 1] == []


def test_every_reason_has_the_catalogues_status(repository):
    said = {name: re.findall(r"\A\n`(\w+)`\. ", text) for name, text in sections(repository)}
    assert {name: codes for name, codes in said.items() if name in Reason.__members__} == {
        reason.name: [reason.value.code.name] for reason in Reason
    }


def test_the_contracts_page_has_all_of_the_contract(repository, maker):
    page = maker("contract_pages").page(repository / "protos")
    parts = re.split(r"^### (\w+)$", page, flags=re.MULTILINE)
    by_name = dict(zip(parts[1::2], parts[2::2], strict=True))
    for file in (annotations_pb2.DESCRIPTOR, geometry_pb2.DESCRIPTOR, segmentation_pb2.DESCRIPTOR):
        for name, message in file.message_types_by_name.items():
            rows = re.findall(r"^\| `(\w+)` \| `[^`]+` \| (\d+) \| (.*) \|$", by_name.pop(name), re.MULTILINE)
            assert {(field.name, str(field.number)) for field in message.fields} == {row[:2] for row in rows}, name
        for name, enum in file.enum_types_by_name.items():
            rows = re.findall(r"^\| `(\w+)` \|  \| (\d+) \|", by_name.pop(name), re.MULTILINE)
            assert {(value.name, str(value.number)) for value in enum.values} == set(rows), name
        for name, service in file.services_by_name.items():
            methods = re.findall(r"^#### (\w+)$", by_name.pop(name), re.MULTILINE)
            assert [method.name for method in service.methods] == methods
    assert by_name == {}


def test_a_comment_stays_with_what_it_stands_above(repository, maker):
    page = maker("contract_pages").page(repository / "protos")
    assert "| `downsample` | `double` | 2 | Level-0 pixels per screen pixel; below 1 when magnified." in page
    assert "### Point\n\n*message*\n\nA position on the slide.\n" in page


def test_a_line_that_is_not_understood_ends_it(maker, tmp_path):
    folder = tmp_path / "wsisam" / "v1"
    folder.mkdir(parents=True)
    (folder / "segmentation.proto").write_text("message A {\n  group B = 1 {\n")
    with pytest.raises(ValueError, match=r"segmentation.proto, line 2: group B"):
        maker("contract_pages").page(tmp_path)


def commands(command, path):
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), f"{path} {name}")


def test_the_commands_page_has_every_command_with_its_options(maker):
    page = maker("command_pages").page()
    assert re.findall(r"^##+ (wsisam.*)$", page, re.MULTILINE) == [*commands(main, "wsisam")]
    assert page.count("Usage: wsisam ") == page.count("\n## ") + page.count("\n### ")
    assert "--embedding-store-bytes" in page


def test_the_python_page_has_every_public_name(repository):
    text = (repository / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    named = re.findall(r"^::: wsisam_server\.client\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(client.__all__)
