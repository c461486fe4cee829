"""Layers in bands give what the layers give."""

import pytest
import torch
from timm.models.tiny_vit import MBConv, NormMlp, PatchMerging
from torch import nn

from wsisam_model import bands, spatial
from wsisam_model.branch import WsiParts
from wsisam_model.tiny_vit import _fold_batch_norms

BAND_BYTES = 5000
"""So small that every layer here takes several bands, the last one smaller."""


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(bands, "_BAND_BYTES", BAND_BYTES)
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def randomised(layers):
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.3)
    return layers.eval()


@pytest.mark.parametrize("side", [1, 13, 16])
@pytest.mark.parametrize("stride", [None, 1, 2])
def test_convolutions(stride, side):
    layers = MBConv(8, 8, 4.0, nn.GELU, 0.0) if stride is None else PatchMerging(8, 24, nn.GELU)
    if stride is not None:
        layers.conv2.conv.stride = (stride, stride)
    randomised(layers)
    images = torch.randn(2, 8, side, side + 3).to(memory_format=torch.channels_last)
    wanted = layers(images.clone())
    _fold_batch_norms(layers)
    made = bands.BottleneckInBands(layers.conv1, layers.conv2, layers.conv3, residual=stride is None)(images)
    assert made.shape == wanted.shape
    torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-5)


def test_a_perceptron():
    layers = randomised(NormMlp(8, 32))
    tokens = torch.randn(2, 101, 8)
    torch.testing.assert_close(
        bands.MlpInBands(layers.norm, layers.fc1, layers.fc2)(tokens), layers(tokens), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("count", [1, 2])
def test_the_fused_features(count):
    parts = randomised(WsiParts(12))
    image, early = torch.randn(count, 64, 256), torch.randn(count, 12, 8, 8)
    with torch.enable_grad():
        wanted = parts.fuse(image, early).detach()
    made = parts.fuse(image, early)
    assert made.shape == (count, 32, 32, 32)
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)
    alone = spatial.run(parts.compress_vit_feat, early)
    assert not torch.allclose(made, alone)


def test_bands_are_small_on_a_cpu_and_whole_elsewhere():
    def lengths(device):
        return [some.stop - some.start for some in bands._bands(100, 40, torch.empty(1, device=device))]

    assert lengths("cpu") == [31, 31, 31, 7]
    assert lengths("meta") == [100]
