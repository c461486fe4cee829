"""Adding models from local files: what is recorded, what is refused, and that nothing half is ever seen."""

import errno
import hashlib
import pickle
import resource
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import torch

from support.models import Quiet, add_plain, add_trained
from wsisam_model import WsiSam
from wsisam_model.branch import WsiParts
from wsisam_server.inference.weights import ModelSpec, WeightsError, WeightsFolder, add, load, verify
from wsisam_server.inference.weights.staging import leftovers, write_error


class Hostile:
    """Unpickling it would call print."""

    def __reduce__(self):
        return (print, ("ran",))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_copied_hashed_and_loaded_once(folder, sam):
    listener = Quiet()
    record = add(folder, ModelSpec("plain", {"sam": str(sam)}, licence="Apache-2.0", source="a friend"), listener)
    assert folder.names() == ["plain"]
    assert folder.record("plain") == record
    file = record.files["sam"]
    assert (file.file, file.sha256, file.nbytes) == ("sam.pth", sha256(sam), sam.stat().st_size)
    assert sha256(folder.path / "plain" / "sam.pth") == file.sha256
    assert (record.licence, record.source, record.base) == ("Apache-2.0", "a friend", None)
    expected = WsiSam.from_files(sam)
    assert (record.weights_hash, record.nbytes) == (expected.weights_hash, expected.nbytes)
    assert (record.description, record.image_size, record.uses_low) == ("TinyViT, 256 px, SAM alone", 256, False)
    assert listener.fetched == {"sam": (file.nbytes, file.nbytes)}
    assert listener.checked == 1
    loaded = load(folder, "plain")
    assert (loaded.name, loaded.weights_hash) == ("plain", record.weights_hash)


def test_nbytes_is_what_the_weights_take(sam):
    model = WsiSam.from_files(sam)
    parameters = sum(tensor.numel() for tensor in torch.load(sam, weights_only=True).values())
    # folding the batch norms takes away a little, and the relative positions are buffers
    assert model.nbytes == pytest.approx(4 * parameters, rel=0.05)


def test_a_linked_file_stays_where_it_is(folder, sam):
    record = add_plain(folder)
    assert record.files["sam"].file == str(sam)
    assert sorted(path.name for path in (folder.path / "plain").iterdir()) == ["model.json"]
    folder.remove("plain")
    assert sam.is_file()


def test_additions_alone_are_for_the_default_model(folder, additions):
    record = add_trained(folder)
    assert record.base == "wsisam-lite"
    assert set(record.files) == {"additions"}
    assert load(folder, "trained").weights_hash == WsiSam.from_name("wsisam-lite").weights_hash


def test_the_papers_three_files_go_in_with_one_command(folder, sam, tmp_path):
    prefix = "mask_decoder."
    frozen = {
        key.removeprefix(prefix): value
        for key, value in torch.load(sam, weights_only=True).items()
        if key.startswith(prefix)
    }
    origins = {"sam": str(sam)}
    for part in ("high", "low"):
        origins[part] = str(tmp_path / f"net_{part}.pth")
        torch.save(frozen | WsiParts(160).state_dict(), origins[part])
    record = add(folder, ModelSpec("wsisam-tiny", origins), Quiet())
    assert (record.description, record.uses_low) == ("TinyViT, 256 px, HR and LR token", True)
    assert set(record.files) == {"sam", "high", "low"}
    assert load(folder, "wsisam-tiny").weights_hash == WsiSam.from_files(**origins).weights_hash


def test_a_model_that_others_use_is_not_removed(folder, additions):
    add_plain(folder)
    add_trained(folder, base="plain")
    with pytest.raises(WeightsError, match="trained use the frozen SAM"):
        folder.remove("plain")
    folder.remove("trained")
    folder.remove("plain")
    assert folder.names() == []


def test_settings_are_what_the_files_want_unless_said_otherwise(folder):
    spec = add_trained(folder, "as-it-wants").settings
    other = add_trained(folder, "otherwise", settings={"multimask": True, "box_route": False}).settings
    assert spec == WsiSam.from_name("wsisam-lite").settings
    assert other == replace(spec, multimask=True, box_route=False)
    assert load(folder, "otherwise").settings == other


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "Upper"}, "small letters"),
        ({"name": "../up"}, "small letters"),
        ({"name": ".hidden"}, "small letters"),
        ({"name": "a" * 65}, "small letters"),
        ({"name": ""}, "small letters"),
        ({"name": "wsisam-lite"}, "built in"),
        ({"name": "custom"}, "built in"),
        ({"origins": {"sam": "/no/such/file.pth"}}, "no such file"),
        ({"origins": {"sam": "/tmp"}}, "no such file"),
        ({"origins": {}}, "--sam FILE is needed"),
        ({"origins": {}, "base": "wsisam-lite"}, "nothing is added"),
        ({"base": "wsisam-lite"}, "takes the place of --sam"),
        ({"origins": {"additions": "x"}, "base": "nothing"}, "no model 'nothing'"),
        ({"origins": {"sam": "x", "low": "y"}}, "--low needs --high"),
        ({"origins": {"sam": "x", "high": "y", "additions": "z"}}, "takes the place of --high"),
        ({"checksums": {"high": "0" * 64}}, "no file"),
        ({"settings": {"batch_size": 0}}, "batch_size must be at least 1"),
        ({"name": "wsisam-tiny", "origins": {}}, "--high net_high.pth --low net_low.pth"),
    ],
)
def test_what_makes_no_model_is_refused(folder, sam, everything, change, problem):
    with pytest.raises(WeightsError, match=problem):
        add(folder, ModelSpec(**{"name": "plain", "origins": {"sam": str(sam)}, "link": True, **change}), Quiet())
    assert everything() == []


