"""Options of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisam_model.trainable import Trained


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Settings of one run. All but `steps` and the intervals decide the loss curve, together with the data.

    Attributes:
        trained: what is trained.
        steps: optimizer steps of the whole run; the learning rate's schedule ends there.
        batch: prompts in a step.
        rate: peak learning rate of the base's own weights; None for 2.5e-4.
        new_rate: peak learning rate of the HR and LR additions.
        windows: number of training windows, over all data sets.
        validation_objects: number of objects that validate, over all data sets.
        box_share: of objects that are first asked for by a box.
        box_only: ask by boxes alone, without clicks after them: for weights that answer nothing else.
        additions_from: share of the run after which HR and LR additions join. Before it only SAM's own mask trains,
            at half the time a step. At 1 they never do: a start's stay as they are.
        low_share: of prompts that see the LR image too; the others train the HR token alone.
        low_mask_share: of those, the part whose LR mask is trained as well.
        feedback: of the clicks after the first, the share that comes with the previous mask.
        strength: part of the additions' drawing that is kept in the file, see `export.weakened`.
        average_decay: see `Average`.
        seed: decides every draw.
        draw_seed: decides the windows and the validation objects instead of `seed`, so that runs share them.
        vary_scale: show objects at other zooms too than the one that the server chooses for them.
        vary_stain: change the stains' amounts.
        keep_start: part of the weights that a run started from in the weights that it writes, see `start.blended`.
        wide_views: show objects at up to 12 times their size, and cut by the window's border, too.
        click_weight: how much the places of the clicks count in the loss, beside all of the mask.
        candidates_weight: how much the candidates of a single click count in the loss. Above 0, mask tokens 1 to 3 and
            their MLPs must be trained, and more objects are asked for by a single click.
        last_stage: train the encoder's last stage, too, with the weights of both routes on it, see `joint_network`.
        last_stage_rate: peak learning rate of that stage.
        bfloat16: run that stage in bfloat16 while it trains: half the time on a processor that has the instructions.
        skip_low: write into the file that LR images shall not be read, see `ModelSettings.read_low`.
        connected_parts: masks are binary; their connected parts are the objects.
        save_every: steps between checkpoints.
        validate_every: steps between validations.
        patience: validations without a better one before the run ends early; None never to.
    """

    trained: Trained = "decoder"
    steps: int = 1000
    batch: int = 4
    rate: float = 2.5e-4
    new_rate: float = 1e-3
    windows: int = 600
    validation_objects: int = 60
    box_share: float = 0.3
    box_only: bool = False
    additions_from: float = 0.0
    low_share: float = 0.6
    low_mask_share: float = 0.25
    feedback: float = 0.85
    strength: float = 1.0
    average_decay: float = 0.99
    seed: int = 0
    draw_seed: int | None = None
    vary_scale: bool = True
    vary_stain: bool = True
    keep_start: float = 0.0
    wide_views: bool = False
    click_weight: float = 0.0
    candidates_weight: float = 0.0
    last_stage: bool = False
    last_stage_rate: float = 1e-4
    bfloat16: bool = False
    skip_low: bool = False
    connected_parts: bool = False
    save_every: int = 50
    validate_every: int = 200
    patience: int | None = 5
