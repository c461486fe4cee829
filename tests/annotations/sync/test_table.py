"""What people are shown of a sync: within the width of a terminal, and no longer than a page."""

import io
import uuid

import pytest
from rich.console import Console

from annotations.sync.model import annotation, drawing
from wsisam_server.annotations.sync.model import Image
from wsisam_server.annotations.sync.plan import Action, Case, Verb
from wsisam_server.annotations.sync.report import ImageReport, Outcome, Report
from wsisam_server.cli.sync_table import MOST_LINES, show

LONG = "TCGA-AA-3941-01Z-00-DX1.7c445fb8-53ee-4813-9ca8-8f7c3cc0bdde.svs"


def action(verb, **more):
    one = uuid.uuid4()
    return Action(Case(one, drawing(name="gland"), annotation(one, 1, drawing())), verb, "a reason", **more)


def image(name, *actions, outcome=Outcome.SYNCED, **more):
    return ImageReport(Image("1", name, ()), outcome, actions=list(actions), **more)


def shown(*images, dry_run=False, notes=()):
    out = io.StringIO()
    show(Report("p", "s", dry_run, list(images), list(notes)), Console(file=out, width=80))
    return out.getvalue().splitlines()


def test_everything_at_once_fits_into_80_columns():
    every = image(LONG, *map(action, Verb), action(Verb.ADD_TO_STORE, held=True), unchanged=12345)
    lines = shown(every, image("gone.svs", outcome=Outcome.UNMATCHED, problems=["no file"]))
    table = lines[: next(number for number, line in enumerate(lines) if line.startswith("conflict"))]
    assert max(map(len, table)) <= 80
    text = "\n".join(table)
    for word in ("changed", "merged", "removed", "deleted", "12345", "no slide", "conflicts", "waits"):
        assert word in text
    assert "…" not in text
    assert lines[-1].startswith("1 conflict remains")


@pytest.mark.parametrize(("count", "more"), [(MOST_LINES, 0), (MOST_LINES + 1, 1), (300, 300 - MOST_LINES)])
def test_of_many_images_the_first_are_shown(count, more):
    lines = shown(*(image(f"slide {number}", action(Verb.ADD_TO_STORE)) for number in range(count)))
    assert sum("slide " in line for line in lines) == min(count, MOST_LINES)
    assert sum(line.startswith(f"and {more} more image") for line in lines) == (more > 0)


def test_images_with_nothing_new_are_counted_only():
    skipped = [image(f"slide {number}", outcome=Outcome.SKIPPED, unchanged=7) for number in range(300)]
    assert shown(*skipped) == ["300 images with nothing new on either side", "in sync"]
    lines = shown(*skipped, image("changed.svs", action(Verb.REVISE_IN_STORE)))
    assert any("changed.svs" in line for line in lines)
    assert not any("slide 1" in line for line in lines)


def test_what_somebody_has_to_do_is_named_up_to_a_page_of_it():
    lines = shown(image("a.svs", *(action(Verb.CONFLICT) for _ in range(30)), failures=["no room"]), notes=["a note"])
    assert sum(line.startswith("conflict ") for line in lines) == MOST_LINES
    assert "and 12 more; --json has them all" in lines
    assert lines[-1].startswith("not in sync")


def test_nothing_at_all():
    assert shown() == ["in sync"]
    assert shown(dry_run=True)[-1] == "nothing was changed: a dry run"
