"""One image of a project: read both sides, plan, change the store, change the data file, note what both hold now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsisam_server.annotations.store import PathClass, SlideRecord
from wsisam_server.annotations.sync import files
from wsisam_server.annotations.sync.drawings import Edits
from wsisam_server.annotations.sync.errors import ImageError, NotKeptError
from wsisam_server.annotations.sync.image_common import ImageCommon
from wsisam_server.annotations.sync.in_common import recorded
from wsisam_server.annotations.sync.left_out import left_out, named
from wsisam_server.annotations.sync.likeness import class_parts
from wsisam_server.annotations.sync.plan import Case, Direction, Note, Plan, Verb, finish, plan
from wsisam_server.annotations.sync.record import ImageRecord, Look
from wsisam_server.annotations.sync.report import ImageReport, Outcome
from wsisam_server.annotations.sync.running import noted
from wsisam_server.annotations.sync.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wsisam_server.annotations.store import Annotation
    from wsisam_server.annotations.sync.model import Drawing, Image
    from wsisam_server.annotations.sync.options import Options
    from wsisam_server.annotations.sync.plan import Action
    from wsisam_server.annotations.sync.project import Contents, Project
    from wsisam_server.annotations.sync.record import Records, SlideSeen
    from wsisam_server.annotations.sync.running import RunningQuPath
    from wsisam_server.annotations.sync.steps import ProgressListener
    from wsisam_server.annotations.sync.store_side import Applied, StoreSide


@dataclass(frozen=True, slots=True)
class SyncContext:
    """What all images of a sync share.

    Attributes:
        store_id: the store's identity.
        trusted: what is remembered of this store still holds.
        qupaths: the running ones, looked for when it is first called.
    """

    project: Project
    store: StoreSide
    store_id: str
    records: Records
    trusted: bool
    options: Options
    listener: ProgressListener
    qupaths: Callable[[], Sequence[RunningQuPath]]


class ImageSync:
    """The sync of one image.

    Args:
        context: what it works with.
        image: of the project.
        slide: which it shows.
        record: of its last sync.
        had_data: it is known to have, or to have had, a data file.
    """

    def __init__(
        self, context: SyncContext, image: Image, slide: SlideSeen, record: ImageRecord, *, had_data: bool = False
    ) -> None:
        self._had_data = had_data
        self._context = context
        self._image = image
        self._slide = slide
        same_slide = record.slide is None or record.slide.slide_id == slide.slide_id
        self._found_again = record.slide == slide
        # Another image under the same number: two people added one each to copies of a project.
        self._record = replace(record, slide=slide) if same_slide else ImageRecord(slide)
        self._look = self._record.looks.get(context.store_id, Look()) if context.trusted else Look()
        self._common = ImageCommon(context.records.common, image.id, slide.slide_id, context.store_id)
        self._is_written = False
        self._report = ImageReport(image, Outcome.SYNCED, slide.slide_id)

    @property
    def record(self) -> ImageRecord:
        """What is remembered of it now."""
        return self._record

    @property
    def newest(self) -> tuple[uuid.UUID, int] | None:
        """The annotation of the latest revision that was synced, and that revision; None where nothing was compared."""
        bases = self._common.now.annotations
        one = max(bases, key=lambda one: bases[one].revision, default=None)
        return None if one is None else (one, bases[one].revision)

    def run(self) -> ImageReport:
        """Syncs it, or plans only.

        Raises:
            ImageError: it cannot be synced; what was not changed stays as it was.
            WsiSamServerError: the store failed.
            SyncError: QuPath failed.
        """
        if self._nothing_new():
            self._report.outcome = Outcome.SKIPPED
            self._report.unchanged = self._look.count
            self._report.problems += self._look.left_out
            if self._record.looks and not self._found_again and not self._context.options.dry_run:
                # So that the file is not looked into again the next time.
                self._context.records.write_image(self._image.id, self._record)
            return self._report
        contents = self._read()
        self._step(Step.PROJECT_READ)
        stored, revision = self._context.store.on_slide(self._slide.slide_id)
        self._step(Step.STORE_READ)
        self._remember(contents)
        planned = self._plan(contents, stored)
        self._report.actions = [action for action in planned.actions if action.verb is not Verb.UNCHANGED]
        same = [action for action in planned.actions if action.verb is Verb.UNCHANGED]
        self._report.unchanged = sum(action.case.project is not None for action in same)
        self._report.gone = [named(action) for action in same if action.gone]
        self._report.saved = None if contents.data is None else contents.data.saved
        self._report.problems += left_out(contents)
        self._step(Step.PLANNED)
        if self._context.options.dry_run:
            self._report.outcome = Outcome.PLANNED
        else:
            self._carry_out(planned, contents, revision)
        return self._report

    def _step(self, step: Step) -> None:
        self._context.listener.step(step, self._image)

    def _nothing_new(self) -> bool:
        path, look = self._context.project.data_path(self._image), self._look
        if self._had_data and not path.exists():
            return False
        if not look.done and (path.exists() or look.count):
            return False
        if not files.unchanged(path, look.data):
            return False
        return not self._context.store.has_news(self._slide.slide_id, look.revision)

    # Reading

    def _read(self) -> Contents:
        project, options = self._context.project, self._context.options
        contents = project.read(self._image, had_data=self._had_data)
        if contents.stable or not contents.drawings:
            return contents
        if not options.persist_ids or options.dry_run:
            raise ImageError(
                f"its {len(contents.drawings)} objects have no ids of their own (saved before QuPath 0.4) and would be "
                "new objects at each sync. Open and save it in a newer QuPath, or pass --persist-ids"
            )
        self._refuse_shown()
        project.write(self._image, contents, Edits(), uuid.uuid4().hex)
        self._step(Step.IDS_SAVED)
        contents = project.read(self._image)
        if not contents.stable:
            raise ImageError(
                "its objects have no ids that QuPath keeps, even after it was saved anew; please report this"
            )
        return contents

    def _remember(self, contents: Contents) -> None:
        """Finds what both sides had in common when the data file was what it was saved from."""
        store, trusted = self._context.store, self._context.trusted
        if not self._common.read(contents, store.revision_of, trusted=trusted, expected=bool(self._look.count)):
            self._report.problems.append(
                "its data file was not saved from what the last syncs left (it comes from an older backup, or another "
                "program wrote it), so both sides were compared without history: nothing was deleted"
            )

    # Planning

    def _plan(self, contents: Contents, stored: dict[uuid.UUID, Annotation]) -> Plan:
        options, settling = self._context.options, self._common.now.settling
        cases = [case for case in self._cases(contents, stored) if self._wanted(case)]
        versions = {one: self._context.store.version(one, revision) for one, revision in settling.items()}
        going_on = [
            finish(case, version, options.direction) for case in cases if (version := versions.get(case.id)) is not None
        ]
        rest = [case for case in cases if versions.get(case.id) is None]
        return Plan((*going_on, *plan(rest, options.direction, options.resolution).actions))

    def _cases(self, contents: Contents, stored: dict[uuid.UUID, Annotation]) -> list[Case]:
        bases = self._common.bases
        unusable = {uuid.UUID(one) for one in contents.unusable}
        found = {**contents.drawings, **stored, **bases}.keys() - unusable
        return [
            self._with_base(
                Case(one, contents.drawings.get(one), stored.get(one), bases.get(one), one in self._common.missing)
            )
            for one in sorted(found)
        ]

    def _with_base(self, case: Case) -> Case:
        if case.base is None or not case.needs_base:
            return case
        drawing = self._context.store.drawing(case.id, case.base.revision)
        return replace(case, base=replace(case.base, drawing=drawing))

    def _wanted(self, case: Case) -> bool:
        name = self._context.options.path_class
        if name is None:
            return True
        sides: list[Drawing] = [side for side in (case.project, case.stored) if side is not None]
        return any(class_parts(side.path_class) == class_parts(PathClass(name)) for side in sides)

    # Carrying out

    def _carry_out(self, planned: Plan, contents: Contents, revision: int) -> None:
        edits = _edits(planned)
        settled = {action.id: _settled_with(action) for action in planned.actions if action.discarded is not None}
        if edits or settled:
            self._refuse_shown()
        if edits or any(action.to_do for action in planned.actions):
            # What cannot be done is found before the store is touched.
            self._context.project.check_writable(self._image, data=bool(edits))
        name, first = contents.generation, self._common.now
        contents, sent = self._mark(planned, contents)
        if settled:
            self._common.intend(settled, contents.generation)
            self._step(Step.INTENT_RECORDED)
        slide = SlideRecord(self._slide.slide_id, self._image.uris, self._image.size)
        applied = self._context.store.apply(planned.actions, slide, self._image)
        edits = edits.without(set(applied.refused))
        before = contents.generation
        if edits:
            contents = self._write(contents, edits, planned, applied)
        self._is_written = contents.generation != before
        actions = {action.id: action for action in planned.actions}
        self._report.failures += [f"{named(actions[one])}: {why}" for one, why in applied.refused.items()]
        self._note(planned, contents, applied, revision)
        if name != contents.generation:
            self._common.keep_doubtful(name, first, sent)
        self._common.prune([contents.generation, before, name])

    def _mark(self, planned: Plan, contents: Contents) -> tuple[Contents, set[uuid.UUID]]:
        """Gives the data file a name of its own before what it holds goes to the store, and notes what goes.

        So whatever has that name held it: if it is gone from there later, somebody deleted it. A QuPath that had the
        image open before has the old name. Where the file must not be written, the old name has to do.

        Returns:
            The image as it is now, and what both sides will have in common that only the image held.
        """
        sent = {action.id: action.target for action in planned.actions if _goes_as_it_is(action)}
        noted = {action.id for action in planned.actions if _is_news(action)}
        sure = self._common.now.doubtful.keys() & contents.drawings.keys()
        if not sent and not noted and not sure:
            return contents, set()
        may_mark = self._may_mark()
        if not sent and not noted and not may_mark:
            return contents, set()
        digests = {one: target.digest for one, target in sent.items() if target is not None}
        anew = self._named_anew(contents, digests) if may_mark else None
        if anew is None:
            ids = [*sent, *noted]
            self._common.keep(
                contents.generation, self._common.bases, contents, shown=self._is_shown, sent=digests, noted=ids
            )
        return anew or contents, sent.keys() | noted

    def _named_anew(self, contents: Contents, sent: Mapping[uuid.UUID, str]) -> Contents | None:
        """The image, once its data file has a name of its own; None where it cannot be written as it was read."""
        generation, before = uuid.uuid4().hex, self._common.state()

        def announce(after: Contents) -> None:
            self._common.keep(generation, self._common.bases, after, shown=self._is_shown, sent=sent)

        try:
            return self._context.project.write(self._image, contents, Edits(), generation, announce)
        except ImageError:
            self._common.back_to(before)
            return None

    def _may_mark(self) -> bool:
        if self._context.options.direction is Direction.TO_STORE or self._is_shown():
            return False
        try:
            self._context.project.check_writable(self._image, data=True)
        except ImageError:
            return False
        return True

    def _write(self, contents: Contents, edits: Edits, planned: Plan, applied: Applied) -> Contents:
        """Writes the data file, without what QuPath does not keep; that is refused, too."""
        generation = uuid.uuid4().hex

        def announce(after: Contents) -> None:
            # The record is there before the file that names it: whoever is cut off in between has both, old and new.
            self._keep_record(generation, planned, after, applied)
            self._step(Step.INTENT_RECORDED)

        while edits:
            try:
                return self._context.project.write(self._image, contents, edits, generation, announce)
            except NotKeptError as error:
                applied.refused |= error.problems
                edits = edits.without(set(error.problems))
        return contents

    def _keep_record(self, generation: str | None, planned: Plan, contents: Contents, applied: Applied) -> None:
        """Writes what both sides have in common once the data file is what `contents` says."""
        bases = recorded(self._common.bases, planned.actions, applied, contents.drawings)
        self._common.keep(generation, bases, contents, shown=self._is_shown)

    def _refuse_shown(self) -> None:
        sign = self._why_shown()
        if sign is not None:
            raise ImageError(
                f"{sign}. It would overwrite what is written now when it saves. Save, and close the project there (or "
                "open another one), then sync again; or run WsiSamSync in that QuPath; or pass --even-if-open if it "
                "does not show this image"
            )

    def _is_shown(self) -> bool:
        return self._why_shown() is not None

    def _why_shown(self) -> str | None:
        """What says that a QuPath shows the image; None where nothing does, or it does not matter."""
        if self._context.options.even_if_open:
            return None
        paths = [self._context.project.data_path(self._image)]
        if self._slide.file is not None:
            paths.append(Path(self._slide.file[0]))
        project = self._context.project.path
        signs = [noted(project), *(qupath.why_open(project) for qupath in self._context.qupaths())]
        signs += [f"QuPath (process {one.pid}) shows it" for one in self._context.qupaths() if one.shows(paths)]
        return next(filter(None, signs), None)

    # Noting

    def _note(self, planned: Plan, contents: Contents, applied: Applied, revision: int) -> None:
        options = self._context.options
        left = planned.conflicts or planned.held or applied.refused or options.path_class is not None
        news, latest = self._context.store.on_slide(self._slide.slide_id, revision)
        self._step(Step.STORE_READ_AGAIN)
        ours = applied.revisions
        all_ours = all(ours.get(one) == annotation.revision for one, annotation in news.items())
        if not self._is_written:
            self._keep_record(contents.generation, planned, contents, applied)
        self._record.looks[self._context.store_id] = Look(
            revision=latest if all_ours else revision,
            data=contents.data,
            done=all_ours and not left,
            left_out=left_out(contents),
            count=len(self._common.now.annotations),
        )
        self._context.records.write_image(self._image.id, self._record)
        self._step(Step.IMAGE_RECORDED)


def _edits(planned: Plan) -> Edits:
    edits = Edits()
    for action in planned.actions:
        if not (action.in_project and action.to_do):
            continue
        if action.target is None:
            edits.remove.append(action.id)
        elif action.case.project is None:
            edits.add[action.id] = action.target
        else:
            edits.update[action.id] = (action.case.project, action.target)
    return edits


def _goes_as_it_is(action: Action) -> bool:
    """Whether what the image holds goes to the store, and nothing comes back."""
    plain = action.in_store and not action.in_project and action.discarded is None
    return plain and action.to_do and action.target is not None


def _is_news(action: Action) -> bool:
    """Whether both sides hold the same, and the record does not know what the image holds."""
    project, base = action.case.project, action.case.base
    if action.verb is not Verb.UNCHANGED or action.note is not Note.RECORD or project is None:
        return False
    return base is None or base.digest != project.digest


def _settled_with(action: Action) -> int:
    """The revision of the store's version that a conflict is settled with."""
    assert action.case.store is not None
    return action.case.store.revision
