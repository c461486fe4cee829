"""What every store must do, whatever it keeps its annotations in."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import hypothesis
import pytest
import shapely
from hypothesis import strategies as st

from annotations.store.examples import (
    EVERYTHING,
    HOLED,
    OTHER_SLIDE,
    PICKED,
    SHAPES,
    SLIDE,
    SQUARE,
    content,
    contents,
    draft,
    request,
    same,
)
from wsisam_server.annotations.store import (
    AnnotationFilter,
    ChangeKind,
    Draft,
    Level,
    PathClass,
    Provenance,
    RevisionConflictError,
    SlideRecord,
    Target,
    model,
)
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, SlideSize
from wsisam_server.core.prompt import SlidePrompt

ROUND = shapely.Point(0, 0).buffer(9, quad_segs=3000)

BOWTIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])

ALL = AnnotationFilter()

SLOW = hypothesis.settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,  # what a store holds already does not matter
        hypothesis.HealthCheck.differing_executors,  # the same contract for several stores
    ],
)


def everything(store, wanted=ALL, *, after=0, limit=1000, deleted=False):
    """A whole listing, page by page."""
    found = []
    while True:
        page = store.listing(wanted, after=after, limit=limit, deleted=deleted)
        assert len(page.annotations) <= limit
        assert [one.revision for one in page.annotations] == sorted(one.revision for one in page.annotations)
        found += page.annotations
        after = page.revision
        if page.complete:
            return found


def all_changes(store, wanted=ALL, *, after=0, limit=1000):
    found = []
    while True:
        page = store.changes(wanted, after=after, limit=limit)
        found += page.annotations
        after = page.revision
        if page.complete:
            return found


class StoreContract:
    """Subclasses give a fixture `store`, empty, and `again`: opens the same store once more, apart from the first."""

    def save(self, store, *drafts, author="anna", **more):
        return store.save(drafts, author=author, request_id=request(), **more)

    def refuses(self, reason, call, *args, **kwargs):
        with pytest.raises(WsiSamServerError) as caught:
            call(*args, **kwargs)
        assert caught.value.reason is reason
        return caught.value

    # What stands

    def test_standings_tell_revisions_without_contents(self, store, again):
        whole, plain, gone = Draft(uuid.uuid4(), EVERYTHING), draft(), draft()
        self.save(store, whole, plain, gone, draft(slide_id=OTHER_SLIDE))
        (deleted,) = store.delete([Target(gone.id, 3)], author="anna", request_id=request())
        for reader in (store, again()):
            found, revision = reader.standings(SLIDE)
            assert revision == store.head()
            assert {one: (at.revision, at.deleted) for one, at in found.items()} == {
                whole.id: (1, False),
                plain.id: (2, False),
                gone.id: (deleted.revision, True),
            }
        assert store.standings("nowhere") == ({}, store.head())

    def test_some_are_those_that_are_known(self, store):
        drafts = [draft(name=str(number)) for number in range(3)]
        self.save(store, *drafts)
        store.delete([Target(drafts[1].id, 2)], author="anna", request_id=request())
        found = store.some([drafts[1].id, uuid.uuid4(), drafts[2].id])
        assert {(one.id, one.content.name, one.deleted) for one in found} == {
            (drafts[1].id, "1", True),
            (drafts[2].id, "2", False),
        }
        assert store.some([]) == []

    # What is kept

    def test_a_new_store_is_empty(self, store):
        assert store.head() == 0
        assert store.classes() == []
        assert everything(store) == all_changes(store) == []
        assert store.slides([SLIDE]) == []

    def test_its_identity_stays(self, store, again):
        assert uuid.UUID(store.identity)
        assert again().identity == store.identity

    def test_everything_is_kept(self, store, again):
        before = datetime.now(timezone.utc)
        new = Draft(uuid.uuid4(), EVERYTHING)
        (saved,) = self.save(store, new, author="ärztin")
        for reader in (store, again()):
            found = reader.get(new.id)
            assert same(found.content, EVERYTHING)
            assert (found.id, found.revision, found.kind) == (new.id, saved.revision, ChangeKind.SAVED)
            assert (found.author, found.creator, found.deleted) == ("ärztin", "ärztin", False)
            assert before - timedelta(seconds=5) <= found.create_time == found.update_time <= datetime.now(timezone.utc)
            assert found.create_time.tzinfo is not None
        assert (saved.id, saved.unchanged) == (new.id, False)

    def test_least_is_kept(self, store):
        new = draft()
        self.save(store, new)
        assert same(store.get(new.id).content, new.content)

    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_every_kind_of_shape_is_kept_exactly(self, store, shape):
        new = draft(shape=shape)
        self.save(store, new)
        found = store.get(new.id).content.shape
        assert found.geom_type == shape.geom_type
        assert shapely.get_coordinates(found).tolist() == shapely.get_coordinates(shape).tolist()

    def test_several_that_are_only_one_are_that_one(self, store):
        new = draft(shape=shapely.MultiPolygon([HOLED]))
        self.save(store, new)
        assert store.get(new.id).content.shape.equals_exact(HOLED, tolerance=0)
        assert store.get(new.id).content.shape.geom_type == "Polygon"

    @SLOW
    @hypothesis.given(batch=st.lists(contents, min_size=1, max_size=4))
    def test_whatever_can_be_stored_is_kept(self, store, batch):
        drafts = [Draft(uuid.uuid4(), one) for one in batch]
        for saved, new in zip(self.save(store, *drafts), drafts, strict=True):
            found = store.get(new.id).content
            expected = new.content
            if expected.shape.geom_type.startswith("Multi") and len(expected.shape.geoms) == 1:
                expected = replace(expected, shape=expected.shape.geoms[0])
            assert same(found, expected)
            # And saved again it is the same, to the last bit.
            (repeated,) = self.save(store, replace(new, expected=saved.revision))
            assert repeated.unchanged

    # Revisions

    def test_numbers_go_up_over_the_whole_store(self, store):
        first = self.save(store, draft(), draft(slide_id=OTHER_SLIDE))
        second = self.save(store, draft())
        assert [saved.revision for saved in first + second] == [1, 2, 3]
        assert store.head() == 3

    def test_a_change_keeps_what_was_before(self, store):
        new = draft(name="old")
        (first,) = self.save(store, new)
        (second,) = self.save(store, draft(new.id, first.revision, name="new"), author="ben")
        found = store.get(new.id)
        assert (found.content.name, found.revision, found.author, found.creator) == ("new", 2, "ben", "anna")
        assert found.update_time > found.create_time
        old = store.get(new.id, first.revision)
        assert (old.content.name, old.author, old.update_time) == ("old", "anna", found.create_time)
        assert [one.revision for one in store.history(new.id, after=0, limit=10).annotations] == [1, second.revision]

    def test_a_change_to_an_old_revision_conflicts_with_both_versions(self, store):
        new, other = draft(name="first"), draft()
        self.save(store, new)
        self.save(store, draft(new.id, 1, name="hers"), author="ben")
        mine = draft(new.id, 1, name="mine")
        with pytest.raises(RevisionConflictError) as caught:
            self.save(store, other, mine)
        error = caught.value
        (conflict,) = error.conflicts
        assert error.reason is Reason.REVISION_CONFLICT
        assert conflict.sent == mine
        assert (conflict.stored.content.name, conflict.stored.author, conflict.stored.revision) == ("hers", "ben", 2)
        assert (error.details["current"], error.details["expected"]) == ("2", "1")
        # Nothing of the request was stored.
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.get, other.id)
        assert store.head() == 2

    def test_all_conflicts_of_a_request_are_told(self, store):
        drafts = [draft(name=str(number)) for number in range(150)]
        self.save(store, *drafts)
        with pytest.raises(RevisionConflictError) as caught:
            self.save(store, *[draft(one.id, 0, name="again") for one in drafts])
        assert caught.value.details["conflicts"] == "150"
        assert 1 <= len(caught.value.conflicts) <= 100

    @pytest.mark.parametrize("expected", [0, 1, 2, 7])
    def test_what_is_so_already_is_no_conflict_and_no_revision(self, store, expected):
        new = draft(name="same")
        self.save(store, draft(new.id, 0, name="other"))
        self.save(store, replace(new, expected=1))
        (saved,) = self.save(store, replace(new, expected=expected), author="ben")
        assert (saved.revision, saved.unchanged) == (2, True)
        assert store.head() == 2
        assert store.get(new.id).author == "anna"

    @pytest.mark.parametrize(
        "change",
        [
            {"shape": shapely.box(10, 20, 30.03125, 40.0000001)},
            {"path_class": PathClass("Tumor")},
            {"path_class": PathClass("Stroma", 1)},
            {"path_class": None},
            {"rgb": 0},
            {"name": "b"},
            {"project": "p"},
            {"locked": True},
            {"measurements": {"a": 1.0000000000000002}},
            {"measurements": {}},
            {"metadata": {"a": "c"}},
            {"provenance": None},
            {"provenance": Provenance("m", "w", score=0.5)},
            {"provenance": Provenance("m", "w", levels=(Level(2, 1), Level(0.5, 7)))},
            {"provenance": PICKED},
        ],
        ids=str,
    )
    def test_every_difference_is_a_revision(self, store, change):
        base = {
            "path_class": PathClass("Stroma"),
            "name": "a",
            "measurements": {"a": 1.0},
            "metadata": {"a": "b"},
            "provenance": Provenance("m", "w"),
        }
        new = draft(**base)
        self.save(store, new)
        (saved,) = self.save(store, draft(new.id, 1, **{**base, **change}))
        assert (saved.revision, saved.unchanged) == (2, False)

    @pytest.mark.parametrize("field", ["shape", "candidate", "points"])
    def test_so_is_every_difference_of_a_prompt(self, store, field):
        new = draft(provenance=PICKED)
        self.save(store, new)
        assert same(store.get(new.id).content, new.content)
        other = replace(PICKED.prompt, **{field: () if field == "points" else None})
        (saved,) = self.save(store, draft(new.id, 1, provenance=replace(PICKED, prompt=other)))
        assert (saved.revision, saved.unchanged) == (2, False)

    def test_a_revision_of_what_was_never_saved_is_not_found(self, store):
        error = self.refuses(Reason.ANNOTATION_NOT_FOUND, self.save, store, draft(expected=3))
        assert uuid.UUID(error.details["annotation_id"])
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.get, uuid.uuid4())
        new, other = draft(), draft()
        self.save(store, new, other)
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.get, new.id, 2)
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.history, uuid.uuid4(), after=0, limit=1)

    def test_an_annotation_stays_on_its_slide(self, store):
        new = draft()
        self.save(store, new)
        moved = draft(new.id, 1, slide_id=OTHER_SLIDE)
        assert self.refuses(Reason.INVALID_FIELD, self.save, store, moved).details["field"] == "slide_id"

    # Deletion

    def test_a_deletion_is_a_revision_that_keeps_what_was_deleted(self, store):
        new = Draft(uuid.uuid4(), EVERYTHING)
        self.save(store, new)
        (done,) = store.delete([Target(new.id, 1)], author="ben", request_id=request())
        assert (done.id, done.revision, done.unchanged) == (new.id, 2, False)
        found = store.get(new.id)
        assert found.deleted
        assert (found.kind, found.author, found.creator) == (ChangeKind.DELETED, "ben", "anna")
        assert same(found.content, EVERYTHING)
        assert everything(store) == []
        assert [one.id for one in everything(store, deleted=True)] == [new.id]

    def test_deleting_again_changes_nothing(self, store):
        new = draft()
        self.save(store, new)
        for expected in (1, 1, 2):
            (done,) = store.delete([Target(new.id, expected)], author="ben", request_id=request())
            assert done.revision == store.head() == 2

    def test_deleting_what_was_changed_conflicts(self, store):
        new, other = draft(), draft()
        self.save(store, new, other)
        self.save(store, draft(new.id, 1, name="changed"))
        with pytest.raises(RevisionConflictError) as caught:
            store.delete([Target(other.id, 2), Target(new.id, 1)], author="ben", request_id=request())
        (conflict,) = caught.value.conflicts
        assert conflict.stored.content.name == "changed"
        assert conflict.sent == Target(new.id, 1)
        assert not store.get(other.id).deleted

    def test_changing_what_was_deleted_conflicts_and_saving_it_knowingly_brings_it_back(self, store):
        new = draft()
        self.save(store, new)
        store.delete([Target(new.id, 1)], author="ben", request_id=request())
        for expected in (0, 1):
            with pytest.raises(RevisionConflictError) as caught:
                self.save(store, replace(new, expected=expected))
            assert caught.value.conflicts[0].stored.deleted
        (saved,) = self.save(store, replace(new, expected=2))
        assert (saved.revision, saved.unchanged) == (3, False)
        assert not store.get(new.id).deleted

    def test_restoring_brings_back_what_was_deleted(self, store):
        new = Draft(uuid.uuid4(), EVERYTHING)
        self.save(store, new)
        store.delete([Target(new.id, 1)], author="ben", request_id=request())
        with pytest.raises(RevisionConflictError):
            store.restore([Target(new.id, 1)], author="cora", request_id=request())
        (done,) = store.restore([Target(new.id, 2)], author="cora", request_id=request())
        assert done.revision == 3
        found = store.get(new.id)
        assert (found.kind, found.author, found.deleted) == (ChangeKind.RESTORED, "cora", False)
        assert same(found.content, EVERYTHING)
        (again,) = store.restore([Target(new.id, 2)], author="cora", request_id=request())
        assert (again.revision, again.unchanged) == (3, True)

    def test_restoring_to_an_earlier_revision(self, store):
        new, other = draft(name="one"), draft()
        self.save(store, new, other)
        self.save(store, draft(new.id, 1, name="two"))
        (done,) = store.restore([Target(new.id, 3, revision=1)], author="ben", request_id=request())
        assert (done.revision, store.get(new.id).content.name) == (4, "one")
        for revision in (2, 99):  # another's, nobody's
            target = Target(new.id, 4, revision=revision)
            self.refuses(Reason.ANNOTATION_NOT_FOUND, store.restore, [target], author="b", request_id=request())

    def test_what_is_unknown_cannot_be_deleted_or_restored(self, store):
        for call in (store.delete, store.restore):
            self.refuses(Reason.ANNOTATION_NOT_FOUND, call, [Target(uuid.uuid4(), 1)], author="b", request_id=request())

    # Repetition

    def test_a_repeated_request_is_answered_as_before(self, store, again):
        new, same_request = draft(), request()
        first = store.save([new], author="anna", request_id=same_request)
        self.save(store, draft(new.id, 1, name="changed since"))
        other = again()
        assert other.save([new], author="anna", request_id=same_request) == first
        assert store.get(new.id).content.name == "changed since"
        deletion = request()
        done = store.delete([Target(new.id, 2)], author="anna", request_id=deletion)
        store.restore([Target(new.id, 3)], author="anna", request_id=request())
        assert other.delete([Target(new.id, 2)], author="anna", request_id=deletion) == done
        assert not store.get(new.id).deleted
        assert store.head() == 4

    def test_a_request_id_stands_for_one_request(self, store):
        new, used = draft(), request()
        store.save([new], author="anna", request_id=used)
        for call, changes, author in (
            (store.save, [draft()], "anna"),
            (store.save, [replace(new, content=content(name="x"))], "anna"),
            (store.save, [new], "ben"),
            (store.save, [new, draft()], "anna"),
            (store.save, [replace(new, expected=1)], "anna"),
            (store.delete, [Target(new.id, 1)], "anna"),
            (store.restore, [Target(new.id, 1)], "anna"),
        ):
            error = self.refuses(Reason.REQUEST_ID_REUSED, call, changes, author=author, request_id=used)
            assert error.details["request_id"] == used
        assert store.head() == 1

    def test_a_failed_request_may_be_repeated(self, store):
        used = request()
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.save, [draft(), draft(expected=9)], author="a", request_id=used)
        assert store.save([draft()], author="a", request_id=used)[0].revision == 1

    # Questions

    def test_listings_by_everything(self, store):
        tumor = PathClass("Tumor")
        far = shapely.box(1000, 1000, 1100, 1100)
        a, b, c, d = (
            draft(path_class=tumor, project="P"),
            draft(path_class=tumor, slide_id=OTHER_SLIDE),
            draft(shape=far, project="P"),
            draft(path_class=PathClass("Tumor: Positive"), shape=far),
        )
        self.save(store, a, b, slides=[SlideRecord(OTHER_SLIDE, ("file:///b",)), SlideRecord(SLIDE, ("file:///b",))])
        self.save(store, c, d, author="ben")

        def listed(**wanted):
            return {one.id for one in everything(store, AnnotationFilter(**wanted))}

        assert listed() == {a.id, b.id, c.id, d.id}
        assert listed(slide_id=SLIDE) == {a.id, c.id, d.id}
        assert listed(slide_id="nothing") == set()
        assert listed(uri="file:///b") == {a.id, b.id, c.id, d.id}
        assert listed(uri="file:///b", slide_id=OTHER_SLIDE) == {b.id}
        assert listed(uri="file:///") == set()
        assert listed(project="P") == {a.id, c.id}
        assert listed(project="") == {b.id, d.id}
        assert listed(author="ben") == {c.id, d.id}
        assert listed(path_class="Tumor") == {a.id, b.id}
        assert listed(path_class="") == {c.id}
        assert listed(region=Box(0, 0, 50, 50)) == {a.id, b.id}
        assert listed(region=Box(1050, 1050, 1051, 1051)) == {c.id, d.id}
        assert listed(region=Box(0, 0, 50, 50), slide_id=SLIDE, path_class="Tumor", author="anna") == {a.id}
        assert listed(author="ben", path_class="Tumor") == set()
        nothing_here = store.listing(AnnotationFilter(slide_id="nothing"), after=0, limit=5)
        assert (nothing_here.complete, nothing_here.revision) == (True, 4)

    @pytest.mark.parametrize(
        ("region", "meets"),
        [
            ((0, 0, 9.99, 100), False),
            ((0, 0, 10, 100), True),
            ((30.03125, 0, 99, 99), True),
            ((30.032, 0, 99, 99), False),
            ((15, 25, 16, 26), True),
            ((0, 0, 99, 19.9), False),
            ((0, 40, 99, 99), True),
        ],
    )
    def test_regions_meet_bounding_boxes(self, store, region, meets):
        self.save(store, draft(shape=SQUARE))
        assert bool(everything(store, AnnotationFilter(slide_id=SLIDE, region=Box(*region)))) is meets

    def test_a_listing_follows_changes(self, store):
        new = draft(project="P", path_class=PathClass("Tumor"))
        self.save(store, new)
        self.save(store, draft(new.id, 1, project="Q", shape=shapely.box(500, 500, 510, 510)), author="ben")
        for gone in ({"project": "P"}, {"path_class": "Tumor"}, {"author": "anna"}, {"region": Box(0, 0, 99, 99)}):
            assert everything(store, AnnotationFilter(**gone)) == []
        for now in ({"project": "Q"}, {"path_class": ""}, {"author": "ben"}, {"region": Box(499, 499, 501, 501)}):
            assert [one.id for one in everything(store, AnnotationFilter(**now))] == [new.id]

    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    def test_pages_of_any_size_hold_everything_once(self, store, limit):
        drafts = [draft(name=str(number)) for number in range(20)]
        self.save(store, *drafts)
        self.save(store, *[draft(one.id, number + 1, name="b") for number, one in enumerate(drafts[:5])])
        store.delete([Target(drafts[7].id, 8)], author="a", request_id=request())
        listed = everything(store, AnnotationFilter(slide_id=SLIDE), limit=limit)
        assert [one.id for one in listed] == [one.id for one in (*drafts[5:7], *drafts[8:], *drafts[:5])]
        assert len(everything(store, limit=limit, deleted=True)) == 20
        changes = all_changes(store, limit=limit)
        assert [one.revision for one in changes] == list(range(1, 27))

    def test_a_listing_since_a_revision_has_what_changed_since(self, store):
        drafts = [draft() for _ in range(4)]
        self.save(store, *drafts)
        since = store.head()
        self.save(store, draft(drafts[1].id, 2, name="new"))
        store.delete([Target(drafts[2].id, 3)], author="a", request_id=request())
        assert [one.id for one in everything(store, after=since)] == [drafts[1].id]
        assert [one.id for one in everything(store, after=since, deleted=True)] == [drafts[1].id, drafts[2].id]
        assert everything(store, after=store.head()) == []

    def test_what_changes_between_two_pages_comes_again(self, store):
        drafts = [draft() for _ in range(4)]
        self.save(store, *drafts)
        first = store.listing(AnnotationFilter(), after=0, limit=2)
        self.save(store, draft(drafts[0].id, 1, name="new"), draft(drafts[3].id, 4, name="new"))
        rest = everything(store, after=first.revision, limit=2)
        assert {one.id for one in rest} == {drafts[2].id, drafts[0].id, drafts[3].id}

    def test_the_future_is_refused(self, store):
        self.save(store, draft())
        for call in (store.listing, store.changes):
            error = self.refuses(Reason.REVISION_AHEAD, call, AnnotationFilter(), after=2, limit=1)
            assert (error.details["current"], error.details["given"]) == ("1", "2")

    def test_changes_tell_of_what_is_wanted_no_more(self, store):
        new, other = draft(path_class=PathClass("Tumor"), project="P"), draft()
        self.save(store, new, other)
        self.save(store, draft(new.id, 1, path_class=PathClass("Stroma"), project="Q"))
        self.save(store, draft(new.id, 3, path_class=PathClass("Stroma"), project="Q", name="x"))
        for wanted in (
            AnnotationFilter(path_class="Tumor"),
            AnnotationFilter(project="P"),
            AnnotationFilter(slide_id=SLIDE, project="P"),
        ):
            assert [one.revision for one in all_changes(store, wanted)] == [1, 3]
        assert [one.revision for one in all_changes(store, AnnotationFilter(path_class="Stroma"))] == [3, 4]
        assert [one.revision for one in all_changes(store, AnnotationFilter(slide_id=OTHER_SLIDE))] == []

    def test_changes_go_on_where_they_were_left(self, store):
        new = draft(name="1")
        self.save(store, new, draft())
        self.save(store, draft(new.id, 1, name="2"))
        store.delete([Target(new.id, 3)], author="a", request_id=request())
        store.restore([Target(new.id, 4)], author="a", request_id=request())
        whole = all_changes(store)
        assert [one.kind for one in whole] == [
            ChangeKind.SAVED,
            ChangeKind.SAVED,
            ChangeKind.SAVED,
            ChangeKind.DELETED,
            ChangeKind.RESTORED,
        ]
        for since in range(len(whole) + 1):
            assert all_changes(store, after=since) == whole[since:]
        assert store.changes(AnnotationFilter(slide_id="nothing"), after=0, limit=1).revision == 5

    def test_history_page_by_page(self, store):
        new = draft(name="1")
        self.save(store, new, draft())
        for number in range(3, 8):
            self.save(store, draft(new.id, max(1, number - 1) if number > 3 else 1, name=str(number)))
        first = store.history(new.id, after=0, limit=4)
        assert not first.complete
        rest = store.history(new.id, after=first.revision, limit=4)
        assert rest.complete
        assert [one.revision for one in first.annotations + rest.annotations] == [1, 3, 4, 5, 6, 7]

    # Classes

    def test_a_class_has_one_name_however_it_is_written(self, store):
        drafts = [
            draft(path_class=PathClass(name)) for name in ("Tumor: Positive", "Tumor:Positive", " Tumor :Positive ")
        ]
        other = draft(path_class=PathClass("Tumor"))
        self.save(store, *drafts, other)
        assert {store.get(one.id).content.path_class.name for one in drafts} == {"Tumor: Positive"}
        for written in ("Tumor: Positive", "Tumor:Positive", " Tumor : Positive"):
            wanted = AnnotationFilter(path_class=written)
            assert {one.id for one in everything(store, wanted)} == {one.id for one in drafts}
            assert {one.id for one in all_changes(store, wanted)} == {one.id for one in drafts}

    def test_a_class_that_was_stored_otherwise_is_the_same_one(self, store, monkeypatch):
        """As stores of before have it."""
        old, blank = draft(path_class=PathClass("Tumor: Positive", 5)), draft(path_class=PathClass("x"))
        for one, name in ((old, "Tumor:Positive "), (blank, " ")):
            object.__setattr__(one.content.path_class, "name", name)
        with monkeypatch.context() as before:
            before.setattr(model, "class_name", lambda name: name)
            self.save(store, old, blank)
        new = draft(path_class=PathClass("Tumor: Positive"))
        self.save(store, new)
        wanted = AnnotationFilter(path_class="Tumor: Positive")
        assert {one.id for one in everything(store, wanted)} == {old.id, new.id}
        assert {one.id for one in all_changes(store, wanted)} == {old.id, new.id}
        assert [one.id for one in everything(store, AnnotationFilter(path_class=""))] == [blank.id]
        assert store.get(old.id).content.path_class == PathClass("Tumor: Positive", 5)
        assert store.get(blank.id).content.path_class is None
        assert store.classes() == ["", "Tumor: Positive"]
        # What is so already is neither a conflict nor a revision.
        again = [draft(one.id, path_class=store.get(one.id).content.path_class) for one in (old, blank)]
        assert [saved.unchanged for saved in self.save(store, *again)] == [True, True]
        (gone,) = store.delete([Target(old.id, 1)], author="anna", request_id=request())
        store.restore([Target(old.id, gone.revision)], author="anna", request_id=request())
        assert {one.id for one in everything(store, wanted)} == {old.id, new.id}

    def test_a_class_that_was_there_once_is_listed_for_ever(self, store):
        first, second = draft(path_class=PathClass("Tumor")), draft(path_class=PathClass("Stroma"))
        self.save(store, first, second)
        assert store.classes() == ["Stroma", "Tumor"]
        store.delete([Target(first.id, 1)], author="anna", request_id=request())
        self.save(store, draft(second.id, 2, path_class=PathClass("Artefact")), draft())
        assert store.classes() == ["", "Artefact", "Stroma", "Tumor"]

    # Slides

    def test_slides_are_known_by_all_their_places(self, store):
        a = SlideRecord(SLIDE, ("file:///a.svs",), SlideSize(1000, 800))
        self.save(store, draft(), slides=[a])
        self.save(store, draft(), slides=[SlideRecord(SLIDE, ("Z:\\a.svs", "file:///a.svs"))])
        self.save(store, draft(slide_id=OTHER_SLIDE))
        known = {record.slide_id: record for record in store.slides([SLIDE, OTHER_SLIDE, "nothing"])}
        assert known == {
            SLIDE: SlideRecord(SLIDE, ("file:///a.svs", "Z:\\a.svs"), SlideSize(1000, 800)),
            OTHER_SLIDE: SlideRecord(OTHER_SLIDE),
        }

    def test_a_slide_of_many_places(self, store):
        uris = tuple(f"file:///{'x' * 3000}/{number}" for number in range(30))
        self.save(store, draft(), slides=[SlideRecord(SLIDE, uris)])
        # Readers get the one that was seen first, and the newest.
        assert store.slides([SLIDE])[0].uris == (uris[0], *uris[-15:])
        assert len(everything(store, AnnotationFilter(uri=uris[7]))) == 1

    # What is refused

    @pytest.mark.parametrize(
        ("shape", "problem"),
        [
            (BOWTIE, "Self-intersection"),
            (shapely.Polygon(), "empty"),
            (shapely.multipolygons([SQUARE, shapely.Polygon()]), "empty"),
            (shapely.GeometryCollection([SQUARE]), "GeometryCollection"),
            (shapely.LinearRing([(0, 0), (1, 0), (1, 1)]), "LinearRing"),
            (shapely.Point(1, 2, 3), "dimensions"),
            (shapely.Point(float("nan"), 2), ""),
            (shapely.LineString([(0, 0), (float("inf"), 1)]), "no number"),
            (shapely.Point(2.0**26 + 1, 0), "67108864"),
            (shapely.MultiPolygon([shapely.box(0, 0, 9, 9), shapely.box(5, 5, 12, 12)]), "Self-intersection"),
            (shapely.LineString([(5, 5), (5, 5)]), "Too few points"),
            (shapely.MultiPoint([(number, number) for number in range(1001)]), "1001 vertices"),
        ],
        ids=lambda value: value if isinstance(value, str) else value.geom_type,
    )
    def test_bad_shapes_are_refused(self, store, shape, problem):
        bad = draft(shape=shape)
        error = self.refuses(Reason.INVALID_SHAPE, self.save, store, draft(), bad)
        assert error.details["annotation_id"] == str(bad.id)
        assert problem in error.details["problem"]
        assert store.head() == 0

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"slide_id": ""}, "slide_id"),
            ({"slide_id": "x" * 513}, "slide_id"),
            ({"name": "a\0b"}, "name"),
            ({"name": "\ud800"}, "name"),
            ({"project": "x" * 513}, "project"),
            ({"path_class": PathClass("")}, "path_class.name"),
            ({"path_class": PathClass(" : ")}, "path_class.name"),
            ({"path_class": PathClass("x" * 513)}, "path_class.name"),
            ({"path_class": PathClass("a", -1)}, "path_class.rgb"),
            ({"path_class": PathClass("a", 1 << 24)}, "path_class.rgb"),
            ({"rgb": 1 << 24}, "rgb"),
            ({"measurements": {"a": float("nan")}}, "measurements"),
            ({"measurements": {"a": float("inf")}}, "measurements"),
            ({"metadata": {"a": "x" * 70_000}}, "metadata"),
            ({"metadata": {str(number): "x" * 1000 for number in range(70)}}, "annotation"),
            ({"provenance": Provenance("a\0", "b")}, "provenance.model"),
            ({"provenance": Provenance("a", "b", score=float("nan"))}, "provenance.score"),
            ({"provenance": Provenance("a", "b", levels=(Level(1, 1),) * 17)}, "provenance.levels"),
            (
                {"provenance": Provenance("a", "b", SlidePrompt(shape=shapely.MultiPolygon([ROUND])))},
                "provenance.prompt.shape",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else str(value)[:40],
    )
    def test_bad_fields_are_refused(self, store, more, field):
        error = self.refuses(Reason.INVALID_FIELD, self.save, store, draft(**more))
        assert error.details["field"] == field
        assert uuid.UUID(error.details["annotation_id"])
        assert store.head() == 0

    @pytest.mark.parametrize("field", ["slide_id", "uri", "project", "author", "path_class"])
    @pytest.mark.parametrize("text", ["a\0", "\ud800", "x" * 4097], ids=["null", "half a pair", "long"])
    def test_what_cannot_be_looked_for(self, store, field, text):
        for call in (store.listing, store.changes):
            error = self.refuses(Reason.INVALID_FIELD, call, AnnotationFilter(**{field: text}), after=0, limit=1)
            assert error.details["field"] == f"filter.{field}"

    def test_bad_requests_are_refused(self, store):
        new, target = draft(), Target(uuid.uuid4(), 1)
        for fields in ({"author": ""}, {"author": "x" * 129}, {"request_id": ""}, {"request_id": "a\0"}):
            given = {"author": "a", "request_id": request(), **fields}
            for call, changes in ((store.save, [new]), (store.delete, [target]), (store.restore, [target])):
                assert self.refuses(Reason.INVALID_FIELD, call, changes, **given).details["field"] in fields
        for call, batches in (
            (store.save, ([], [new, new], [draft() for _ in range(301)])),
            (store.delete, ([], [target, target])),
        ):
            for batch in batches:
                self.refuses(Reason.INVALID_FIELD, call, batch, author="a", request_id=request())
        for record in (SlideRecord(""), SlideRecord("a", ("",)), SlideRecord("a", ("x" * 4097,))):
            self.refuses(Reason.INVALID_FIELD, self.save, store, new, slides=[record])
        assert store.head() == 0

    # Many at once

    def test_writers_at_once_lose_nothing_and_readers_miss_nothing(self, store, again):
        writers, rounds = 4, 15
        seen, done = [], threading.Event()

        def follow():
            after = 0
            with again() as reader:
                while True:
                    last = done.is_set()
                    page = reader.changes(AnnotationFilter(), after=after, limit=7)
                    seen.extend(one.revision for one in page.annotations)
                    after = page.revision
                    if last and page.complete:
                        return

        def write(_):
            ids = []
            with again() as writer:
                for _ in range(rounds):
                    batch = [draft(), draft()]
                    writer.save(batch, author="a", request_id=request())
                    ids += [one.id for one in batch]
            return ids

        follower = threading.Thread(target=follow)
        follower.start()
        with ThreadPoolExecutor(writers) as pool:
            ids = [one for written in pool.map(write, range(writers)) for one in written]
        done.set()
        follower.join()
        total = 2 * writers * rounds
        assert seen == list(range(1, total + 1))
        assert store.head() == total
        assert {one.id for one in everything(store)} == set(ids)

    def test_of_two_who_change_the_same_one_wins_and_the_other_hears_of_it(self, store, again):
        new = draft()
        self.save(store, new)
        stores, newer = [store, again()], []

        def change(number):
            outcomes = []
            for turn in range(20):
                current = stores[number].get(new.id)
                try:
                    self.save(stores[number], draft(new.id, current.revision, name=f"{number} {turn}"))
                    outcomes.append(True)
                except RevisionConflictError as error:
                    outcomes.append(False)
                    newer.append(error.conflicts[0].stored.revision > current.revision)
            return outcomes

        with ThreadPoolExecutor(2) as pool:
            outcomes = [outcome for part in pool.map(change, range(2)) for outcome in part]
        history = store.history(new.id, after=0, limit=100).annotations
        assert len(history) == 1 + sum(outcomes)
        assert sum(outcomes) >= 20
        assert all(newer)

    def test_closing_twice_is_harmless(self, again):
        store = again()
        store.close()
        store.close()
