"""The contract: generated code is current, and the comments of the contract agree with the catalogue."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from wsisam.v1 import annotations_pb2, segmentation_pb2
from wsisam_server.core.errors import Reason


def test_generated_code_is_current(repository, tmp_path):
    if sys.version_info >= (3, 14):
        pytest.skip("the pinned generator has no wheel for this Python")
    # The type plug-in is a program beside the interpreter.
    plugins = {
        name: shutil.which(name, path=str(Path(sys.executable).parent))
        for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    }
    assert all(plugins.values()), f"missing plug-ins: {plugins}"
    protos = sorted((repository / "protos" / "wsisam" / "v1").glob("*.proto"))
    outputs = ("--python_out", "--grpc_python_out", "--mypy_out", "--mypy_grpc_out")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", f"-I{repository / 'protos'}"]
        + [f"-I{repository / 'third_party' / 'googleapis'}"]
        + [f"--plugin={name}={path}" for name, path in plugins.items()]
        + [f"{output}={tmp_path}" for output in outputs]
        + [str(path) for path in protos],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    generated = tmp_path / "wsisam" / "v1"
    checked_in = repository / "server" / "wsisam" / "v1"
    names = {path.name for path in generated.iterdir()}
    assert names == {path.name for path in checked_in.iterdir() if "_pb2" in path.name}
    for name in sorted(names):
        assert (generated / name).read_text() == (checked_in / name).read_text(), f"{name}: run make protos"


def test_every_reason_of_the_catalogue_is_documented(repository):
    protos = (repository / "protos" / "wsisam" / "v1").glob("*.proto")
    text = "".join(path.read_text() for path in protos)
    assert [reason.name for reason in Reason if not re.search(rf"\b{reason.name}\b", text)] == []


def test_every_reason_that_a_comment_names_is_one(repository):
    text = "".join(path.read_text() for path in (repository / "protos" / "wsisam" / "v1").glob("*.proto"))
    comments = "\n".join(re.findall(r"//(.*)$", text, re.MULTILINE))
    values = set(re.findall(r"^  ([A-Z_]+) = \d+;", text, re.MULTILINE))
    known = {reason.name for reason in Reason} | {code.name for code in grpc.StatusCode} | values
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", comments)) - known == set()


def test_every_reason_of_the_catalogue_is_given_to_something_somewhere(repository):
    """To an error, or to what makes one; comparing with it does not count."""
    server, given = repository / "server" / "wsisam_server", set()
    for path in sorted(server.rglob("*.py")):
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Dict | ast.Tuple | ast.IfExp)]
        nodes = [node for node in nodes if path != server / "core" / "errors.py" or isinstance(node, ast.Call)]
        values = [one for node in nodes for one in ast.iter_child_nodes(node)]
        values += [
            one for node in values if isinstance(node, ast.keyword | ast.IfExp) for one in ast.iter_child_nodes(node)
        ]
        given |= {one.attr for one in values if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "Reason"}
    assert {reason.name for reason in Reason} - given == set()


ACTIONS = {
    "add",
    "ask",
    "call",
    "cancel",
    "choose",
    "close",
    "connect",
    "convert",
    "draw",
    "give",
    "keep",
    "list",
    "look",
    "number",
    "repair",
    "report",
    "send",
    "tell",
    "try",
    "wait",
    "watch",
    "zoom",
}
SELF_EXPLAINED = {
    Reason.ANNOTATION_NOT_FOUND,
    Reason.INVALID_FIELD,  # {problem} says it
    Reason.MODEL_UNAVAILABLE,
    Reason.PROMPT_CANCELLED,
    Reason.PROMPT_OUTSIDE_SLIDE,
    Reason.REGION_OUTSIDE_SLIDE,
    Reason.SESSION_ALREADY_STARTED,
    Reason.SLIDE_UNREADABLE,  # {advice} says it
    Reason.SUPERSEDED,
    Reason.TOO_MANY_POINTS,
}
"""What has to be done, if anything, is plain from what is wrong."""


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_every_text_says_what_to_do(reason):
    text = reason.value.text
    assert text.endswith(".")
    first_words = {part.split()[0].lower() for part in re.split(r"[.;:,] +(?:then |or )?|\.$", text) if part}
    assert (reason in SELF_EXPLAINED) != bool(first_words & ACTIONS)


def test_the_services_have_the_methods_that_clients_are_told_of():
    methods = [method.name for method in segmentation_pb2.DESCRIPTOR.services_by_name["Segmentation"].methods]
    assert methods == [
        "ListModels",
        "OpenSlide",
        "CloseSlide",
        "Segment",
        "SegmentBatch",
        "Interact",
        "SegmentEverything",
    ]
    methods = [method.name for method in annotations_pb2.DESCRIPTOR.services_by_name["Annotations"].methods]
    assert methods == [
        "Save",
        "Get",
        "List",
        "Delete",
        "Restore",
        "ListRevisions",
        "ListSlides",
        "GetStore",
        "Watch",
        "Sync",
    ]
