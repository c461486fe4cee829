import dataclasses

import pytest

from support.encoders import CONDITIONS, FASTER, SLOWER
from wsisam_server.inference.encoders import Finding, Processor


def test_is_read_as_it_was_written(make_finding):
    finding = make_finding(checked=(256,))
    assert Finding.from_json(finding.to_json()) == finding


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', '{"format": 99}', "\x00"])
def test_anything_else_is_no_finding(text):
    with pytest.raises(ValueError):
        Finding.from_json(text)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(CONDITIONS)])
def test_each_condition_has_a_key_of_its_own(field):
    other = dataclasses.replace(CONDITIONS, **{field: 3 if field == "threads" else "other"})
    assert other.key != CONDITIONS.key


def test_chooses_what_is_faster_for_each_size(make_finding):
    finding = make_finding({256: SLOWER, 112: FASTER})
    assert finding.chosen() == [112]
    assert finding.chosen(forced=True) == [256, 112]
    assert "OpenVINO 2026.4.1 for images of 112 px" in finding.text()


def test_a_gain_within_the_noise_is_none(make_finding):
    nearly = dataclasses.replace(FASTER, ratio=0.97)
    assert make_finding({256: nearly}).chosen() == []
    assert make_finding({256: nearly}).text().startswith("torch, no slower")


def test_says_the_times_or_the_problem(make_finding):
    assert "256 px: OpenVINO 0.3 s, torch 0.5 s" in make_finding().text()
    assert make_finding({}, problem="it died").text() == "torch: it died"


def test_the_processor_is_known_by_what_it_can():
    here = Processor.here()
    assert here == Processor.here()
    assert here.name
    assert len(here.digest) == 64
