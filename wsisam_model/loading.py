"""From weights files to modules, in float32 on the CPU and still trainable."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from wsisam_model import sam_parts
from wsisam_model.additions import LAST_STAGE_PREFIX, Additions
from wsisam_model.branch import Branch, WsiParts
from wsisam_model.checkpoint import Checkpoint, weights_hash
from wsisam_model.dual import DualMaskDecoder
from wsisam_model.routes import Route, build_routes, put_last_stage
from wsisam_model.settings import ModelSettings
from wsisam_model.variants import Variant, detect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from segment_anything.modeling import MaskDecoder, PromptEncoder

    from wsisam_model.calibration import Calibration
    from wsisam_model.encoder import ImageEncoder
    from wsisam_model.number_types import TypeFinding

# MobileSAM's file keeps the classifier that its encoder was trained with; no SAM runs it
_CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")
_SAM_DECODER = "mask_decoder."


@dataclass(frozen=True)
class ModelPaths:
    """The files that a model was loaded from; see `load`.

    Attributes:
        sam: checkpoint of the whole SAM.
        high: the paper's net_high.
        low: the paper's net_low.
        additions: an additions file.
    """

    sam: Path
    high: Path | None = None
    low: Path | None = None
    additions: Path | None = None


@dataclass(frozen=True)
class Modules:
    """A model's parts.

    Attributes:
        paths: where they came from.
        variant: which encoder, and how its images are normalised.
        encoder: the image encoder.
        prompt_encoder: SAM's prompt encoder.
        plain: SAM's decoder alone.
        clicks: the dual mask decoder; `plain` itself for a model without additions. Where the frozen weights of a
            branch equal SAM's, its decoder is the very module of `plain`.
        boxes: what answers prompts of a box alone; SAM alone where an additions file holds nothing for them, and the
            same as `clicks` for the paper's files.
        weights_hash: see `checkpoint.weights_hash`.
        encoder_hash: the same of what additions were added to; without additions, of all.
        last_stage: SHA-256 of the encoder's last stage where that was trained; else empty.
        settings: what the weights want.
        calibration: of the scores of its answers.
        ranks_candidates: see `Additions.ranked`.
        number_types: see `Additions`.
    """

    paths: ModelPaths
    variant: Variant
    encoder: ImageEncoder
    prompt_encoder: PromptEncoder
    plain: DualMaskDecoder
    clicks: Route
    boxes: Route
    weights_hash: str
    encoder_hash: str
    settings: ModelSettings
    last_stage: bytes = b""
    ranks_candidates: bool = False
    calibration: Calibration = field(default_factory=dict)
    number_types: Mapping[str, TypeFinding] = field(default_factory=dict)

    @property
    def dual(self) -> DualMaskDecoder:
        """The decoder of `clicks`."""
        return self.clicks.decoder


def load(sam: Path, high: Path | None = None, low: Path | None = None, additions: Path | None = None) -> Modules:
    """Reads the files of one model.

    Args:
        sam: checkpoint of the whole SAM, of any known variant.
        high: the paper's net_high: mask decoder of the HR branch with its additions; None for SAM alone.
        low: the paper's net_low; needs `high`.
        additions: an additions file trained for `sam`, in place of `high` and `low`.

    Raises:
        CheckpointError: a file cannot be read or does not fit.
        ValueError: low without high, or additions beside them.
    """
    if low is not None and high is None:
        raise ValueError("a low-resolution branch needs the high-resolution one")
    if additions is not None and high is not None:
        raise ValueError("an additions file takes the place of the paper's files; give one or the others")
    checkpoints = {"sam": Checkpoint.read(sam).without(_CLASSIFIER)}
    variant = detect(checkpoints["sam"])
    encoder = variant.build()
    with torch.device("meta"):
        prompt_encoder = sam_parts.prompt_encoder(variant.image_size)
        decoder = sam_parts.mask_decoder()
    checkpoints["sam"].load_into(
        (encoder, lambda key: f"image_encoder.{encoder.file_key(key)}"),
        (prompt_encoder, _prefixed("prompt_encoder.")),
        (decoder, _prefixed(_SAM_DECODER)),
    )
    decoders = [decoder]
    branches = []
    for part, path in (("high", high), ("low", low)):
        if path is not None:
            checkpoints[part] = Checkpoint.read(path)
            branches.append(_wsi_branch(checkpoints[part], variant.early_channels, decoders))
    plain = DualMaskDecoder(Branch(decoder))
    sam_alone = Route(plain, prompt_encoder)
    clicks = boxes = Route(DualMaskDecoder(*branches), prompt_encoder) if branches else sam_alone
    settings, ranks_candidates = ModelSettings(), False
    scores: Calibration = {}
    number_types: Mapping[str, TypeFinding] = {}
    encoder_hash, last_stage = "", b""
    if additions is not None:
        encoder_hash = weights_hash(checkpoints)
        trained = Additions.read(additions, base=encoder_hash)
        routes = build_routes(trained, sam_alone, variant, encoder)
        if trained.last_stage:
            encoder.keeps_frozen = True
            last_stage = _hash_of_last_stage(trained)
        clicks, boxes = routes.get("clicks", sam_alone), routes.get("boxes", sam_alone)
        settings, scores = trained.settings, trained.calibration
        ranks_candidates, number_types = trained.ranked, trained.number_types
        checkpoints["additions"] = trained.checkpoint
    whole = weights_hash(checkpoints)
    return Modules(
        paths=ModelPaths(sam, high, low, additions),
        variant=variant,
        encoder=encoder,
        prompt_encoder=prompt_encoder,
        plain=plain,
        clicks=clicks,
        boxes=boxes,
        weights_hash=whole,
        encoder_hash=encoder_hash or whole,
        last_stage=last_stage,
        settings=settings,
        ranks_candidates=ranks_candidates,
        calibration=scores,
        number_types=number_types,
    )


def with_last_stage(base: Modules, additions: Additions) -> Modules:
    """A base whose encoder ends as additions want it to: what weights are trained on that go on from them.

    Args:
        base: the frozen base; not changed.
        additions: to that base. Without a last stage of their own, the base is returned as it is.

    Raises:
        CheckpointError: the base's encoder has no such stage, or another one.
    """
    if not additions.last_stage:
        return base
    encoder = copy.deepcopy(base.encoder)
    put_last_stage(additions, encoder)
    return replace(base, encoder=encoder, last_stage=_hash_of_last_stage(additions))


def _hash_of_last_stage(additions: Additions) -> bytes:
    return bytes.fromhex(weights_hash({"encoder": additions.checkpoint.only(LAST_STAGE_PREFIX)}))


def _wsi_branch(checkpoint: Checkpoint, early_channels: int, decoders: list[MaskDecoder]) -> Branch:
    """Loads one branch; takes its decoder from `decoders` if an equal one is there, else adds it."""
    with torch.device("meta"):
        decoder, parts = sam_parts.mask_decoder(), WsiParts(early_channels)
    checkpoint.load_into((decoder, _prefixed("")), (parts, _prefixed("")))
    for known in decoders:
        if _equal(known, decoder):
            return Branch(known, parts)
    decoders.append(decoder)
    return Branch(decoder, parts)


def _equal(one: MaskDecoder, other: MaskDecoder) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def _prefixed(prefix: str) -> Callable[[str], str]:
    return lambda key: prefix + key
