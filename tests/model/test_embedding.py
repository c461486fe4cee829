"""Embeddings: what is computed once, what they weigh, whom they serve."""

import threading
from collections import Counter

import numpy as np
import pytest
import torch

from wsisam_model import EmbeddingError, ImageError, Prompt, WsiSam
from wsisam_model.branch import Branch, WsiParts

PROMPT = Prompt(points=[(128, 100)], labels=[1])
BOX = Prompt(box=(60, 70, 150, 160))
MASKED = Prompt(points=[(128, 100)], labels=[1], mask=np.zeros((256, 256), np.float32))

IMAGE = 4096 * 256 * 4
EARLY = 4096 * 160 * 4
PROJECTIONS = 3 * 4096 * 128 * 4
FUSED = 32 * 256 * 256 * 4


@pytest.fixture
def counts(model, monkeypatch):
    """How often images are encoded, projected and fused."""
    counter = Counter()

    def spy(owner, name):
        original = getattr(owner, name)

        def counted(*args, **kwargs):
            counter[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    spy(Branch, "project")
    spy(WsiParts, "fuse")
    spy(model._encoder, "forward")
    return counter


def test_prompts_share_all_that_depends_on_the_image_alone(model, images, counts):
    high, low = (model.encode(image) for image in images)
    assert counts == {"forward": 2}
    for _ in range(3):
        model.decode(high, low, PROMPT)
        model.decode_sam(high, PROMPT)
    assert counts == {"forward": 2, "project": 2, "fuse": 1}
    model.decode(high, low, PROMPT, want_low=True)
    assert counts == {"forward": 2, "project": 2, "fuse": 2}


def test_roles_compute_in_advance_and_nothing_after(model, images, counts):
    high = model.encode(images[0], roles=("high", "sam"))
    low = model.encode(images[1], roles=("low_mask",))
    before, sizes = dict(counts), (high.nbytes, low.nbytes)
    assert before == {"forward": 2, "project": 2, "fuse": 2}
    for prompt in (PROMPT, MASKED):
        model.decode(high, low, prompt, want_low=True)
    model.decode_sam(high, PROMPT)
    assert counts == before
    assert (high.nbytes, low.nbytes) == sizes


def test_a_mask_prompt_needs_no_cached_projections(model, images, counts):
    high = model.encode(images[0])
    model.decode(high, None, MASKED)
    assert "project" not in counts


def test_cached_and_lazy_parts_give_the_same_numbers(model, images, encoded):
    high = model.encode(images[0], roles=("high",))
    low = model.encode(images[1], roles=("low",))
    ahead, lazy = model.decode(high, low, PROMPT), model.decode(*encoded, PROMPT)
    np.testing.assert_array_equal(ahead.logits, lazy.logits)


@pytest.mark.parametrize(
    ("roles", "nbytes"),
    [
        ((), IMAGE),
        (("sam",), IMAGE + PROJECTIONS),
        (("low",), IMAGE + PROJECTIONS),
        (("low_mask",), IMAGE + PROJECTIONS + FUSED),
        (("high",), IMAGE + PROJECTIONS + FUSED),
        (("high", "sam"), IMAGE + PROJECTIONS + FUSED),
        (("high", "low_mask"), IMAGE + PROJECTIONS + 2 * FUSED),
    ],
)
def test_nbytes_by_role(roles, nbytes, model, images):
    # the three decoders of this model have equal weights, so one set of projections serves them all
    assert model.encode(images[0], roles=roles).nbytes == nbytes


@pytest.fixture(scope="module")
def lite():
    """A model with weights of their own for boxes."""
    return WsiSam.from_name()


@pytest.fixture(scope="module")
def fresh(lite, images):
    """The answers to a click and to a box of an embedding that nothing was asked of before."""
    return [lite.decode(lite.encode(images[0]), None, prompt).logits for prompt in (PROMPT, BOX)]


@pytest.mark.parametrize("first", [PROMPT, BOX], ids=["click", "box"])
def test_who_waits_waits_for_what_it_needs_alone(first, lite, images, fresh, counts):
    high = lite.encode(images[0], roles=("high",), prompt=first)
    both = high.nbytes
    assert counts == {"project": 1, "fuse": 1}
    lite.decode(high, None, first)
    assert counts == {"project": 1, "fuse": 1}
    for prompt, expected in ((PROMPT, fresh[0]), (BOX, fresh[1])) * 2:
        np.testing.assert_array_equal(lite.decode(high, None, prompt).logits, expected)
    assert high.nbytes == both
    # what was promised is what came, and the early feature, which that needed, is gone
    assert high._held() == both - EARLY == lite.encode(images[0], roles=("high",)).nbytes


def test_nbytes_grows_with_what_is_prepared(model, images):
    embedding = model.encode(images[0])
    assert embedding.nbytes == IMAGE + EARLY
    model.decode(embedding, None, PROMPT)
    assert embedding.nbytes == IMAGE + EARLY + PROJECTIONS + FUSED


def test_decoders_of_other_weights_have_projections_of_their_own(make_model, images):
    model = make_model("sam", "high", "low_other_decoder")
    embedding = model.encode(images[0], roles=("high", "low", "sam"))
    assert embedding.nbytes == IMAGE + 2 * PROJECTIONS + FUSED


def test_a_role_not_asked_for_is_refused(model, images):
    low, high = model.encode(images[0], roles=("low",)), model.encode(images[1], roles=("high",))
    with pytest.raises(EmbeddingError, match="fused features of 'high'"):
        model.decode(low, None, PROMPT)
    with pytest.raises(EmbeddingError, match="fused features of 'low'"):
        model.decode(high, low, PROMPT, want_low=True)


def test_an_unknown_role_is_refused(model, images):
    with pytest.raises(ValueError, match="middle"):
        model.encode(images[0], roles=("middle",))


def test_another_models_embedding_is_refused(model, sam_model, encoded, images):
    other = sam_model.encode(images[0])
    for call in (
        lambda: model.decode(other, None, PROMPT),
        lambda: model.decode(encoded[0], other, PROMPT),
        lambda: model.decode_sam(other, PROMPT),
    ):
        with pytest.raises(EmbeddingError, match="does not fit"):
            call()


def test_the_same_weights_loaded_twice_share_embeddings(make_model, encoded, model):
    again = make_model("sam", "high", "low")
    np.testing.assert_array_equal(
        again.decode(*encoded, PROMPT).logits,
        model.decode(*encoded, PROMPT).logits,
    )


def test_threads_prepare_an_embedding_once(model, images, counts, encoded):
    high, low = (model.encode(image) for image in images)
    expected = model.decode(*encoded, PROMPT).logits
    start, answers = threading.Barrier(4), []

    def decode():
        start.wait()
        answers.append(model.decode(high, low, PROMPT).logits)

    counts.clear()
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {"project": 2, "fuse": 1}
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("image", "shape", "dtype"),
    [
        (np.zeros((256, 255, 3), np.uint8), (256, 255, 3), "uint8"),
        (np.zeros((3, 256, 256), np.uint8), (3, 256, 256), "uint8"),
        (np.zeros((256, 256, 4), np.uint8), (256, 256, 4), "uint8"),
        (np.zeros((256, 256, 3), np.float32), (256, 256, 3), "float32"),
        (torch.zeros(256, 256, 3, dtype=torch.uint8), None, "Tensor"),
        (None, None, "NoneType"),
    ],
)
def test_images_of_another_kind_are_refused(image, shape, dtype, model):
    with pytest.raises(ImageError) as raised:
        model.encode(image)
    assert (raised.value.expected_shape, raised.value.shape, raised.value.dtype) == ((256, 256, 3), shape, dtype)


def test_read_only_and_reversed_images_are_taken(model, images, assert_close):
    odd = np.ascontiguousarray(images[0][::-1])[::-1]
    odd.flags.writeable = False
    assert_close(model.encode(odd).image, model.encode(images[0]).image, 1e-6)
