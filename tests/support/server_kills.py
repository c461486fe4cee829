"""A server that is killed again and again while annotators save: what they were told is kept, once, and whole."""

import random
import threading
import time
import uuid
from dataclasses import dataclass

from support.annotations import Caller, area, new
from support.server import around
from wsisam.v1 import annotations_pb2 as ann
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store.upkeep import check
from wsisam_server.client import Client, ServerError, status_error

ANNOTATORS = 4
EARLY = 4
"""Every so many kills, one while the server starts."""
CHECKED = 25
"""Every so many kills, the whole store is read."""


@dataclass(frozen=True)
class Version:
    """One annotation as of one revision."""

    revision: int
    name: str
    shape: bytes
    deleted: bool


@dataclass(frozen=True)
class Change:
    """One call, the same however often it is sent.

    Attributes:
        kind: the method.
        request: what is sent.
        after: name, shape and whether it is deleted of each annotation that it changes, by id; the shape of a prompt's
            outline is None: it is in the answer.
    """

    kind: str
    request: object
    after: dict


class Annotator:
    """Makes, changes, deletes and restores annotations of their own, and keeps outlines of prompts.

    A call without an answer is sent again, as it was, before anything else is done.
    """

    def __init__(self, number, slide_id):
        self._rng = random.Random(number)
        self._slide_id = slide_id
        self._author = f"annotator {number}"
        self.known = {}  # versions by id, in their order
        self.pending = None
        self.failed = None
        self.acknowledged = self.repeated = 0

    def work(self, target, changes):
        """Makes so many changes, or as many as it can until the server is gone."""
        try:
            with Client(target, timeout=60) as client:
                for _ in range(changes):
                    self._change(client)
        except ServerError as error:
            # Nobody there, and not an answer of the server: those have a reason.
            if error.status != "UNAVAILABLE" or error.reason:
                self.failed = error
        except Exception as error:  # noqa: BLE001 - for whoever waits for this thread
            self.failed = error

    def _change(self, client):
        self.repeated += self.pending is not None
        change = self.pending = self.pending or self._next()
        outline = None
        if change.kind == "Interact":
            outline = _interact(client, change.request)
        elif change.kind == "Segment":
            outline = client.segment(change.request)
        else:
            reply = client.call(getattr(client.annotations, change.kind), change.request)
        for saved in reply.saved if outline is None else [outline.saved]:
            name, shape, deleted = change.after[saved.id]
            shape = _bytes(ann.Shape(area=outline.geometry)) if shape is None else shape
            self.known.setdefault(saved.id, []).append(Version(saved.revision, name, shape, deleted))
        self.acknowledged += 1
        self.pending = None

    def _next(self):
        there = [key for key, versions in self.known.items() if not versions[-1].deleted]
        gone = [key for key, versions in self.known.items() if versions[-1].deleted]
        choices = [self._create, self._create, self._keep]
        choices += [lambda: self._update(there), lambda: self._delete(there)] if there else []
        choices += [lambda: self._restore(gone)] if gone else []
        return self._rng.choice(choices)()

    def _common(self):
        return {"request_id": uuid.uuid4().hex, "author": self._author}

    def _save(self, targets):
        """Saves (id, revision) with another shape and name each."""
        x, y = self._rng.randrange(800), self._rng.randrange(600)
        annotations = [
            new(key, revision=revision, slide_id=self._slide_id, name=uuid.uuid4().hex, shape=area(x, y, x + 5, y + 9))
            for key, revision in targets
        ]
        request = ann.AnnotationsSaveRequest(
            **self._common(), items=[ann.SaveItem(annotation=one) for one in annotations]
        )
        return Change("Save", request, {one.id: (one.name, _bytes(one.shape), False) for one in annotations})

    def _create(self):
        return self._save([(str(uuid.uuid4()), 0) for _ in range(self._rng.randint(1, 3))])

    def _update(self, there):
        key = self._rng.choice(there)
        return self._save([(key, self.known[key][-1].revision)])

    def _delete(self, there):
        key = self._rng.choice(there)
        last = self.known[key][-1]
        target = ann.AnnotationTarget(id=key, revision=last.revision)
        request = ann.AnnotationsDeleteRequest(**self._common(), targets=[target])
        return Change("Delete", request, {key: (last.name, last.shape, True)})

    def _restore(self, gone):
        key = self._rng.choice(gone)
        last = self.known[key][-1]
        target = ann.RestoreTarget(id=key, revision=last.revision)
        request = ann.AnnotationsRestoreRequest(**self._common(), targets=[target])
        return Change("Restore", request, {key: (last.name, last.shape, False)})

    def _keep(self):
        key, name, prompt = str(uuid.uuid4()), uuid.uuid4().hex, around(self._rng.choice("abc"))
        commit = pb.Commit(annotation_id=key, author=self._author, name=name)
        after = {key: (name, None, False)}
        if self._rng.random() < 0.5:
            return Change("Segment", pb.SegmentRequest(slide_id=self._slide_id, prompt=prompt, commit=commit), after)
        revision = pb.PromptRevision(object_id="object", revision=1, prompt=prompt, commit=commit)
        return Change("Interact", (pb.Start(slide_id=self._slide_id), revision), after)


