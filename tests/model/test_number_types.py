"""When another number type of the encoder counts as good, and how weights say so."""

import pytest

from wsisam_model import CheckpointError, registry
from wsisam_model.additions import Additions, pack
from wsisam_model.number_types import Difference, TypeFinding, from_json, to_json


def finding(mean=0.0, low=-0.002, clicks=0.0, sets=("glands", "nuclei")):
    one = Difference(40, mean, low)
    good = Difference(40, 0.0, -0.001)
    dice = {name: {"box": good, "1": good} for name in sets}
    dice[sets[-1]]["1"] = one
    return TypeFinding(dice, dict.fromkeys(sets, 0.0) | {sets[-1]: clicks})


@pytest.mark.parametrize(
    ("found", "is_as_good"),
    [
        (finding(), True),
        (finding(mean=-0.003, low=-0.006, clicks=0.1), True),
        (finding(mean=-0.0031), False),
        (finding(low=-0.0061), False),
        (finding(clicks=0.11), False),
        (TypeFinding({}, {}), False),
        (TypeFinding(finding().dice, {}), False),
    ],
)
def test_no_set_and_no_kind_of_prompt_may_lose(found, is_as_good):
    assert found.is_as_good == is_as_good
    assert from_json(to_json({"bfloat16": found}))["bfloat16"].is_as_good == is_as_good


def test_a_type_that_nobody_knows_is_left_out():
    assert from_json({"bfloat8": {"whatever": 1}}) == {}


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"bfloat16": None},
        {"bfloat16": {"dice": {}}},
        {"bfloat16": {"dice": {"a": {"box": {"objects": 4, "mean": float("nan"), "low": 0.0}}}, "clicks": {"a": 0}}},
        {"bfloat16": {"dice": {"a": {"box": {"mean": 0.0, "low": 0.0}}}, "clicks": {"a": 0}}},
    ],
)
def test_what_is_no_finding_is_refused(said):
    with pytest.raises(ValueError, match="no finding about a number type"):
        from_json(said)


@pytest.fixture
def rewritten(tmp_path):
    """The default weights with a finding."""
    shipped = Additions.read(registry.resolve(registry.DEFAULT)[1].additions, base=None)

    def write(types):
        path = tmp_path / "additions.safetensors"
        tensors, settings = shipped.checkpoint.tensors, shipped.settings
        path.write_bytes(pack(shipped.base, shipped.trained, tensors, settings, types=types))
        return path

    return write


@pytest.mark.model
def test_weights_carry_what_was_found(rewritten):
    found = Additions.read(rewritten({"bfloat16": finding()}), base=None).number_types
    assert found == {"bfloat16": finding()}
    assert Additions.read(rewritten({}), base=None).number_types == {}


@pytest.mark.model
def test_weights_with_a_broken_finding_are_refused_in_words(rewritten, monkeypatch):
    monkeypatch.setattr("wsisam_model.number_types.to_json", lambda _: {"bfloat16": 3})
    with pytest.raises(CheckpointError, match="number type"):
        Additions.read(rewritten({"bfloat16": finding()}), base=None)
