"""Which decoder answers which prompts; and from an additions file to such decoders.

A route built from a file holds the file's weights where it has some and the base's everywhere else. Modules of which
the file changes nothing are the base's very own, so that what is computed of an image for one serves the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch

from wsisam_model import sam_parts
from wsisam_model.additions import LAST_STAGE_PREFIX, ROUTES
from wsisam_model.branch import Branch, WsiParts
from wsisam_model.dual import DualMaskDecoder
from wsisam_model.errors import CheckpointError
from wsisam_model.trainable import decoder_names, prompt_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segment_anything.modeling import PromptEncoder
    from torch import Tensor, nn

    from wsisam_model.additions import Additions, RouteName
    from wsisam_model.encoder import ImageEncoder
    from wsisam_model.variants import Variant

Module = TypeVar("Module", bound="nn.Module")


class Route(NamedTuple):
    """What answers prompts of some kind.

    Attributes:
        decoder: the mask decoder.
        prompt_encoder: the one that it was trained with, for both branches.
    """

    decoder: DualMaskDecoder
    prompt_encoder: PromptEncoder


def build_routes(additions: Additions, base: Route, variant: Variant, encoder: ImageEncoder) -> dict[RouteName, Route]:
    """Adds what a file holds to a base.

    Args:
        additions: the file.
        base: plain SAM; not changed.
        variant: of the base's encoder.
        encoder: the base's; gets the last stage of a file that has one.

    Raises:
        CheckpointError: the file's tensors are not those that its settings call for; or there is a last stage, and
            no weights of one kind of prompt on it.
    """
    if additions.last_stage and len(additions.trained) < len(ROUTES):
        # what is not in the file would be SAM's own decoder, on embeddings that it was not made for
        raise CheckpointError(
            additions.checkpoint.path, "has a trained last stage, and not both clicks and boxes on it"
        )
    blanks = {route: _Blank(additions, route, base, variant) for route in additions.trained}
    wanted = {key: value for blank in blanks.values() for key, value in blank.wanted().items()}
    last_stage = _last_stage_of(additions, encoder)
    additions.checkpoint.require(wanted | last_stage)
    _put(last_stage, additions)
    return {route: blank.filled() for route, blank in blanks.items()}


def put_last_stage(additions: Additions, encoder: ImageEncoder) -> None:
    """Gives an encoder the last stage of a file that has one, and of the file nothing else.

    Args:
        additions: the file.
        encoder: the base's; changed.

    Raises:
        CheckpointError: the encoder has no such stage, or another one.
    """
    last_stage = _last_stage_of(additions, encoder)
    additions.checkpoint.only(LAST_STAGE_PREFIX).require(last_stage)
    _put(last_stage, additions)


def _put(last_stage: Mapping[str, Tensor], additions: Additions) -> None:
    with torch.no_grad():
        for key, parameter in last_stage.items():
            parameter.copy_(additions.checkpoint.tensors[key])


def _last_stage_of(additions: Additions, encoder: ImageEncoder) -> dict[str, Tensor]:
    """The encoder's own parameters that a file replaces, by their names in the file."""
    if not additions.last_stage:
        return {}
    names = encoder.last_stage_names()
    if not names:
        raise CheckpointError(additions.checkpoint.path, "has a trained last stage, which this encoder does not have")
    return {f"{LAST_STAGE_PREFIX}{name}": encoder.get_parameter(name) for name in names}


class _Blank:
    """One route of a file, its own modules still without weights."""

    def __init__(self, additions: Additions, route: RouteName, base: Route, variant: Variant) -> None:
        self._tensors = additions.checkpoint.tensors
        self._route = route
        self._base = base
        self._image_size = variant.image_size
        has_low = any(key.startswith(f"{route}.low.") for key in self._tensors)
        with torch.device("meta"):
            self._parts = {level: WsiParts(variant.early_channels) for level in ("high", "low")[: 1 + has_low]}
        trained, decoder = additions.trained[route], base.decoder.high.decoder
        self._decoder_names = decoder_names(trained, decoder)
        self._prompt_names = prompt_names(trained, base.prompt_encoder)

    def wanted(self) -> dict[str, Tensor]:
        """The tensors that the file must hold for this route, with any values."""
        decoder, prompts = self._base.decoder.high.decoder, self._base.prompt_encoder
        named = {f"decoder.{name}": decoder.get_parameter(name) for name in self._decoder_names}
        named |= {f"prompt_encoder.{name}": prompts.get_parameter(name) for name in self._prompt_names}
        for level, parts in self._parts.items():
            named |= {f"{level}.{name}": value for name, value in parts.state_dict().items()}
        return {f"{self._route}.{name}": value for name, value in named.items()}

    def filled(self) -> Route:
        """The route."""
        decoder = self._overlaid(
            "decoder", self._base.decoder.high.decoder, sam_parts.mask_decoder, self._decoder_names
        )
        prompts = self._overlaid(
            "prompt_encoder",
            self._base.prompt_encoder,
            lambda: sam_parts.prompt_encoder(self._image_size),
            self._prompt_names,
        )
        for level, parts in self._parts.items():
            parts.load_state_dict({name: self._own(level, name) for name in parts.state_dict()}, assign=True)
        return Route(DualMaskDecoder(*(Branch(decoder, parts) for parts in self._parts.values())), prompts)

    def _overlaid(self, part: str, base: Module, make: Callable[[], Module], names: list[str]) -> Module:
        if not names:
            return base
        with torch.device("meta"):
            module = make()
        own: Mapping[str, Tensor] = {name: self._own(part, name) for name in names}
        module.load_state_dict({**base.state_dict(), **own}, assign=True)
        return module

    def _own(self, part: str, name: str) -> Tensor:
        return self._tensors[f"{self._route}.{part}.{name}"].float()
