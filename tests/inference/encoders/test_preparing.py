import dataclasses
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.waiting import until
from wsisam_model.loading import ModelPaths
from wsisam_server.inference.encoders import EncoderError, EncoderFolder, Processor, library, preparing
from wsisam_server.inference.encoders.preparing import Preparation, StoppedError, Subject

SUBJECT = Subject("a model", ModelPaths(Path("sam.pth")), "e" * 64, 2)

# What a trial does, without a model: two files, and what was measured.
GOOD = """
import hashlib, json, pathlib, sys
request, folder = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])
assert request["encoder"] == "e" * 64 and request["threads"] == 2 and request["paths"]["sam"] == "sam.pth"
sizes = {}
for side in (256, 112):
    (folder / f"{side}.compiled").write_bytes(b"%d" % side)
    digest = hashlib.sha256(b"%d" % side).hexdigest()
    sizes[side] = dict(torch=0.5, openvino=RATIO / 2, ratio=RATIO, difference=1e-6, sha256=digest)
(folder / "trial.json").write_text(json.dumps(sizes))
with open(COUNTER, "a") as file: file.write("tried\\n")
"""

FAULTS = {
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died of SIGSEGV"),
    "is killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "died of SIGKILL"),
    "fails": (
        "import sys; print('a warning', file=sys.stderr); sys.exit('no such operation')",
        r"\(no such operation\)",
    ),
    "fails without a word": ("import os; os._exit(7)", "status 7"),
    "finds the disk full": ("import sys; sys.exit('[Errno 28] No space left on device')", "No space left"),
    "leaves nothing": ("", "nothing of use"),
    "leaves something else": ("import sys; open(sys.argv[2] + '/trial.json', 'w').write('[1]')", "nothing of use"),
    "hangs": ("import time; time.sleep(60)", "took more than 1 s"),
    "does not hear": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "took more than 1 s",
    ),
}


class Loaded:
    """Stands in for `CompiledEncoder`."""

    def __init__(self, compiled, threads, number_type):
        self.compiled, self.threads, self.number_type = compiled, threads, number_type


@pytest.fixture(autouse=True)
def _openvino(monkeypatch):
    monkeypatch.setattr(library, "installed_version", lambda: "2026.4.1")
    monkeypatch.setattr(library, "CompiledEncoder", Loaded)


@pytest.fixture
def tried(tmp_path):
    """How many trials there were that ended well."""
    counter = tmp_path / "counter"
    counter.write_text("")
    return lambda: counter.read_text().count("tried")


@pytest.fixture
def prepare(folder, trial, tmp_path):
    """A preparation whose trial is a program, GOOD if not given."""

    def make(program=None, *, ratio=0.6, seconds=60, **keywords):
        good = GOOD.replace("RATIO", str(ratio)).replace("COUNTER", repr(str(tmp_path / "counter")))
        command = trial(good if program is None else program)
        return Preparation(folder, command=command, seconds=seconds, **keywords)

    return make


def test_tries_once_and_knows_ever_after(prepare, tried):
    finding, compiled = prepare().load(SUBJECT, may_try=True)
    assert (compiled.compiled, compiled.threads) == ({256: b"256", 112: b"112"}, 2)
    assert (finding.model, finding.problem) == ("a model", "")
    again, loaded = prepare("raise SystemExit(1)").load(SUBJECT, may_try=False)
    assert again == finding
    assert loaded.compiled == compiled.compiled
    assert tried() == 1


def test_tries_nothing_unless_it_may(prepare, tried):
    assert prepare().load(SUBJECT, may_try=False) == (None, None)
    assert tried() == 0


def test_what_is_slower_is_not_used_unless_it_was_asked_for(prepare):
    finding, compiled = prepare(ratio=1.5).load(SUBJECT, may_try=True)
    assert compiled is None
    assert finding.text().startswith("torch, no slower")
    _, forced = prepare(ratio=1.5, forced=True).load(SUBJECT, may_try=True)
    assert set(forced.compiled) == {256, 112}


