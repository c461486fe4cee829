"""`wsisam train`: additions to a frozen SAM, from drawn objects."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from wsisam_model import WsiSamError
from wsisam_model.trainable import TRAINED
from wsisam_server.cli.extras import need
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.model import FILE, choose_device, encoder_options, weights_dir_option
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.train_progress import watching
from wsisam_server.inference.encoders import EncoderChoice
from wsisam_server.inference.weights import WeightsError, WeightsFolder, frozen_sam

if TYPE_CHECKING:
    from wsisam_model.additions import Additions
    from wsisam_model.trainable import Trained
    from wsisam_server.learning.training import Run

console = Console(stderr=True)


@click.command("train")
@click.argument("manifests", metavar="MANIFEST[=WEIGHT]...", nargs=-1, required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the run.")
@click.option(
    "--model", default="wsisam-lite", show_default=True, help="Model whose frozen SAM to add to: wsisam weights list."
)
@click.option("--sam", type=FILE, help="SAM checkpoint to add to, instead of --model.")
@weights_dir_option
@click.option(
    "--train",
    "trained",
    type=click.Choice(TRAINED),
    help="HR and LR tokens, MLPs and fusion (the paper's setting); and the prompt encoder; and the decoder; "
    "and what draws a click's candidates. Not given: as the weights of --from were, else the decoder.",
)
@click.option("--box-only", is_flag=True, help="Train the weights that answer prompts of a box alone.")
@click.option("--beside", type=FILE, help="Additions file whose other weights (clicks or boxes) are kept.")
@click.option(
    "--from",
    "start",
    type=FILE,
    help="Additions file to go on from: of another run, or the default model's, instead of the base's own weights.",
)
@click.option(
    "--keep-start",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="With --from: how much of those weights is kept, by averaging; a half forgets less of what they knew.",
)
@click.option("--steps", type=click.IntRange(1), default=1000, show_default=True, help="Optimizer steps.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Prompts a step.")
@click.option(
    "--lr", "rate", type=float, default=2.5e-4, show_default=True, help="Peak learning rate of the base's weights."
)
@click.option(
    "--new-lr", "new_rate", type=float, default=1e-3, show_default=True, help="Peak learning rate of the additions."
)
@click.option("--windows", type=click.IntRange(1), default=600, show_default=True, help="Training windows in all.")
@click.option(
    "--validation-objects", type=click.IntRange(1), default=60, show_default=True, help="Validation objects in all."
)
@click.option(
    "--box-share", type=Number(0, 1), default=0.3, show_default=True, help="Objects first asked for by a box."
)
@click.option(
    "--low-share",
    type=Number(0, 1),
    default=0.6,
    show_default=True,
    help="Prompts that see the low-resolution image too; 0 leaves that branch out.",
)
@click.option(
    "--feedback",
    type=Number(0, 1),
    default=0.85,
    show_default=True,
    help="Later clicks that come with the previous mask.",
)
@click.option(
    "--additions-from",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="Part of the run that trains SAM's own mask alone, at half the time a step; 1 leaves those of --from alone.",
)
@click.option(
    "--strength",
    type=Number(0, 1),
    default=1.0,
    show_default=True,
    help="Part of what the additions draw that is kept; less errs less on tissue unlike the training data.",
)
@click.option(
    "--skip-low",
    is_flag=True,
    help="Have the server leave low-resolution images unread: where `wsisam evaluate` shows that they bring nothing.",
)
@click.option("--connected-parts", is_flag=True, help="The masks are binary. Each connected part is an object.")
@click.option("--save-every", type=click.IntRange(1), default=50, show_default=True, help="Steps between checkpoints.")
@click.option(
    "--validate-every", type=click.IntRange(1), default=200, show_default=True, help="Steps between validations."
)
@click.option("--patience", type=click.IntRange(1), help="Stop after this many validations without a better one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is left to chance.")
@click.option(
    "--draw-seed",
    type=click.IntRange(0),
    help="Of the windows and validation objects, instead of --seed: runs that share it share their data.",
)
@click.option(
    "--vary-scale/--same-scale",
    default=True,
    show_default=True,
    help="Show objects at other zooms too than the one that the server chooses for them.",
)
@click.option(
    "--vary-stain/--same-stain", default=True, show_default=True, help="Change the stains' amounts in the windows."
)
@click.option(
    "--wide-views",
    is_flag=True,
    help="Show objects at up to 12 times their size, and cut by the border, too: for clicks without zooming in.",
)
@click.option(
    "--click-weight",
    type=Number(0, 10),
    default=0.0,
    show_default=True,
    help="How much the places of the clicks count in the loss, so that clicks are honoured.",
)
@click.option(
    "--candidates-weight",
    type=Number(0, 10),
    default=0.0,
    show_default=True,
    help="How much a single click's candidates count in the loss; needs --train decoder+masks.",
)
@click.option(
    "--last-stage",
    is_flag=True,
    help="Train the encoder's last stage too, with the weights for boxes and clicks on it. TinyViT only.",
)
@click.option(
    "--last-stage-lr",
    "last_stage_rate",
    type=float,
    default=1e-4,
    show_default=True,
    help="Peak learning rate of that stage.",
)
@click.option(
    "--bfloat16",
    is_flag=True,
    help="Run that stage in bfloat16 while it trains: half the time on a processor that has it.",
)
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint, to the same numbers.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores if not given.")
@encoder_options
def command(
    *,
    manifests: tuple[str, ...],
    out: Path,
    model: str,
    sam: Path | None,
    weights_dir: Path,
    beside: Path | None,
    start: Path | None,
    resume: bool,
    device: str,
    threads: int | None,
    encoder: Literal["auto", "torch", "openvino"],
    encoder_dir: Path,
    **settings: Any,
) -> None:
    """Train additions to a frozen SAM on the objects drawn on the images of manifests.

    Each MANIFEST is a data set: a CSV file with the columns image,mask and, if wanted, mpp and split ("train", "val";
    without it, about every fifth image validates). A mask is a label image: 0 is background, each other value one
    object. A weight says how much of the training a data set gets.

    OUT/best/additions.safetensors is the result, OUT/report.md the page about it.

    Example: wsisam train nuclei.csv glands.csv=0.5 --out run1 --steps 2000 --validate-every 100
    """
    need("train", "wsisam train")
    import torch

    from wsisam_model.additions import Additions
    from wsisam_model.loading import load
    from wsisam_server.learning.datasets import DatasetError
    from wsisam_server.learning.training import Run, TrainingError, TrainOptions, with_tensorboard, write_report

    if threads is not None:
        torch.set_num_threads(threads)
    chosen = torch.device(choose_device(device))
    trained = settings.pop("trained")
    if settings["last_stage"]:
        if beside is not None or trained not in {None, "decoder+masks"}:
            raise click.UsageError("--last-stage trains all weights of both kinds; leave out --beside and --train")
        trained = "decoder+masks"
    sources = [_source(text) for text in manifests]
    try:
        out.mkdir(parents=True, exist_ok=True)
        base = load(sam if sam is not None else frozen_sam(WeightsFolder(weights_dir), model))
        kept, begun = (
            None if path is None else Additions.read(path, base=base.weights_hash) for path in (beside, start)
        )
        options = TrainOptions(trained=trained or _trained(begun, box_only=settings["box_only"]), **settings)
        with watching(console) as shown:
            listener = with_tensorboard(out / "tensorboard", shown)
            runs = EncoderChoice(encoder_dir, encoder, eager=True)
            run = Run(
                base, sources, options, out, device=chosen, listener=listener, beside=kept, start=begun, encoder=runs
            )
            with on_stop(lambda: _kept(run, out)):
                outcome = run.run(resume=resume)
        page = write_report(out, shlex.join(["wsisam", *sys.argv[1:]]), options, outcome, run.store.pixels)
    except (DatasetError, TrainingError, WeightsError, WsiSamError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write: {error}") from error
    click.echo(f"{outcome.additions}\n{page}")


def _kept(run: Run, out: Path) -> str:
    """What a run that was stopped has left, and how to go on."""
    if not run.saved_step:
        return (
            f"there is no checkpoint yet; the windows that were encoded stay in {out}. The same command uses them again"
        )
    best = f" and the best weights so far ({run.additions})" if run.additions.exists() else ""
    return f"the checkpoint of step {run.saved_step}{best} is kept. Go on from it: the same command with --resume"


def _trained(start: Additions | None, *, box_only: bool) -> Trained:
    """What is trained unless somebody says so: all that the weights to start from were, so that none of it is lost."""
    return "decoder" if start is None else start.trained.get("boxes" if box_only else "clicks", "decoder")


def _source(text: str) -> Any:
    from wsisam_server.learning.training import Source

    name, equals, weight = text.rpartition("=")
    if not equals:
        return Source(Path(text))
    try:
        value = float(weight)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise click.UsageError(f"{text}: the weight must be a number above 0")
    return Source(Path(name), value)
