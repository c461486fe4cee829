"""The model as its users see it: images and prompts in, logits out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np
import torch

from wsisam_model import grid, registry, spatial
from wsisam_model.branch import BranchInput
from wsisam_model.calibration import kind_of, stability
from wsisam_model.embedding import DerivedFeature, Embedding, EmbeddingOrigin
from wsisam_model.errors import EmbeddingError, ImageError, SettingsError
from wsisam_model.loading import Modules, load
from wsisam_model.prediction import Prediction, SamPrediction
from wsisam_model.prompt_batch import PromptBatch, PromptTokens, batches
from wsisam_model.routes import Route

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from wsisam_model.branch import Branch, WsiParts
    from wsisam_model.calibration import AnswerKind
    from wsisam_model.dual import DualMasks
    from wsisam_model.encoder import EncoderOutput, EncoderRunner, ImageEncoder
    from wsisam_model.prompt import Prompt
    from wsisam_model.settings import ModelSettings
    from wsisam_model.two_way import ImageProjections

Role: TypeAlias = Literal["high", "low", "low_mask", "sam"]
"""What an embedding is for: the high-resolution image, the low-resolution one, the same when low_logits will be wanted
too, or the image of `decode_sam`."""
LowReading: TypeAlias = Literal["none", "middle", "whole"]
"""How much of low-resolution images is encoded."""
Dtype: TypeAlias = Literal["float32", "float16", "bfloat16"]

_EMBEDDING_CHANNELS = 256
"""Form of every SAM's image embedding, whatever the encoder: [1, 256, 64, 64]."""

_PROJECTED = 3 * 128
"""Values of `ImageProjections` for each of an image's positions."""
_FUSED = 32 * 4 * 4
"""The same of `WsiParts.fuse`."""