@pytest.mark.parametrize(("program", "text"), FAULTS.values(), ids=FAULTS)
def test_a_trial_that_goes_wrong_leaves_torch_and_is_remembered(prepare, tried, folder, program, text):
    seconds = 1 if "took" in text else 60
    started = time.monotonic()
    finding, compiled = prepare(program, seconds=seconds).load(SUBJECT, may_try=True)
    assert time.monotonic() - started < 45
    assert compiled is None
    assert finding.sizes == {}
    assert re.search(text, finding.problem), finding.problem
    # Not tried at every start; nothing half-made is left.
    again, _ = prepare().load(SUBJECT, may_try=True)
    assert again.problem == finding.problem
    assert tried() == 0
    assert [path.name for path in folder.path.iterdir() if not path.name.startswith(".")] == [finding.conditions.key]


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"255"), lambda file: file.unlink()])
def test_damaged_files_are_compiled_anew(prepare, tried, folder, caplog, damage):
    finding, _ = prepare().load(SUBJECT, may_try=True)
    damage(folder.path / finding.conditions.key / "256.compiled")
    _, compiled = prepare().load(SUBJECT, may_try=True)
    assert compiled.compiled[256] == b"256"
    assert tried() == 2
    assert "compiled anew" in caplog.text


def test_damaged_files_are_told_where_nothing_may_be_tried(prepare, folder):
    finding, _ = prepare().load(SUBJECT, may_try=True)
    (folder.path / finding.conditions.key / "256.compiled").write_bytes(b"255")
    with pytest.raises(EncoderError, match="damaged"):
        prepare().load(SUBJECT, may_try=False)


def test_files_that_cannot_be_loaded_are_compiled_anew(prepare, tried, monkeypatch):
    prepare().load(SUBJECT, may_try=True)
    results = iter([EncoderError("of another version"), Loaded({}, 2, "float32")])

    def load(*_):
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(library, "CompiledEncoder", load)
    _, compiled = prepare().load(SUBJECT, may_try=True)
    assert isinstance(compiled, Loaded)
    assert tried() == 1


@pytest.mark.parametrize("change", ["encoder", "threads", "openvino", "processor", "number_type"])
def test_anything_else_than_what_was_tried_is_tried_itself(prepare, tried, monkeypatch, change):
    prepare().load(SUBJECT, may_try=True)
    subject = SUBJECT
    if change == "openvino":
        monkeypatch.setattr(library, "installed_version", lambda: "2027.0.0")
    elif change == "processor":
        monkeypatch.setattr(preparing.Processor, "here", lambda: Processor("another", ("avx2",), "0" * 64))
    else:
        other = {"encoder": "f" * 64, "threads": 3, "number_type": "bfloat16"}
        subject = dataclasses.replace(SUBJECT, **{change: other[change]})
    assert prepare().load(subject, may_try=False) == (None, None)


def test_a_folder_that_cannot_be_written_is_told(prepare, tmp_path, trial, tried):
    (tmp_path / "file").write_text("")
    folder = EncoderFolder(tmp_path / "file" / "encoders")
    with pytest.raises(EncoderError, match="cannot be written"):
        Preparation(folder, command=trial("")).load(SUBJECT, may_try=True)
    assert tried() == 0


def test_a_command_that_cannot_be_started_is_told(folder):
    with pytest.raises(EncoderError, match="cannot be started"):
        Preparation(folder, command=("/no/such/program",)).load(SUBJECT, may_try=True)


def test_a_stop_ends_the_trial(prepare, tmp_path):
    preparation = prepare(f"import pathlib, time; pathlib.Path({str(tmp_path / 'begun')!r}).touch(); time.sleep(60)")
    ended = []

    def run():
        try:
            preparation.load(SUBJECT, may_try=True)
        except StoppedError:
            ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    until((tmp_path / "begun").exists)
    preparation.stopped.set()
    thread.join(30)
    assert ended == [True]


@pytest.mark.parametrize(("version", "text"), [(None, "not installed"), ("2024.6.0", "too old"), ("1", "too old")])
def test_without_openvino_nothing_is_looked_for(prepare, monkeypatch, version, text):
    monkeypatch.setattr(library, "installed_version", lambda: version)
    with pytest.raises(EncoderError, match=text):
        prepare().load(SUBJECT, may_try=True)


@pytest.mark.skipif(os.name != "posix", reason="priorities of processes are POSIX's")
def test_a_trial_has_all_others_go_first():
    program = """
import os
from pathlib import Path
from wsisam_server.inference.encoders.trial import NICENESS, step_back
step_back()
group, there = Path("/proc/self/autogroup"), NICENESS
if group.exists():
    there = group.read_text().split()[-1]
    try:
        group.write_text(str(NICENESS))
    except OSError:  # not where it is mounted to be read only, or switched off
        there = NICENESS
print(os.nice(0) - NICENESS, there, NICENESS)
"""
    words = [sys.executable, "-c", program]
    before = os.nice(0)
    printed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True).stdout
    nice, group, wanted = map(int, printed.split())
    assert nice == before
    assert group == wanted
