"""benchmarks/on_gpu.py: its parts, their time, and what is kept of a part that fails. No model."""

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PARTS = ("clicks", "users", "encoder", "types", "decoder", "truth", "training")


@pytest.fixture
def timed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("timed_parts")


@pytest.fixture
def report(timed, tmp_path):
    return timed.Report(tmp_path / "found", {"device": "none"})


def part(timed, name, rows, share=1, **more):
    return timed.Part(name, f"Part {name}", share, rows, **more)


def found(report):
    return json.loads(report.path.with_suffix(".json").read_text())["parts"]


def test_the_script_lists_its_parts(timed, monkeypatch, capsys):
    script = importlib.import_module("on_gpu")
    assert tuple(part.name for part in script.PARTS) == PARTS
    monkeypatch.setattr("sys.argv", ["on_gpu.py", "--help"])
    with pytest.raises(SystemExit):
        script.main()
    assert "--only" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory.\nTried | much"), SystemExit("the server did not start")]
)
def test_a_part_that_fails_says_why_and_the_others_run(timed, report, error):
    def failing(_, deadline):
        yield {"n": 1}
        raise error

    parts = [part(timed, "first", failing), part(timed, "second", lambda setting, _: [{"n": setting}])]
    timed.run(parts, 7, 1, report, has_data=True)
    one, other = found(report)["first"]["rows"]
    assert one == {"n": 1}
    assert other == {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    assert found(report)["second"]["rows"] == [{"n": 7}]
    assert "| 7 |" in report.path.with_suffix(".md").read_text()


def test_a_row_that_fails_keeps_its_name(timed):
    def measure():
        raise NotImplementedError("no TF32 | here")

    assert timed.attempt({"n": 1}, lambda: {"ms": 2}) == {"n": 1, "ms": 2}
    assert timed.attempt({"n": 1}, measure) == {"n": 1, "failed": "NotImplementedError: no TF32 / here"}


def test_a_run_that_is_cut_keeps_what_it_had(timed, report):
    def cut(_, deadline):
        yield {"n": 1}
        assert found(report)["cut"]["rows"] == [{"n": 1}]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timed.run([part(timed, "cut", cut)], None, 1, report, has_data=True)
    assert found(report)["cut"]["rows"] == [{"n": 1}]


def test_a_part_stops_when_its_share_is_over_and_says_so(timed, report, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timed.time, "monotonic", lambda: now[0])

    def slow(_, deadline):
        for number in deadline.each(range(100)):
            now[0] += 10
            yield {"n": number}

    timed.run([part(timed, "slow", slow), part(timed, "next", slow, share=3)], None, 2, report, has_data=True)
    assert [len(found(report)[name]["rows"]) for name in ("slow", "next")] == [3, 9]
    assert any("share of the time" in text for text in found(report)["slow"]["notes"])


def test_a_call_that_does_not_return_is_broken_off(timed, report, monkeypatch):
    monkeypatch.setattr(timed, "LEAST_PATIENCE", 2.0)

    def hanging(_, deadline):
        yield {"n": 1}
        timed.time.sleep(60)

    parts = [part(timed, "hanging", hanging), part(timed, "next", lambda *_: [{"n": 2}])]
    timed.run(parts, None, 1 / 60, report, has_data=True)
    assert found(report)["hanging"]["rows"][-1]["failed"].startswith("TimeIsUpError")
    assert found(report)["next"]["rows"] == [{"n": 2}]


def test_a_part_whose_module_is_not_there_ends_alone(timed, report):
    timed.run([part(timed, "missing", timed.later("no_such_module", "rows"))], None, 1, report, has_data=True)
    assert found(report)["missing"]["rows"][0]["failed"].startswith("ModuleNotFoundError")


def test_time_that_is_left_over_goes_to_the_others(timed, report, monkeypatch):
    monkeypatch.setattr(timed.time, "monotonic", lambda: 0.0)
    given = {}

    def note(name):
        return lambda _, deadline: given.setdefault(name, deadline.left) and []

    parts = [part(timed, "a", note("a")), part(timed, "b", note("b")), part(timed, "data", note("c"), needs_data=True)]
    timed.run(parts, None, 1, report, has_data=False)
    assert given == {"a": 30.0, "b": 60.0}
    assert found(report)["data"]["notes"] == ["Left out: it needs manifests (`--data`)."]


def test_shares_of_one_deadline(timed, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timed.time, "monotonic", lambda: now[0])
    whole, seen = timed.Deadline(30), []
    for name, share in whole.shares("abc"):
        seen.append((name, share.left))
        now[0] += 6
    assert seen == [("a", 10.0), ("b", 12.0), ("c", 18.0)]
    assert not whole.cut
    now[0] = 31.0
    assert list(whole.each("ab")) == ["a"], "the first item is always given"
    assert whole.cut
