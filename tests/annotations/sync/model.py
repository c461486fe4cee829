"""Both sides as dictionaries: what a plan does to them, and the cases that they make."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

import shapely

from wsisam_server.annotations.store import Annotation, ChangeKind, Content, PathClass
from wsisam_server.annotations.sync.model import Drawing
from wsisam_server.annotations.sync.plan import Base, Case, Note, plan

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def drawing(**more):
    return Drawing(**{"shape": shapely.box(10, 10, 60, 50), "path_class": PathClass("Tumor", 0xC80000), **more})


def annotation(annotation_id, revision, said, *, deleted=False):
    kind = ChangeKind.DELETED if deleted else ChangeKind.SAVED
    content = said.onto(Content("slide", said.shape))
    return Annotation(annotation_id, revision, kind, content, "alice", "alice", NOW, NOW)


@dataclass
class Sides:
    """A project and a store, and the record of their last sync."""

    project: dict = field(default_factory=dict)
    history: dict = field(default_factory=dict)
    record: dict = field(default_factory=dict)
    head: int = 0

    def store(self, annotation_id, said, *, deleted=False):
        self.head += 1
        revisions = self.history.setdefault(annotation_id, [])
        revisions.append(
            annotation(
                annotation_id,
                self.head,
                said or (revisions[-1].content and Drawing.of(revisions[-1].content)),
                deleted=deleted,
            )
        )
        return self.head

    def agree(self, annotation_id, said):
        """Both sides hold it, and the record says so."""
        self.project[annotation_id] = said
        self.record[annotation_id] = Base(self.store(annotation_id, said), said.digest)

    def cases(self):
        found = []
        for one in {**self.project, **self.history, **self.record}:
            revisions = self.history.get(one, [])
            base = self.record.get(one)
            if base is not None:
                old = [Drawing.of(known.content) for known in revisions if known.revision == base.revision]
                base = Base(base.revision, base.digest, old[0] if old else None)
            found.append(Case(one, self.project.get(one), revisions[-1] if revisions else None, base))
        return found

    def plan(self, *options, **more):
        return plan(self.cases(), *options, **more)

    def apply(self, made):
        for action in made.actions:
            if not action.to_do:
                if action.note is Note.FORGET:
                    del self.record[action.id]
                if action.note is not Note.RECORD:
                    continue
            else:
                self._do(action)
            if action.id in self.project:
                self.record[action.id] = Base(self.history[action.id][-1].revision, self.project[action.id].digest)
            else:
                self.record.pop(action.id, None)

    def _do(self, action):
        if action.in_store:
            if action.discarded is not None:
                self.store(action.id, action.discarded)
            if action.target is not None:
                self.store(action.id, action.target)
            elif not self.history[action.id][-1].deleted:
                self.store(action.id, None, deleted=True)
        if action.in_project:
            if action.target is None:
                del self.project[action.id]
            else:
                self.project[action.id] = action.target

    def alive(self, annotation_id):
        """The store's version, unless deleted."""
        revisions = self.history.get(annotation_id, [])
        return Drawing.of(revisions[-1].content) if revisions and not revisions[-1].deleted else None


def ids(count):
    return [uuid.uuid4() for _ in range(count)]
