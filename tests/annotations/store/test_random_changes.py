"""Any sequence of changes, good and bad ones, against a store of a few lines that is plainly right."""

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from annotations.store.examples import content, request
from wsisam_server.annotations.store import AnnotationFilter, ChangeKind, Draft, Target, open_store
from wsisam_server.core.errors import Reason, WsiSamServerError

pytestmark = pytest.mark.slow

IDS = [uuid.UUID(int=number) for number in range(1, 5)]
NAMES = st.sampled_from("abc")
WHICH = st.sampled_from(IDS)
STEP_BACK = st.integers(-1, 2)
"""By how many revisions of the store an expectation is too old (or too new)."""


@dataclass(frozen=True)
class Row:
    id: uuid.UUID
    revision: int
    name: str
    kind: ChangeKind


class Changes(stateful.RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(str(Path(self.folder.name) / "a.sqlite"))
        self.rows = []

    def teardown(self):
        self.store.close()
        self.folder.cleanup()

    def head_of(self, annotation_id):
        return next((row for row in reversed(self.rows) if row.id == annotation_id), None)

    def applied(self, wanted):
        """What the model says of a request: its new rows, or the reason that it is refused."""
        new, reasons = [], []
        for annotation_id, expected, name, kind in wanted:
            head = self.head_of(annotation_id)
            gone = head is not None and head.kind is ChangeKind.DELETED
            if head is None:
                if kind is not ChangeKind.SAVED or expected != 0:
                    return None, Reason.ANNOTATION_NOT_FOUND
            elif gone if kind is ChangeKind.DELETED else not gone and name == head.name:
                continue
            elif head.revision != expected:
                reasons.append(Reason.REVISION_CONFLICT)
                continue
            said = head.name if kind is ChangeKind.DELETED else name
            new.append(Row(annotation_id, len(self.rows) + len(new) + 1, said, kind))
        return (None, reasons[0]) if reasons else (new, None)

    def run(self, call, asks, wanted):
        new, reason = self.applied(wanted)
        if reason is not None:
            with pytest.raises(WsiSamServerError) as caught:
                call(asks, author="a", request_id=request())
            assert caught.value.reason is reason
            return
        saved = call(asks, author="a", request_id=request())
        self.rows += new
        assert [one.revision for one in saved] == [self.head_of(one.id).revision for one in saved]
        assert [one.id for one in saved if not one.unchanged] == [row.id for row in new]

    def expectation(self, annotation_id, back):
        head = self.head_of(annotation_id)
        return max(0, (0 if head is None else head.revision) - back)

    @stateful.rule(batch=st.dictionaries(WHICH, st.tuples(NAMES, STEP_BACK), min_size=1))
    def save(self, batch):
        wanted = [(one, self.expectation(one, back), name, ChangeKind.SAVED) for one, (name, back) in batch.items()]
        self.run(
            self.store.save, [Draft(one, content(name=name), expected) for one, expected, name, _ in wanted], wanted
        )

    @stateful.rule(batch=st.dictionaries(WHICH, STEP_BACK, min_size=1))
    def delete(self, batch):
        wanted = [(one, self.expectation(one, back), None, ChangeKind.DELETED) for one, back in batch.items()]
        self.run(self.store.delete, [Target(one, expected) for one, expected, _, _ in wanted], wanted)

    @stateful.rule(one=WHICH, back=STEP_BACK, data=st.data())
    def restore(self, one, back, data):
        mine = [row for row in self.rows if row.id == one]
        if not mine:
            return
        row = data.draw(st.sampled_from([*mine, None]))
        wanted = [(one, self.expectation(one, back), (row or mine[-1]).name, ChangeKind.RESTORED)]
        self.run(self.store.restore, [Target(one, wanted[0][1], row and row.revision)], wanted)

    @stateful.invariant()
    def the_store_says_the_same(self):
        assert self.store.head() == len(self.rows)
        changes = self.store.changes(AnnotationFilter(), after=0, limit=10_000).annotations
        assert [Row(one.id, one.revision, one.content.name, one.kind) for one in changes] == self.rows
        heads = [row for row in self.rows if self.head_of(row.id) is row]
        current = self.store.listing(AnnotationFilter(), after=0, limit=100, deleted=True).annotations
        assert [one.revision for one in current] == [row.revision for row in heads]
        kept = self.store.listing(AnnotationFilter(), after=0, limit=100).annotations
        assert [one.id for one in kept] == [row.id for row in heads if row.kind is not ChangeKind.DELETED]


TestChanges = Changes.TestCase
TestChanges.settings = hypothesis.settings(max_examples=40, stateful_step_count=25, deadline=None)
