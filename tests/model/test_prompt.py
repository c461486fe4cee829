"""Prompts that cannot be meant are refused where they are made."""

import numpy as np
import pytest
import torch

from wsisam_model import Prompt, PromptError
from wsisam_model.prompt_batch import PromptBatch, batches

NAN = float("nan")
MASK = np.zeros((256, 256), np.float32)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "prompt"),
        ({"points": [(1, 2)]}, "labels"),
        ({"points": [(1, 2)], "labels": [1, 0]}, "labels"),
        ({"labels": [1], "box": (1, 2, 3, 4)}, "labels"),
        ({"points": [(1, 2)], "labels": [2]}, "labels"),
        ({"points": [(1, 2)], "labels": [-1]}, "labels"),
        ({"points": [(1, 2)], "labels": [NAN]}, "labels"),
        ({"points": [(NAN, 2)], "labels": [1]}, "points"),
        ({"points": [(1, float("inf"))], "labels": [1]}, "points"),
        ({"points": [(1, 2, 3)], "labels": [1]}, "points"),
        ({"points": [1, 2], "labels": [1, 1]}, "points"),
        ({"points": [("a", "b")], "labels": [1]}, "points"),
        ({"box": (1, 2, 3)}, "box"),
        ({"box": (1, 2, NAN, 4)}, "box"),
        ({"box": (3, 2, 1, 4)}, "box"),
        ({"box": (1, 4, 3, 2)}, "box"),
        ({"mask": np.zeros((64, 64), np.float32)}, "mask"),
        ({"mask": np.zeros((1, 256, 256), np.float32)}, "mask"),
        ({"mask": MASK.tolist()}, "mask"),
        ({"mask": np.full((256, 256), NAN)}, "mask"),
        ({"mask": np.zeros((256, 256), bool)}, "mask"),
    ],
)
def test_refused(given, field):
    with pytest.raises(PromptError) as raised:
        Prompt(**given)
    assert raised.value.field == field


def test_arrays_are_taken_as_well_as_sequences():
    prompt = Prompt(points=np.array([[1, 2.5]]), labels=np.array([1]), box=np.array([1, 2, 3, 4]))
    assert (prompt.points, prompt.labels, prompt.box) == (((1.0, 2.5),), (1,), (1.0, 2.0, 3.0, 4.0))


def test_a_prompt_keeps_the_mask_it_was_made_with():
    mask = MASK.copy()
    prompt = Prompt(mask=mask)
    mask[:] = 7
    np.testing.assert_array_equal(prompt.mask, MASK)


def test_the_low_frame_is_not_rounded_and_has_no_mask():
    prompt = Prompt(points=[(301, 400)], labels=[1], box=(0, 1, 1023, 1024), mask=MASK)
    low = PromptBatch.of([prompt], torch.device("cpu")).in_low_frame(1024)
    assert low.points.tolist() == [[[406.5, 456.0]]]
    assert low.boxes.tolist() == [[256.0, 256.5, 767.5, 768.0]]
    assert low.labels.tolist() == [[1]]
    assert low.masks is None


def test_batches_are_of_one_kind_within_size_and_complete():
    point, box, both = (
        Prompt(points=[(1, 2)], labels=[1]),
        Prompt(box=(1, 2, 3, 4)),
        Prompt(points=[(1, 2)], labels=[1], box=(1, 2, 3, 4)),
    )
    prompts = [point, box, point, both, point, box]
    assert list(batches(prompts, 2)) == [[0, 2], [4], [1, 5], [3]]
