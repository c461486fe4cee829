"""The contract is frozen: what the last release had is still there, and `make lint` notices what is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from wsisam.v1 import annotations_pb2, geometry_pb2, segmentation_pb2

RELEASED = "protos/released/wsisam.v1.binpb"

BREAKS = {
    "a field goes": ("segmentation", "  string licence = 9;", "", 'field "9" with name "licence"'),
    "a field has another number": ("segmentation", "string licence = 9;", "string licence = 90;", '"licence"'),
    "a field has another type": ("geometry", "  double downsample = 2;", "  float downsample = 2;", '"downsample"'),
    "a field has another name": ("annotations", "string label = 9;", "string title = 9;", '"label"'),
    "a method goes": ("annotations", "  rpc Watch(AnnotationsWatchRequest)", "  // rpc Watch(", 'RPC "Watch"'),
    "a method streams no longer": ("annotations", "returns (stream AnnotationsWatchResponse)", "returns (AnnotationsWatchResponse)", '"Watch"'),
    "a message goes": ("annotations", "message SyncEnd {}", "message SyncFinish {}", 'message "SyncEnd"'),
    "a value of an enum goes": ("annotations", "  CHANGE_KIND_RESTORED = 3;", "", 'enum value "3"'),
}  # fmt: skip


@pytest.fixture
def buf():
    path = shutil.which("buf", path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip("needs buf: make lint installs it")
    return path


@pytest.fixture
def checkout(repository, tmp_path):
    shutil.copy(repository / "buf.yaml", tmp_path)
    for folder in ("protos", "third_party"):
        shutil.copytree(repository / folder, tmp_path / folder)
    return tmp_path


def breaking(buf, checkout):
    return subprocess.run(
        [buf, "breaking", "protos", "--against", RELEASED], cwd=checkout, capture_output=True, text=True, check=False
    )


def test_what_lint_runs_is_what_is_tried_here(repository):
    makefile = (repository / "Makefile").read_text()
    assert f"RELEASED := {RELEASED}\n" in makefile
    assert "buf breaking protos --against $(RELEASED)\n" in makefile
    (lint,) = [rule for rule in makefile.split("\n\n") if rule.startswith("lint:")]
    assert " breaking " in lint


def test_the_contract_keeps_what_was_released(buf, checkout):
    done = breaking(buf, checkout)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_clients_is_refused(buf, checkout, name):
    file, before, after, said = BREAKS[name]
    path = checkout / "protos" / "wsisam" / "v1" / f"{file}.proto"
    text = path.read_text()
    assert before in text
    text = text.replace(before, after)
    if "SyncFinish" in after:
        text = text.replace("SyncEnd end", "SyncFinish end")
    path.write_text(text)
    done = breaking(buf, checkout)
    assert done.returncode == 100, done.stdout + done.stderr
    assert said in done.stdout


def test_what_is_added_is_not_refused(buf, checkout):
    path = checkout / "protos" / "wsisam" / "v1" / "segmentation.proto"
    path.write_text(path.read_text().replace("  string licence = 9;", "  string licence = 9;\n  string more = 99;"))
    assert breaking(buf, checkout).returncode == 0


def test_the_released_contract_has_the_fields_that_the_generated_code_has(repository):
    """Without buf: all of the release is in what runs, by name and number."""
    released = descriptor_pb2.FileDescriptorSet.FromString((repository / RELEASED).read_bytes())
    now = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in (annotations_pb2, geometry_pb2, segmentation_pb2)}
    ours = [file for file in released.file if file.package == "wsisam.v1"]
    assert {file.name for file in ours} == set(now)
    count = 0
    for file in ours:
        for message in file.message_type:
            fields = now[file.name].message_types_by_name[message.name].fields_by_name
            for field in message.field:
                assert fields[field.name].number == field.number
                count += 1
    assert count > 300
