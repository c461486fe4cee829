"""The modules below `WsiSam` train: batched, with gradients in every weight that the answer depends on."""

import pytest
import torch

from wsisam_model import Prompt
from wsisam_model.branch import BranchInput
from wsisam_model.loading import load
from wsisam_model.prompt_batch import PromptBatch
from wsisam_model.spatial import as_tokens

UNUSED = ("iou_prediction_head", "output_hypernetworks_mlps.1", "output_hypernetworks_mlps.2", "mlps.3")


@pytest.fixture(scope="module")
def modules(random_files):
    return load(random_files["sam"], random_files["high"], random_files["low_other_decoder"])


def test_two_images_one_prompt_each(modules, assert_close):
    torch.manual_seed(3)
    embedding, early = torch.randn(2, 256, 64, 64), torch.randn(2, 160, 64, 64)
    image = as_tokens(embedding)
    prompts = [Prompt(points=[(10, 20)], labels=[1]), Prompt(points=[(200, 90)], labels=[0])]
    high = PromptBatch.of(prompts, torch.device("cpu"))
    pe = modules.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)

    def given(branch, batch, rows=slice(None)):
        prompt = batch.encode(modules.prompt_encoder, torch.float32)
        prompt = prompt._replace(sparse=prompt.sparse[rows])
        return BranchInput(image[rows], prompt, fused=branch.parts.fuse(image[rows], early[rows]))

    low = high.in_low_frame(256)
    dual = modules.dual
    masks = dual(given(dual.high, high), given(dual.low, low), pe, want_low=True)
    for row in (slice(0, 1), slice(1, 2)):
        alone = dual(given(dual.high, high, row), given(dual.low, low, row), pe, want_low=True)
        assert_close(masks.logits[row].detach(), alone.logits.detach(), 1e-5)
        assert_close(masks.low_logits[row].detach(), alone.low_logits.detach(), 1e-5)

    (masks.logits.square().mean() + masks.low_logits.square().mean()).backward()
    without = {
        name for name, parameter in dual.named_parameters() if parameter.grad is None or not parameter.grad.any()
    }
    assert {name for name in without if not any(unused in name for unused in UNUSED)} == set()


def test_the_encoder_trains_until_it_is_frozen(modules):
    encoder = modules.encoder.train()
    output = encoder(torch.randn(1, 3, 64, 64))
    output.embedding.square().mean().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
