"""How two evaluations in two number types are compared, and what `wsisam number-types` does with them."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from wsisam_server.cli import main
from wsisam_server.inference.encoders import Processor
from wsisam_server.learning.evaluation import KINDS, Journal, Kept, compared
from wsisam_server.learning.evaluation.interaction import CAP
from wsisam_server.learning.evaluation.measures import Measured

ANSWER = Measured("", 0.9, 0.8, 0.9, 1, 0, 1.0, 1, 1, 0, 0)


def answers(worse=0.0, good_after=2):
    """Of one object: by the high-resolution branch alone, and as a server answers."""
    asked = [replace(ANSWER, prompt="box", dice=0.9 - worse)]
    asked += [
        replace(ANSWER, prompt=str(count), dice=0.9 - worse, iou=0.9 if count >= good_after else 0.5)
        for count in range(1, CAP + 1)
    ]
    return {"hr": [replace(one, dice=0.1) for one in asked], "hr+lr": asked}


def kept(*objects):
    return Kept(answers={(1, number): one for number, one in enumerate(objects)})


def test_differences_are_of_what_a_server_answers():
    found, more = compared(kept(answers(), answers()), kept(answers(0.02, 4), answers()), seed=0)
    assert list(found) == list(KINDS)
    assert {(one.objects, one.mean) for one in found.values()} == {(2, -0.01)}
    assert all(one.low == -0.02 for one in found.values())
    assert more == 1.0


def test_an_object_that_never_gets_there_counts_as_many_clicks_as_there_are():
    _, more = compared(kept(answers()), kept(answers(good_after=CAP + 1)), seed=0)
    assert more == CAP - 2


@pytest.mark.parametrize("other", [kept(), kept(answers(), answers())])
def test_other_objects_cannot_be_compared(other):
    with pytest.raises(ValueError, match="different objects"):
        compared(kept(answers()), other, seed=0)


def test_what_a_journal_holds_counts_and_what_is_new_goes_there(tmp_path):
    path = tmp_path / "a.journal"
    Journal(path, {}).add(1, 0, answers())
    one = Kept(Journal(path, {}))
    assert one.get(1, 0) is not None
    assert one.get(1, 1) is None
    one.add(1, 1, answers())
    assert set(one.answers) == {(1, 0), (1, 1)}
    assert Journal(path, {}).get(1, 1) is not None


def test_a_processor_without_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Processor, "has_bfloat16", False)
    (tmp_path / "a.csv").write_text("image,mask\n")
    words = ["number-types", str(tmp_path / "a.csv"), "--out", str(tmp_path / "out.safetensors")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "no bfloat16" in done.output
    assert not (tmp_path / "out.safetensors").exists()