def _interact(client, request):
    start, revision = request
    again = pb.Start(slide_id=start.slide_id)  # a new stream each time
    for reply in client.interact(again, [pb.InteractRequest(prompt=revision)]):
        kind = reply.WhichOneof("message")
        if kind == "error":
            raise status_error(reply.error.error)
        if kind == "outline":
            return reply.outline.outline
    raise AssertionError("the stream ended without an answer")


def _bytes(shape):
    return shape.SerializeToString(deterministic=True)


class Trial:
    """Kills servers of one store.

    Args:
        starter: starts them.
        folder: with the slide "discs.png".
        where: the store.
    """

    def __init__(self, starter, folder, where):
        self._starter = starter
        self._where = where
        self._arguments = ["--slides", folder, "--port", 0, "--store", where, "--log-level", "warning"]
        self._rng = random.Random(0)
        self.annotators = []
        self.unheard = set()
        """Changes that were stored, and whose answer was lost with the server: whose, and after how many others."""

    def run(self, kills):
        """Kills so many times, then asks for all that was acknowledged."""
        for number in range(kills):
            if number % EARLY == EARLY - 1:
                self._starter.start_and_kill(self._rng.uniform(0, 0.5), *self._arguments)
            else:
                server = self._starter.start(*self._arguments)
                self._verify(server.target)
                threads = self._at_work(server.target, changes=10**9)
                time.sleep(self._rng.uniform(0.01, 0.4))
                self._starter.kill(server)
                self._joined(threads)
            if number % CHECKED == 0:
                assert check(self._where).problems == ()
        server = self._starter.start(*self._arguments)
        self._verify(server.target)
        self._joined(self._at_work(server.target, changes=1))
        self._verify_history(server.target)
        self._starter.stop(server)
        assert check(self._where).problems == ()

    def _at_work(self, target, changes):
        if not self.annotators:
            with Client(target, timeout=60) as client:
                slide_id = client.open_slide("discs.png").slide_id
            self.annotators = [Annotator(number, slide_id) for number in range(ANNOTATORS)]
        else:
            with Client(target, timeout=60) as client:
                client.open_slide("discs.png")  # a server that starts knows no slide
        threads = [threading.Thread(target=one.work, args=(target, changes)) for one in self.annotators]
        for thread in threads:
            thread.start()
        return threads

    def _joined(self, threads):
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
        for annotator in self.annotators:
            if annotator.failed is not None:
                raise annotator.failed

    def _verify(self, target):
        """Each annotation is there once, as it was acknowledged or, where no answer came, as it was asked for."""
        caller = Caller(target)
        listed = [one for message in caller.listed(include_deleted=True) for one in message.annotations]
        caller.close()
        found = {one.id: one for one in listed}
        assert len(found) == len(listed)
        expected = set()
        for number, annotator in enumerate(self.annotators):
            waiting = annotator.pending.after if annotator.pending else {}
            # All of a call's changes, or none.
            stored = {self._is_new(annotator, found.get(key), key) for key in waiting}
            assert len(stored) <= 1
            if stored == {True}:
                self.unheard.add((number, annotator.acknowledged))
            for key, versions in annotator.known.items():
                expected.add(key)
                if key not in waiting or stored == {False}:
                    assert _version(found[key]) == versions[-1]
            for key, (name, shape, deleted) in waiting.items():
                if stored == {True}:
                    expected.add(key)
                    now = _version(found[key])
                    assert (now.name, now.deleted) == (name, deleted)
                    assert shape is None or now.shape == shape
        assert set(found) == expected

    @staticmethod
    def _is_new(annotator, now, key):
        last = annotator.known.get(key, [None])[-1]
        return now is not None and (last is None or now.revision > last.revision)

    def _verify_history(self, target):
        """Each acknowledged change made one revision, and nothing else made any."""
        self._verify(target)
        caller = Caller(target)
        revisions = 0
        for annotator in self.annotators:
            assert annotator.pending is None
            for key, versions in annotator.known.items():
                assert [_version(one) for one in caller.history(key)] == versions
                revisions += len(versions)
        assert caller.listed(include_deleted=True)[-1].revision == revisions
        caller.close()


def _version(one):
    return Version(one.revision, one.name, _bytes(one.shape), one.change == ann.CHANGE_KIND_DELETED)
