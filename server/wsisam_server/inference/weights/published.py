"""Models whose files have a public address: what `wsisam weights add NAME` needs no path for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class PublishedModel:
    """A SAM checkpoint that its authors published.

    Attributes:
        url: where.
        checksum: of the file as its authors state it: SHA-256 in hex, or "xxh128:" and XXH3-128 in hex.
        licence: under which it is published, as an SPDX expression.
        source: whose it is.
        with_papers_files: whether the model is WSI-SAM on it: net_high and net_low must then come from the user, who
            finds them through the paper's repository.
    """

    url: str
    checksum: str
    licence: str
    source: str
    with_papers_files: bool = False

    def with_wsi_sam(self) -> PublishedModel:
        """The same checkpoint as the frozen base of the paper's files."""
        return replace(self, with_papers_files=True)


_SAM: Final = "https://github.com/facebookresearch/segment-anything"
_MOBILE_SAM: Final = "https://github.com/ChaoningZhang/MobileSAM"
_FILES: Final = "https://dl.fbaipublicfiles.com/segment_anything"

# Address, checksum and licence as micro-sam's model registry (micro_sam/util.py) and its export state them.
_MICRO_SAM: Final = "https://owncloud.gwdg.de/index.php/s"
_PATHO_SAM: Final = "https://github.com/computational-cell-analytics/patho-sam"

_VIT_B: Final = PublishedModel(
    url=f"{_FILES}/sam_vit_b_01ec64.pth",
    checksum="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    licence="Apache-2.0",
    source=_SAM,
)
_VIT_L: Final = PublishedModel(
    url=f"{_FILES}/sam_vit_l_0b3195.pth",
    checksum="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    licence="Apache-2.0",
    source=_SAM,
)
_VIT_H: Final = PublishedModel(
    url=f"{_FILES}/sam_vit_h_4b8939.pth",
    checksum="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    licence="Apache-2.0",
    source=_SAM,
)
_MOBILE: Final = PublishedModel(
    url=f"{_MOBILE_SAM}/raw/master/weights/mobile_sam.pt",
    checksum="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    licence="Apache-2.0",
    source=_MOBILE_SAM,
)

_PATHO_SAM_B: Final = PublishedModel(
    url=f"{_MICRO_SAM}/sBB4H8CTmIoBZsQ/download",
    checksum="xxh128:ffd1a2cd84570458b257bd95fdd8f974",
    licence="CC-BY-4.0",
    source=_PATHO_SAM,
)
_PATHO_SAM_L: Final = PublishedModel(
    url=f"{_MICRO_SAM}/IZgnn1cpBq2PHod/download",
    checksum="xxh128:b591833c89754271023e901281dee3f2",
    licence="CC-BY-4.0",
    source=_PATHO_SAM,
)
_PATHO_SAM_H: Final = PublishedModel(
    url=f"{_MICRO_SAM}/L7AcvVz7DoWJ2RZ/download",
    checksum="xxh128:bd1856dafc156a43fb3aa705f1a6e92e",
    licence="CC-BY-4.0",
    source=_PATHO_SAM,
)

PUBLISHED: Final = {
    "mobile-sam": _MOBILE,
    "sam-vit-b": _VIT_B,
    "sam-vit-l": _VIT_L,
    "sam-vit-h": _VIT_H,
    "patho-sam-vit-b": _PATHO_SAM_B,
    "patho-sam-vit-l": _PATHO_SAM_L,
    "patho-sam-vit-h": _PATHO_SAM_H,
    "wsisam-tiny": _MOBILE.with_wsi_sam(),
    "wsisam-vit-b": _VIT_B.with_wsi_sam(),
    "wsisam-vit-l": _VIT_L.with_wsi_sam(),
    "wsisam-vit-h": _VIT_H.with_wsi_sam(),
}