_ACCELERATOR_BATCH = 8
_DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class WsiSam:
    """A promptable segmentation model for fields of a whole-slide image (arXiv 2403.09257).

    Make one with `from_name` or `from_files`. Encoding and decoding are safe from several threads.

    Attributes:
        name: the model's name.
        description: what it is and is good for.
        paths: the files that it was loaded from.
        settings: see `ModelSettings`.
        weights_hash: identifies the weights: SHA-256 in hex over all their names and bytes.
        encoder_hash: identifies what stored features depend on, see `features`: the weights that additions were
            added to; without additions, all.
        calibration: of the answers' scores; empty where the weights have none.
        ranks_candidates: whether the scores of a single click's candidates were measured to tell which is the best.
        encoder_types: number types beside float32 in which the encoder was measured to be as good.
        image_size: side of the square input images in pixels.
        device: where it runs.
        dtype: element type of its activations; prompts are encoded and logits returned in float32 always.
    """

    def __init__(
        self,
        modules: Modules,
        *,
        name: str,
        description: str,
        settings: ModelSettings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Takes the modules over: they are moved, cast and rewritten for inference.

        Raises:
            SettingsError: the encoder does not encode parts of images, and the settings want it to.
        """
        self.name = name
        self.description = description
        self.paths = modules.paths
        self.settings = _usable(settings, modules.encoder)
        self.weights_hash = modules.weights_hash
        self.encoder_hash = modules.encoder_hash
        self._last_stage = modules.last_stage
        self.ranks_candidates = modules.ranks_candidates
        self.calibration = modules.calibration
        self.encoder_types = frozenset(name for name, found in modules.number_types.items() if found.is_as_good)
        self.image_size = modules.variant.image_size
        self._channels = (_EMBEDDING_CHANNELS, modules.variant.early_channels)
        self.device = device
        self.dtype = dtype
        self._batch_size = settings.batch_size or (1 if device.type == "cpu" else _ACCELERATOR_BATCH)
        self._encoder = modules.encoder.eval()
        self._encoder.freeze()
        self._encoder.to(device, dtype).to(memory_format=torch.channels_last)
        self._other_runner: EncoderRunner | None = None
        self._sam, self._clicks, self._boxes = (
            Route(
                route.decoder.eval().to(device, dtype).to(memory_format=torch.channels_last),
                route.prompt_encoder.eval().to(device),
            )
            for route in (
                Route(modules.plain, modules.prompt_encoder),
                modules.clicks,
                modules.boxes if settings.box_route else modules.clicks,
            )
        )
        self._mean, self._std = (
            torch.tensor(values, device=device).view(3, 1, 1) for values in (modules.variant.mean, modules.variant.std)
        )
        with torch.inference_mode():
            # the positional encoding is never trained: it is the same in all prompt encoders
            positions = modules.prompt_encoder.get_dense_pe().to(dtype)
            self._image_pe = spatial.as_tokens(positions)
            self._middle_pe = spatial.as_tokens(grid.middle(positions))
        self._projection_names, self._fused_names = self._part_names()

    @classmethod
    def from_files(
        cls,
        sam: str | os.PathLike[str],
        high: str | os.PathLike[str] | None = None,
        low: str | os.PathLike[str] | None = None,
        *,
        additions: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        dtype: Dtype = "float32",
        name: str = "custom",
        settings: ModelSettings | None = None,
    ) -> WsiSam:
        """Loads weights files. The encoder variant follows from the tensors.

        Args:
            sam: checkpoint of the whole SAM: mobile_sam.pt, LiteMedSAM, or SAM's ViT-B, L or H.
            high: the paper's net_high. None for SAM alone, whose decode answers with SAM's mask and ignores low.
            low: the paper's net_low. None for the HR token alone.
            additions: a file of `wsisam train`, in place of high and low; see the module `additions`.
            device: a torch device string.
            dtype: element type of the activations.
            name: what to call the model.
            settings: None for what the files want, the defaults if they say nothing.

        Raises:
            CheckpointError: a file cannot be read or does not fit.
            ValueError: low without high, additions beside them, or another dtype.
        """
        modules = load(Path(sam), *(None if path is None else Path(path) for path in (high, low, additions)))
        dual = modules.dual
        tokens = (
            "HR and LR token" if dual.low is not None else "HR token" if dual.high.parts is not None else "SAM alone"
        )
        description = f"{modules.variant.name}, {tokens}"
        return cls._of(modules, name=name, description=description, device=device, dtype=dtype, settings=settings)

    @classmethod
    def from_name(
        cls,
        name: str = registry.DEFAULT,
        *,
        additions: str | os.PathLike[str] | None = None,
        device: str = "cpu",
        dtype: Dtype = "float32",
        settings: ModelSettings | None = None,
    ) -> WsiSam:
        """Loads a model that `available_models` lists as installed. Nothing is ever downloaded.

        Args:
            name: its name.
            additions: a file of `wsisam train` to add to the model's frozen base, in place of its own if it has some.
            device: a torch device string.
            dtype: element type of the activations.
            settings: None for what the additions want.

        Raises:
            UnknownModelError: the name is not listed.
            ModelFilesMissing: its weights are not on this machine.
            CheckpointError: they are, and are not the ones meant.
        """
        description, files = registry.resolve(name)
        modules = load(files.sam, additions=files.additions if additions is None else Path(additions))
        return cls._of(
            modules, name=name, description=description.description, device=device, dtype=dtype, settings=settings
        )

    @classmethod
    def _of(
        cls,
        modules: Modules,
        *,
        name: str,
        description: str,
        device: str,
        dtype: str,
        settings: ModelSettings | None,
    ) -> WsiSam:
        if dtype not in _DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
        return cls(
            modules,
            name=name,
            description=description,
            settings=settings or modules.settings,
            device=torch.device(device),
            dtype=_DTYPES[dtype],
        )

    @property
    def uses_low(self) -> bool:
        """Whether a low-resolution image changes the answer to some prompts."""
        return self._clicks.decoder.low is not None or self._boxes.decoder.low is not None

    @property
    def wants_low(self) -> bool:
        """Whether a low-resolution image shall be encoded for some prompts; see `reads_low`."""
        return self.settings.read_low and self.uses_low

    def set_low_reading(self, reading: LowReading) -> None:
        """Changes the settings: how much of low-resolution images is encoded. To be called before any is.

        Raises:
            SettingsError: nothing reads them, or the encoder does not encode parts of images.
        """
        if reading != "none" and not self.uses_low:
            raise SettingsError(f"{self.name} has no low-resolution branch that could read an image")
        changed = replace(self.settings, read_low=reading != "none", low_middle=reading == "middle")
        self.settings = _usable(changed, self._encoder)

    @property
    def encoder(self) -> ImageEncoder:
        """The image encoder as torch runs it; for inference only."""
        return self._encoder

    @property
    def encoder_runner(self) -> EncoderRunner:
        """What encodes images: the encoder itself, unless something else was set in its place.

        What is set must take and give what the encoder does. Where it names no number type of its own, it may differ
        from the encoder by 1e-4 of the largest value at most: embeddings of both meet in caches and stores.
        """
        return self._other_runner or self._encoder

    @encoder_runner.setter
    def encoder_runner(self, runner: EncoderRunner) -> None:
        self._other_runner = runner

    @property
    def nbytes(self) -> int:
        """Bytes of its weights in memory, with what `encoder_runner` adds; what its parts share counts once."""
        parts = [self._encoder, *(module for route in (self._sam, self._clicks, self._boxes) for module in route)]
        storages = {}
        for part in parts:
            for tensor in (*part.parameters(), *part.buffers()):
                storage = tensor.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
        total: int = sum(storages.values()) + self.encoder_runner.nbytes
        return total

    def features_nbytes(self, *, middle: bool = False) -> int:
        """Bytes of one image's `features`, or of its middle's."""
        side = grid.MIDDLE if middle else grid.SIDE
        channels = sum(self._channels) + (self._encoder.last_stage_channels if self._last_stage else 0)
        return channels * side * side * self.dtype.itemsize

    @torch.inference_mode()
    def features(self, image: NDArray[Any], *, middle: bool = False) -> EncoderOutput:
        """The encoder's raw output, for those who cache or train on it.

        Args:
            image: as in `encode`.
            middle: encode the middle of it alone, see `encodes_middle`; the image may then be that middle already.

        Returns:
            Embedding [1, 256, 64, 64] and early feature [1, C, 64, 64], on the model's device in its dtype; of the
            middle [1, 256, 28, 28] and [1, C, 28, 28]. Where the encoder's last stage was trained, its input, too:
            other weights of ours can go on from that, see `with_own_last_stage`.

        Raises:
            ImageError: another shape or element type.
        """
        side = self.image_size
        if not isinstance(image, np.ndarray):
            raise ImageError((side, side, 3), None, type(image).__name__)
        part = grid.middle_side(side)
        is_part = middle and image.shape == (part, part, 3)
        if (image.shape != (side, side, 3) and not is_part) or image.dtype != np.uint8:
            raise ImageError((side, side, 3), image.shape, str(image.dtype))
        if middle and not is_part:
            image = grid.middle(image.transpose(2, 0, 1), side // grid.SIDE).transpose(1, 2, 0)
        # a copy, since torch takes neither read-only arrays nor negative strides
        pixels = torch.from_numpy(image.copy()).to(self.device).permute(2, 0, 1)
        normalised = ((pixels - self._mean) / self._std)[None].to(self.dtype, memory_format=torch.channels_last)
        return self.encoder_runner(normalised)._replace(last_stage=self._last_stage)

    @property
    def has_own_last_stage(self) -> bool:
        """Whether its encoder's last stage is not the base's: then `decode_sam` cannot answer, see `frozen_base`."""
        return bool(self._last_stage)

    def frozen_base(self) -> WsiSam:
        """The SAM that the weights were added to, alone: read again where the encoder's last stage is not its own.

        Raises:
            CheckpointError: its file cannot be read any more.
        """
        if not self._last_stage:
            return self
        (dtype,) = (name for name, one in _DTYPES.items() if one is self.dtype)
        return WsiSam.from_files(self.paths.sam, device=str(self.device), dtype=cast("Dtype", dtype), name=self.name)

    def can_use(self, features: EncoderOutput) -> bool:
        """Whether features of the same frozen stages suffice for `with_own_last_stage`."""
        return features.last_stage == self._last_stage or features.frozen is not None

    @torch.inference_mode()
    def with_own_last_stage(self, features: EncoderOutput) -> EncoderOutput:
        """Features of the same frozen stages, with the embedding that this model's last stage makes of them.

        Args:
            features: of any model with the same `encoder_hash` and dtype, on any device; returned as they are if
                their embedding is this model's already.

        Raises:
            EmbeddingError: they were kept without what the last stage takes.
        """
        if features.last_stage == self._last_stage:
            return features
        if features.frozen is None:  # see `can_use`
            raise EmbeddingError("these features were kept without what the last stage of the encoder takes")
        frozen = features.frozen.to(self.device, memory_format=torch.channels_last)
        return features._replace(embedding=self._encoder.finish(frozen), last_stage=self._last_stage)

    @torch.inference_mode()
    def encode(
        self, image: NDArray[Any], *, roles: Collection[Role] | None = None, prompt: Prompt | None = None
    ) -> Embedding:
        """Encodes one image, once for all prompts on it.

        Args:
            image: uint8 RGB [image_size, image_size, 3], rows down; for the role "low" alone its middle will do, as
                wide as `ModelSettings.low_side` says.
            roles: what the embedding is for. Given, all that these roles need is computed now and nothing else can
                be later, so that the embedding's `nbytes` is final. None: parts are computed when first needed.
            prompt: who waits. Given with roles, what only prompts of other kinds need is computed when the first of
                them comes.

        Raises:
            ImageError: another shape or element type.
            ValueError: a role that does not exist.
        """
        middle = roles is not None and bool(roles) and all(map(self.encodes_middle, roles))
        return self.prepare(self.features(image, middle=middle), roles=roles, prompt=prompt)

    @torch.inference_mode()
    def prepare(
        self, features: EncoderOutput, *, roles: Collection[Role] | None = None, prompt: Prompt | None = None
    ) -> Embedding:
        """The second, far shorter half of `encode`: all that follows from the encoder's output.

        Args:
            features: what `features` or `with_own_last_stage` returned, of this model or another of the same encoder
                and dtype, on any device.
            roles: as in `encode`; where they are of the middle, "low" alone.
            prompt: as in `encode`.

        Raises:
            EmbeddingError: another shape or element type, or an embedding of another last stage.
            ValueError: a role that does not exist.
        """
        unknown = set(roles or ()) - set(get_args(Role))
        if unknown:
            raise ValueError(f"roles must be among {', '.join(get_args(Role))}, got {', '.join(sorted(unknown))}")
        self.check(features, middle=roles is not None and set(roles) == {"low"} and _is_middle(features))
        if features.last_stage != self._last_stage:
            raise EmbeddingError("these features' embedding is of another last stage of the encoder")
        embedding = Embedding(self._origin, features.to(self.device))
        if roles is None:
            return embedding
        later: list[DerivedFeature[Any]] = []
        for role in roles:
            for route in (self._sam,) if role == "sam" else (self._clicks, self._boxes):
                parts = self._parts(route, role)
                if prompt is None or route in {self._sam, self._route(prompt)}:
                    for part in parts:
                        embedding.part(part)
                else:
                    later += parts
        embedding.seal(later)
        return embedding

    def check(self, features: EncoderOutput, *, middle: bool = False) -> None:
        """Checks that features are of the form that this model's encoder gives them.

        Args:
            features: of an image.
            middle: as in `features`.

        Raises:
            EmbeddingError: another shape or element type.
        """
        side = grid.MIDDLE if middle else grid.SIDE
        pairs = zip((features.embedding, features.early), self._channels, strict=True)
        if any(tensor.dtype != self.dtype or tensor.shape != (1, channels, side, side) for tensor, channels in pairs):
            shapes = ", ".join(f"{list(tensor.shape)} {tensor.dtype}" for tensor in features[:2])
            raise EmbeddingError(f"features of {shapes} are not those of this model's encoder")

    def decode(
        self,
        high: Embedding,
        low: Embedding | None,
        prompt: Prompt,
        *,
        want_low: bool = False,
        want_candidates: bool = False,
    ) -> Prediction:
        """Answers one prompt.

        Args:
            high: embedding of the high-resolution image, in whose pixels the prompt is.
            low: embedding of the low-resolution image: same centre, twice the field, half the resolution. None for
                the HR token alone; ignored by a model that does not use it.
            prompt: what the user pointed at.
            want_low: return logits over the low-resolution image too, at about the cost of the answer again.
            want_candidates: return the masks of SAM's tokens 1 to 3 too, out of the same decode.

        Raises:
            EmbeddingError: an embedding of another model, or encoded for other roles; want_low without low.
        """
        return self.decode_many(high, low, [prompt], want_low=want_low, want_candidates=want_candidates)[0]

    @torch.inference_mode()
    def decode_many(
        self,
        high: Embedding,
        low: Embedding | None,
        prompts: Sequence[Prompt],
        *,
        want_low: bool = False,
        want_candidates: bool = False,
    ) -> list[Prediction]:
        """Answers several prompts on one field, each on its own; like ones run together.

        Args:
            high: as in `decode`.
            low: as in `decode`.
            prompts: any number of them, in any mixture of kinds.
            want_low: as in `decode`.
            want_candidates: as in `decode`.

        Returns:
            Predictions in the order of the prompts.

        Raises:
            EmbeddingError: as in `decode`.
        """
        if not self.uses_low:
            low = None
        elif want_low and low is None:
            raise EmbeddingError("low logits need the embedding of a low-resolution image")
        predictions: dict[int, Prediction] = {}
        for indices in batches(prompts, self._batch_size):
            chosen = [prompts[index] for index in indices]
            route = self._route(chosen[0])
            masks = self._run(route, high, low, chosen, want_low=want_low, want_candidates=want_candidates)
            low_logits = [None] * len(indices) if masks.low_logits is None else _arrays(masks.low_logits)
            rows = zip(
                chosen,
                _arrays(masks.logits),
                _arrays(masks.sam_logits),
                masks.iou.tolist(),
                low_logits,
                self._candidates(masks, len(indices)),
                strict=True,
            )
            for index, (prompt, logits, sam_logits, iou, low_mask, candidates) in zip(indices, rows, strict=True):
                score = self._score(kind_of(prompt), iou, logits)
                predictions[index] = Prediction(logits, sam_logits, iou, score, low_mask, candidates)
        return [predictions[index] for index in range(len(prompts))]

    @torch.inference_mode()
    def decode_sam(self, image: Embedding, prompt: Prompt) -> SamPrediction:
        """Answers one prompt with the frozen SAM alone, no extra token: the baseline of the paper's tables.

        Args:
            image: embedding of the image in whose pixels the prompt is.
            prompt: what the user pointed at.

        Raises:
            EmbeddingError: an embedding of another model, or encoded for other roles; or this model's encoder is not
                SAM's any more, see `frozen_base`.
        """
        if self._last_stage:
            raise EmbeddingError("the encoder's last stage was trained; ask frozen_base() for SAM's own answer")
        masks = self._run(self._sam, image, None, [prompt])
        return SamPrediction(logits=_arrays(masks.logits)[0], iou=masks.iou.item(), score=masks.iou.item())

    def reads_low(self, prompt: Prompt) -> bool:
        """Whether a low-resolution image shall be encoded for this prompt.

        Args:
            prompt: what the user pointed at.
        """
        return self.settings.read_low and self._route(prompt).decoder.low is not None

    def encodes_middle(self, role: Role) -> bool:
        """Whether of an image for this role alone only the middle is encoded, see `ModelSettings.low_middle`.

        The low-resolution image gives the answer a token (arXiv 2403.09257, section 3), which gathers from positions
        about the prompt, and prompts lie in the middle; the encoder, too, looks no farther than its windows, and
        gives these positions nearly the same without the rest of the image.

        Args:
            role: what the embedding will be for.
        """
        return role == "low" and self.settings.low_middle

    def _part_names(self) -> tuple[dict[tuple[int, int], str], dict[int, str]]:
        """Names of an embedding's projections, by decoder and prompt encoder, and of its fused features, by module.

        Routes and branches of one decoder and one prompt encoder share its projections of an image, under the name of
        the first of them.
        """
        projections: dict[tuple[int, int], str] = {}
        fused: dict[int, str] = {}
        for route, suffix in ((self._sam, ""), (self._clicks, ""), (self._boxes, " for boxes")):
            for branch, resolution in ((route.decoder.high, "high"), (route.decoder.low, "low")):
                if branch is None:
                    continue
                name = "sam" if route is self._sam else resolution
                key = (id(branch.decoder), id(route.prompt_encoder))
                projections.setdefault(key, f"the projections of {name!r}{suffix}")
                if branch.parts is not None:
                    fused.setdefault(id(branch.parts), f"the fused features of {resolution!r}{suffix}")
        return projections, fused

    @property
    def _origin(self) -> EmbeddingOrigin:
        return EmbeddingOrigin(self.weights_hash, self.dtype, self.device)

    def _route(self, prompt: Prompt) -> Route:
        """What answers prompts of this one's kind."""
        return self._boxes if prompt.is_box_alone else self._clicks

    def _parts(self, route: Route, role: Role) -> list[DerivedFeature[Any]]:
        """All that a route needs of an image in a role."""
        branch = route.decoder.high if role in {"sam", "high"} else route.decoder.low
        if branch is None:
            return []
        parts: list[DerivedFeature[Any]] = [self._projections(route, branch)]
        if branch.parts is not None and role in {"high", "low_mask"}:
            parts.append(self._fused(branch.parts))
        return parts

    def _run(
        self,
        route: Route,
        high: Embedding,
        low: Embedding | None,
        prompts: list[Prompt],
        *,
        want_low: bool = False,
        want_candidates: bool = False,
    ) -> DualMasks:
        """Decodes prompts of one kind."""
        decoder = route.decoder
        if high.image.shape[1] != self._image_pe.shape[1]:
            raise EmbeddingError("the image was encoded for its role as a low-resolution one only")
        batch = PromptBatch.of(prompts, self.device)
        high_input = self._input(route, decoder.high, high, batch, fused=decoder.high.parts is not None)
        low_input, low_pe = None, None
        if low is not None and decoder.low is not None:
            low_pe = self._positions(low.image)
            low_batch = batch.in_low_frame(self.image_size)
            low_input = self._input(route, decoder.low, low, low_batch, fused=want_low)
        multimask = self.settings.multimask and prompts[0].is_single_click
        masks: DualMasks = decoder(
            high_input,
            low_input,
            self._image_pe,
            low_pe=low_pe,
            multimask=multimask,
            want_low=want_low,
            want_candidates=want_candidates,
        )
        return masks

    def _candidates(self, masks: DualMasks, count: int) -> list[tuple[SamPrediction, ...]]:
        """Of each prompt the masks of SAM's tokens 1 to 3; none where they were not decoded."""
        if masks.candidates is None:
            return [()] * count
        of_prompts = zip(masks.candidates.logits.cpu().numpy(), masks.candidates.iou.tolist(), strict=True)
        return [
            tuple(
                SamPrediction(logits, iou, self._score("candidate", iou, logits))
                for logits, iou in zip(masks_of_one, qualities, strict=True)
            )
            for masks_of_one, qualities in of_prompts
        ]

    def _score(self, kind: AnswerKind, iou: float, logits: NDArray[np.float32]) -> float:
        curve = self.calibration.get(kind)
        return iou if curve is None else curve.score(iou, stability(logits))

    def _positions(self, image: Tensor) -> Tensor:
        """The positional encoding of a whole image's tokens, or of its middle's."""
        return self._image_pe if image.shape[1] == self._image_pe.shape[1] else self._middle_pe

    def _input(
        self, route: Route, branch: Branch, embedding: Embedding, batch: PromptBatch, *, fused: bool
    ) -> BranchInput:
        if embedding.origin != self._origin:
            raise EmbeddingError(f"an embedding of {embedding.origin} does not fit a model of {self._origin}")
        prompt: PromptTokens = batch.encode(route.prompt_encoder, self.dtype)
        return BranchInput(
            image=embedding.image,
            prompt=prompt,
            projections=None if prompt.masked else embedding.part(self._projections(route, branch)),
            fused=embedding.part(self._fused(branch.parts))[0] if fused and branch.parts is not None else None,
        )

    def _projections(self, route: Route, branch: Branch) -> DerivedFeature[ImageProjections]:
        no_mask = route.prompt_encoder.no_mask_embed.weight[None].to(self.dtype)

        def project(image: Tensor, _: Tensor | None) -> ImageProjections:
            return branch.project(image, no_mask, self._positions(image))

        return DerivedFeature(self._projection_names[id(branch.decoder), id(route.prompt_encoder)], _PROJECTED, project)

    def _fused(self, parts: WsiParts) -> DerivedFeature[tuple[Tensor]]:
        def fuse(image: Tensor, early: Tensor | None) -> tuple[Tensor]:
            assert early is not None
            return (parts.fuse(image, early),)

        return DerivedFeature(self._fused_names[id(parts)], _FUSED, fuse)


def _usable(settings: ModelSettings, encoder: ImageEncoder) -> ModelSettings:
    if settings.low_middle and not encoder.takes_parts:
        raise SettingsError("low_middle: this model's encoder takes whole images only; have the whole read")
    return settings


def _is_middle(features: EncoderOutput) -> bool:
    return features.embedding.shape[-1] == grid.MIDDLE


def _arrays(logits: Tensor) -> list[NDArray[np.float32]]:
    return list(logits.cpu().numpy())
