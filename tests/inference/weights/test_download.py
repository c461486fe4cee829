"""Adding models from the web, from a server on this machine."""

import dataclasses
import hashlib
import re

import pytest
import xxhash

from support.http import serving
from support.models import Quiet
from wsisam_server.inference.weights import PUBLISHED, ModelSpec, WeightsError, add, verify


@pytest.fixture(scope="module")
def web(sam, additions):
    data = sam.read_bytes()
    with serving({"/sam.pth": data, "/unmeasured.pth": data, "/more.safetensors": additions.read_bytes()}) as address:
        yield address


def spec(web, *path, **more):
    return ModelSpec("downloaded", {"sam": "/".join((web, *path))}, **more)


@pytest.mark.parametrize(("path", "is_measured"), [("sam.pth", True), ("moved", True), ("unmeasured.pth", False)])
def test_a_download_is_the_file(folder, web, sam, path, is_measured):
    listener = Quiet()
    record = add(folder, spec(web, path), listener)
    file = record.files["sam"]
    assert file.sha256 == hashlib.sha256(sam.read_bytes()).hexdigest()
    assert (file.file, file.source) == ("sam.pth", f"{web}/{path}")
    size = sam.stat().st_size
    assert listener.fetched["sam"][1] == (size if is_measured else None)
    if is_measured:
        assert listener.fetched["sam"][0] == size
    assert all(finding.state == "ok" for finding in verify(folder))


def test_safetensors_stay_safetensors(folder, web):
    record = add(folder, ModelSpec("added", {"additions": f"{web}/more.safetensors"}), Quiet())
    assert record.files["additions"].file == "additions.safetensors"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nothing.pth", "cannot be downloaded: 404"),
        ("cut", "cannot be downloaded|broke off"),
        ("page", "not a readable file of tensors only. Does the link lead to the file itself"),
    ],
)
def test_what_does_not_come_whole_is_never_seen(folder, web, everything, path, problem):
    with pytest.raises(WeightsError, match=problem) as raised:
        add(folder, spec(web, path), Quiet())
    assert f"{web}/{path}" in str(raised.value)
    assert "Nothing was added" in str(raised.value)
    assert everything() == []


def test_a_server_that_is_not_there(folder, everything):
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        add(folder, spec("http://127.0.0.1:1", "sam.pth"), Quiet())
    assert everything() == []


def test_an_interrupted_download_leaves_nothing(folder, web, everything):
    class Stop(Quiet):
        def fetching(self, part, done, total):
            if done > total / 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(folder, spec(web, "sam.pth"), Stop())
    assert everything() == []


def test_a_download_for_which_there_is_no_room(folder, web, everything, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(WeightsError, match="has room for 1000"):
        add(folder, spec(web, "sam.pth"), Quiet())
    assert everything() == []


@pytest.fixture
def local_recipes(web, sam, monkeypatch):
    """The recipes, with another file behind their addresses."""
    for name, published in PUBLISHED.items():
        monkeypatch.setitem(PUBLISHED, name, dataclasses.replace(published, url=f"{web}/sam.pth"))
    return hashlib.sha256(sam.read_bytes()).hexdigest()


def test_a_known_name_needs_no_file(folder, local_recipes, monkeypatch):
    published = PUBLISHED["sam-vit-b"]
    monkeypatch.setitem(PUBLISHED, "sam-vit-b", dataclasses.replace(published, checksum=local_recipes))
    record = add(folder, ModelSpec("sam-vit-b", {}), Quiet())
    assert (record.licence, record.source) == ("Apache-2.0", published.source)
    assert record.files["sam"].source == published.url


@pytest.mark.parametrize("name", ["mobile-sam", "sam-vit-b", "sam-vit-l", "sam-vit-h"])
def test_a_known_name_has_a_known_checksum(folder, local_recipes, everything, name):
    with pytest.raises(WeightsError, match=f"SHA-256 is {local_recipes}, and {PUBLISHED[name].checksum} was expected"):
        add(folder, ModelSpec(name, {}), Quiet())
    assert everything() == []


@pytest.mark.parametrize("name", ["wsisam-tiny", "wsisam-vit-b", "wsisam-vit-l", "wsisam-vit-h"])
def test_the_papers_models_download_their_frozen_sam_alone(folder, local_recipes, name):
    with pytest.raises(WeightsError, match="its authors' files are needed too"):
        add(folder, ModelSpec(name, {}), Quiet())
    with pytest.raises(WeightsError, match=f"and {PUBLISHED[name].checksum} was expected"):
        add(folder, ModelSpec(name, {"high": "net_high.pth", "low": "net_low.pth"}), Quiet())


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_published_models_are_complete(published):
    assert published.url.startswith("https://")
    assert published.source.startswith("https://")
    assert re.fullmatch("[0-9a-f]{64}|xxh128:[0-9a-f]{32}", published.checksum)
    assert published.licence in {"Apache-2.0", "CC-BY-4.0"}


@pytest.mark.parametrize("right", [True, False])
def test_a_checksum_may_be_the_one_that_micro_sam_states(folder, local_recipes, sam, monkeypatch, everything, right):
    stated = xxhash.xxh3_128_hexdigest(sam.read_bytes()) if right else "0" * 32
    published = PUBLISHED["patho-sam-vit-b"]
    monkeypatch.setitem(PUBLISHED, "patho-sam-vit-b", dataclasses.replace(published, checksum=f"xxh128:{stated}"))
    if right:
        record = add(folder, ModelSpec("patho-sam-vit-b", {}), Quiet())
        assert (record.licence, record.source) == ("CC-BY-4.0", published.source)
    else:
        with pytest.raises(WeightsError, match=f"XXH3-128 is [0-9a-f]{{32}}, and {stated} was expected"):
            add(folder, ModelSpec("patho-sam-vit-b", {}), Quiet())
        assert everything() == []
