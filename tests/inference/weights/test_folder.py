"""Records on disk: read back as they were, and everything else refused with what to do."""

import json

import pytest

from support.models import Quiet, add_plain, add_trained, files
from wsisam_server.inference.weights import (
    ModelSpec,
    WeightsError,
    WeightsFolder,
    add,
    default_folder,
    list_models,
    load,
    verify,
)
from wsisam_server.inference.weights.record import RECORD


@pytest.fixture
def edit(folder):
    """Changes the record of a model by hand."""

    def change(model, **values):
        path = folder.path / model / RECORD
        content = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({key: value for key, value in content.items() if value != "gone"}))

    return change


def findings(folder, *names):
    return [(finding.name, finding.state) for finding in verify(folder, names)]


@pytest.mark.model
def test_a_folder_that_is_not_there_is_empty(folder):
    assert folder.names() == []
    assert findings(folder) == [("wsisam-lite", "ok")]
    assert not folder.path.exists()


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be read as a folder"):
        WeightsFolder(tmp_path / "file").names()


def test_the_environment_says_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("WSISAM_WEIGHTS_DIR", str(tmp_path / "there"))
    assert default_folder() == tmp_path / "there"
    monkeypatch.delenv("WSISAM_WEIGHTS_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder().is_relative_to(tmp_path)
    assert default_folder().parts[-2:] == ("wsisam", "weights")


def test_a_model_that_is_not_there_is_named_with_those_that_are(folder):
    add_plain(folder)
    for call in (
        folder.record,
        folder.remove,
        lambda name: load(folder, name),
        lambda name: list(verify(folder, [name])),
    ):
        with pytest.raises(WeightsError, match=r"(?s)'nothing'.*plain.*wsisam weights add nothing"):
            call("nothing")


@pytest.mark.parametrize("name", ["../weights", "a/b", "/etc", "..", ""])
def test_names_never_lead_elsewhere(folder, name):
    add_plain(folder)
    for call in (folder.record, folder.remove):
        with pytest.raises(WeightsError, match="cannot be a model's name"):
            call(name)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "another version of wsisam"),
        ({"format": "gone"}, "no record of a model"),
        ({"name": "other"}, "the record of 'other'"),
        ({"weights_hash": 5}, "weights_hash is 5"),
        ({"image_size": "256"}, "image_size is '256'"),
        ({"nbytes": True}, "nbytes is True"),
        ({"base": 1}, "base is 1"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
        ({"licence": "gone"}, "missing 1 required"),
        ({"settings": {"new": 1}}, "unexpected keyword argument 'new'"),
        ({"settings": {"multimask": "yes"}}, "multimask is 'yes'"),
        ({"settings": {"batch_size": 0}}, "batch_size must be at least 1"),
        ({"files": []}, "AttributeError"),
        ({"files": {"token": {}}}, "no model has a part 'token'"),
        ({"files": {"sam": {"file": "../x", "sha256": "0" * 64, "nbytes": 1, "source": ""}}}, "neither a file of this"),
        ({"files": {"sam": {"file": "x", "sha256": "0", "nbytes": 1, "source": ""}}}, "no SHA-256"),
    ],
)
def test_a_record_that_was_damaged_is_refused(folder, edit, change, problem):
    add_plain(folder)
    edit("plain", **change)
    with pytest.raises(WeightsError, match=problem):
        folder.record("plain")
    assert findings(folder) == [("wsisam-lite", "ok"), ("plain", "damaged")]
    assert problem in list_models(folder)[1].problem
    folder.remove("plain")
    assert folder.names() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", None])
def test_a_record_that_is_none(folder, content):
    add_plain(folder)
    path = folder.path / "plain" / RECORD
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="wsisam weights remove plain"):
        folder.record("plain")
    assert findings(folder, "plain")[0] == ("plain", "damaged")


def test_verify_sees_a_file_that_changed_and_one_that_is_gone(folder, tmp_path):
    copy = tmp_path / "sam.pth"
    copy.write_bytes(files().sam.read_bytes())
    record = add_plain(folder)
    linked = add(folder, ModelSpec("linked", {"sam": str(copy)}, link=True), Quiet())
    assert linked.weights_hash == record.weights_hash
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    (finding,) = verify(folder, ["linked"])
    assert (finding.state, "has changed" in finding.text) == ("damaged", True)
    with pytest.raises(WeightsError, match="wsisam weights verify linked"):
        load(folder, "linked")
    copy.unlink()
    (finding,) = verify(folder, ["linked"])
    assert (finding.state, "is gone" in finding.text) == ("missing", True)
    with pytest.raises(WeightsError, match="no such file"):
        load(folder, "linked")


def test_verify_loads_what_has_the_right_checksum(folder, edit):
    add_plain(folder)
    edit("plain", weights_hash="0" * 64)
    (finding,) = verify(folder, ["plain"])
    assert finding.state == "damaged"
    assert "other weights than those added" in finding.text


def test_verify_sees_what_belongs_to_no_model(folder):
    add_plain(folder)
    (folder.path / "plain" / "notes.txt").write_text("mine")
    (folder.path / "stray").mkdir()
    assert findings(folder) == [
        ("wsisam-lite", "ok"),
        ("plain", "ok"),
        (str(folder.path / "plain" / "notes.txt"), "unknown"),
        ("stray", "damaged"),
    ]


def test_a_model_whose_base_was_deleted_by_hand(folder):
    add_plain(folder)
    add_trained(folder, base="plain")
    (folder.path / "plain" / RECORD).unlink()
    (folder.path / "plain").rmdir()
    assert findings(folder, "trained") == [("trained", "missing")]
    with pytest.raises(WeightsError, match="plain"):
        load(folder, "trained")


def test_the_overview_tells_models_apart(folder):
    add_plain(folder, licence="Apache-2.0", source="our shelf")
    add_trained(folder)
    lite, plain, trained = list_models(folder)
    assert (lite.name, lite.built_in, plain.built_in) == ("wsisam-lite", True, False)
    assert lite.weights_hash == trained.weights_hash != plain.weights_hash
    assert (plain.licence, plain.source, trained.licence) == ("Apache-2.0", "our shelf", "")
    assert trained.description.endswith("on wsisam-lite")
    assert not any(known.problem for known in (lite, plain, trained))