def test_a_name_is_given_once(folder, sam, everything):
    add_plain(folder)
    with pytest.raises(WeightsError, match="wsisam weights remove plain"):
        add_plain(folder)
    assert everything() == ["plain"]


@pytest.mark.parametrize("link", [True, False])
def test_a_wrong_checksum(folder, sam, everything, link):
    with pytest.raises(WeightsError, match=f"SHA-256 is {sha256(sam)}, and {'0' * 64} was expected"):
        add(folder, ModelSpec("plain", {"sam": str(sam)}, checksums={"sam": "0" * 64}, link=link), Quiet())
    assert everything() == []
    add(folder, ModelSpec("plain", {"sam": str(sam)}, checksums={"sam": sha256(sam).upper()}, link=True), Quiet())


@pytest.mark.model
@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", pickle.dumps({"weight": Hostile()})], ids=["empty", "text", "code"]
)
def test_what_is_no_checkpoint_is_never_seen(folder, tmp_path, everything, capsys, content):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"file\.pt: not a readable file of tensors only"):
        add(folder, ModelSpec("bad", {"sam": str(path)}), Quiet())
    assert everything() == []
    assert "ran" not in capsys.readouterr().out


def test_additions_of_another_base(folder, tmp_path, sam, additions, everything):
    other = torch.load(sam, weights_only=True)
    other["mask_decoder.iou_token.weight"] += 1
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"wsisam-lite\.safetensors: was trained for another base"):
        add(folder, ModelSpec("mixed", {"sam": str(tmp_path / "other.pth"), "additions": str(additions)}), Quiet())
    assert everything() == []


def test_of_two_who_add_one_name_one_wins(folder, everything):
    both_there = threading.Barrier(2)
    results = []

    class Meeting(Quiet):
        def checking(self):
            both_there.wait(60)

    def run(licence):
        try:
            spec = ModelSpec("same", {"sam": str(sam_file)}, licence=licence, link=True)
            results.append(add(folder, spec, Meeting()).licence)
        except WeightsError as error:
            results.append(str(error))

    sam_file = add_plain(folder).files["sam"].file
    threads = [threading.Thread(target=run, args=(licence,)) for licence in ("MIT", "CC0-1.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    licence, problem = sorted(results, key=len)
    assert "already" in problem
    assert folder.record("same").licence == licence
    assert everything() == ["plain", "same"]


def test_an_interrupted_copy_leaves_nothing(folder, sam, everything):
    class Stop(Quiet):
        def fetching(self, part, done, total):
            if done > total / 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(folder, ModelSpec("plain", {"sam": str(sam)}), Stop())
    assert everything() == []


KILLED = """
import sys, time
from support.models import Quiet
from wsisam_server.inference.weights import ModelSpec, WeightsFolder, add
from pathlib import Path

class Halfway(Quiet):
    def fetching(self, part, done, total):
        if done > total / 2:
            print("halfway", flush=True)
            time.sleep(600)

add(WeightsFolder(Path(sys.argv[1])), ModelSpec("killed", {"sam": sys.argv[2]}), Halfway())
"""


def test_what_a_killed_process_leaves_is_never_seen_and_then_deleted(folder, sam, everything, repository):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder.path), str(sam)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository / "tests",
    )
    try:
        assert process.stdout.readline() == "halfway\n"
        (half,) = (path for path in folder.path.glob(".adding-*") if path.is_dir())
        assert folder.names() == []
        add_plain(folder)
        assert half.is_dir(), "another process is still at work there"
        assert leftovers(folder.path) == []
    finally:
        process.kill()
        process.communicate()
    assert folder.names() == ["plain"]
    assert leftovers(folder.path) == [half]
    assert [finding.state for finding in verify(folder)] == ["ok", "ok", "unknown"]
    add_plain(folder, "another")
    assert everything() == ["another", "plain"]


def test_what_was_to_be_removed_and_was_not_is_deleted_later(folder, everything):
    add_plain(folder)
    (folder.path / "plain").rename(folder.path / ".removed-0")
    assert folder.names() == []
    add_plain(folder)
    assert everything() == ["plain"]


def test_a_disk_that_ends_in_the_middle(folder, sam, everything):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, hard))
    try:
        with pytest.raises(WeightsError, match=r"cannot write to .*weights: File too large\. Nothing was added"):
            add(folder, ModelSpec("plain", {"sam": str(sam)}), Quiet())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything() == []
    assert "its disk is full" in str(write_error(folder.path, OSError(errno.ENOSPC, "No space left on device")))


def test_a_file_for_which_there_is_no_room_is_not_begun(folder, sam, everything, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    listener = Quiet()
    with pytest.raises(WeightsError, match="has room for 1000"):
        add(folder, ModelSpec("plain", {"sam": str(sam)}), listener)
    assert listener.fetched == {}
    assert everything() == []


def test_a_folder_that_cannot_be_made(tmp_path, sam):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="--weights-dir"):
        add_plain(WeightsFolder(tmp_path / "file" / "weights"))
