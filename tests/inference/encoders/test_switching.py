import logging
import threading
from pathlib import Path

import pytest
import torch

from wsisam_model.encoder import EncoderOutput, ImageEncoder
from wsisam_model.loading import ModelPaths
from wsisam_server.inference.encoders import EncoderError
from wsisam_server.inference.encoders.switching import CHECKS, LOAD_AFTER, TRY_AFTER, SwitchingEncoder


class Doubling(ImageEncoder):
    """An encoder that costs nothing."""

    takes_parts = True

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.runs = 0

    def forward(self, images):
        self.runs += 1
        return EncoderOutput(images * self.weight, images)

    def file_key(self, key):
        return key

    def freeze(self):
        pass


class Compiled:
    """A `CompiledEncoder` that is off by a part of the largest value, or fails."""

    def __init__(self, off=1e-6, sides=(8, 4), error=None, number_type=""):
        self.off, self.sides, self.error, self.runs = off, sides, error, 0
        self.number_type = number_type

    def takes(self, images):
        return images.shape[-1] in self.sides

    def __call__(self, images):
        self.runs += 1
        if self.error is not None:
            raise self.error
        embedding = images * 2
        embedding[0, 0, 0, 0] += self.off * embedding.abs().max()
        return EncoderOutput(embedding, images, number_type=self.number_type)


class Preparation:
    """A `Preparation` that has one answer, or raises it; remembers what it was asked."""

    forced = False

    def __init__(self, answer, folder=None):
        self.answer, self.folder, self.asked, self.stopped = answer, folder, [], threading.Event()

    def load(self, subject, *, may_try):
        self.asked.append((subject, may_try))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if may_try or self.answer[0] is None or not self.answer[0].problem else (None, None)


@pytest.fixture
def make(folder):
    def switching(answer, *, eager=True, **more):
        encoder = Doubling()
        preparation = Preparation(answer, folder)
        made = SwitchingEncoder(encoder, "a model", ModelPaths(Path("sam.pth")), preparation, eager=eager, **more)
        return made, encoder, preparation

    return switching


def window(side=8, seed=0):
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def encode(switching, count, side=8):
    """Encodes windows and checks each; what goes on beside has ended before the next."""
    for seed in range(count):
        images = window(side, seed)
        made = switching(images)
        switching.wait()
        assert torch.allclose(made.embedding, images * 2, rtol=1e-4, atol=1e-4)


def test_changes_over_after_three_windows_of_a_size(make, publish, folder, caplog):
    caplog.set_level(logging.INFO)
    compiled = Compiled()
    switching, encoder, _ = make((publish(), compiled))
    encode(switching, 1 + CHECKS)
    assert (encoder.runs, compiled.runs) == (1 + CHECKS, CHECKS)
    assert switching.description.startswith("OpenVINO 2026.4.1")
    encode(switching, 5)
    assert (encoder.runs, compiled.runs) == (1 + CHECKS, CHECKS + 5)
    # The other size is checked by itself; the whole is noted for later starts.
    encode(switching, CHECKS, side=4)
    assert encoder.runs == 1 + 2 * CHECKS
    assert folder.all()[0].checked == (8, 4) or folder.all()[0].checked == (4, 8)
    assert "the encoder is run by OpenVINO" in caplog.text


def test_a_later_start_needs_no_checks(make, publish):
    compiled = Compiled(sides=(256, 112))
    switching, encoder, _ = make((publish(checked=(112, 256)), compiled))
    encode(switching, 1, side=112)
    assert switching.description.startswith("OpenVINO")
    encode(switching, 3, side=112)
    assert (encoder.runs, compiled.runs) == (1, 3)


@pytest.mark.parametrize("off", [3e-4, -1.0, float("nan")])
def test_a_difference_leaves_torch_for_good(make, publish, folder, caplog, off):
    compiled = Compiled(off)
    switching, _, _ = make((publish(), compiled))
    encode(switching, 6)
    assert compiled.runs == 1
    assert switching.description.startswith("torch: OpenVINO's features of a window differ")
    assert "differ" in folder.all()[0].problem
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_blank_windows_prove_nothing(make, publish):
    switching, encoder, _ = make((publish(), Compiled()))
    for _ in range(10):
        switching(torch.ones(1, 3, 8, 8))
        switching.wait()
    assert encoder.runs == 10
    assert switching.description.startswith("torch")


@pytest.mark.parametrize("after", [0, CHECKS + 2])
def test_a_failing_run_leaves_torch(make, publish, caplog, after):
    compiled = Compiled()
    switching, _, _ = make((publish(), compiled))
    encode(switching, 1 + after)
    compiled.error = EncoderError("OpenVINO failed (no memory)")
    encode(switching, 3)
    assert switching.description == "torch: OpenVINO failed (no memory)"
    assert caplog.text.count("no memory") == 1


@pytest.mark.parametrize("error", [EncoderError("compiling it died of SIGSEGV"), RuntimeError("odd"), MemoryError()])
def test_a_preparation_that_fails_leaves_torch_with_one_line(make, caplog, error):
    switching, encoder, preparation = make(error)
    encode(switching, 40)
    assert encoder.runs == 40
    assert len(preparation.asked) == 1
    assert switching.description.startswith("torch: ")
    assert len(caplog.records) == 1


def test_a_known_problem_is_said(make, make_finding, caplog):
    switching, _, _ = make((make_finding({}, problem="compiling it died of SIGABRT"), None))
    encode(switching, 3)
    assert switching.description == "torch: compiling it died of SIGABRT"
    assert "SIGABRT" in caplog.text


def test_sizes_that_were_not_compiled_are_torchs(make, publish):
    compiled = Compiled(sides=(4,))
    switching, encoder, _ = make((publish(), compiled))
    encode(switching, 6)
    assert (encoder.runs, compiled.runs) == (6, 0)


def test_a_command_that_encodes_little_begins_nothing(make, make_finding):
    switching, _, preparation = make((None, None), eager=False)
    encode(switching, LOAD_AFTER - 1)
    assert preparation.asked == []
    encode(switching, 1)
    assert [may_try for _, may_try in preparation.asked] == [False]
    encode(switching, TRY_AFTER - LOAD_AFTER)
    assert [may_try for _, may_try in preparation.asked] == [False, True]


def test_the_threads_are_those_of_the_thread_that_runs_the_model(make, publish):
    switching, _, preparation = make((publish(), Compiled()))
    before = torch.get_num_threads()

    def run():
        torch.set_num_threads(before + 3)
        encode(switching, 1)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert preparation.asked[0][0].threads == before + 3


def test_encodes_from_several_threads(make, publish):
    switching, _, preparation = make((publish(), Compiled()))
    threads = [threading.Thread(target=encode, args=(switching, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(preparation.asked) == 1
    assert switching.description.startswith("OpenVINO")


def test_counts_the_copies_that_it_may_come_to_hold(make):
    switching, _, _ = make((None, None))
    assert switching.nbytes == 2 * 4


@pytest.mark.parametrize(("off", "changes"), [(0.1, True), (0.2, False)])
def test_in_bfloat16_it_may_differ_and_outputs_say_so(make, make_finding, publish, off, changes):
    finding = publish()
    switching, _, _ = make((finding, Compiled(off=off, number_type="bfloat16")), number_type="bfloat16")
    types = []
    for seed in range(CHECKS + 2):
        made = switching(window(seed=seed))
        switching.wait()
        types.append(made.number_type)
    assert switching.number_type == ("bfloat16" if changes else "")
    # Torch answers until then, and its outputs are of the model's own type.
    assert types == ["", *[""] * CHECKS, "bfloat16" if changes else ""]
