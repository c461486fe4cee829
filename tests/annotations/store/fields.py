"""What every store must do with fields that are saved by themselves, and with trials."""

import uuid
from dataclasses import replace

import pytest
import shapely

from annotations.store.examples import EVERYTHING, OTHER_SLIDE, SLIDE, draft, request, same
from wsisam_server.annotations.store import (
    PATCH_FIELDS,
    AnnotationFilter,
    Content,
    Draft,
    Patch,
    PathClass,
    RevisionConflictError,
    SlideRecord,
    Target,
)
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize

NEW_VALUES = {
    "shape": shapely.box(1, 2, 3, 4),
    "path_class": PathClass("Stroma", 0x00FF00),
    "rgb": 0x123456,
    "name": "new",
    "project": "Leber",
    "locked": False,
    "measurements": {"other": 1.5},
    "metadata": {"other": "text"},
    "provenance": None,
}
CLEARED = {"path_class": None, "rgb": None, "name": "", "project": "", "measurements": {}, "metadata": {}}


class FieldsContract:
    """Subclasses give a fixture `store`, empty."""

    def save(self, store, *drafts, author="anna", **more):
        return store.save(drafts, author=author, request_id=request(), **more)

    def refuses(self, reason, call, *args, **kwargs):
        with pytest.raises(WsiSamServerError) as caught:
            call(*args, **kwargs)
        assert caught.value.reason is reason
        return caught.value

    # Fields by themselves

    def test_every_field_has_a_new_value_here(self):
        assert NEW_VALUES.keys() == PATCH_FIELDS

    @pytest.mark.parametrize(
        "fields", [{name: value} for name, value in NEW_VALUES.items()] + [NEW_VALUES, CLEARED], ids=",".join
    )
    def test_the_fields_of_a_patch_change_and_no_others(self, store, fields):
        whole = Draft(uuid.uuid4(), EVERYTHING)
        self.save(store, whole)
        (saved,) = self.save(store, Patch(whole.id, 1, fields), author="ben")
        assert (saved.revision, saved.unchanged) == (2, False)
        found = store.get(whole.id)
        assert same(found.content, replace(EVERYTHING, **fields))
        assert (found.author, found.creator) == ("ben", "anna")
        (listed,) = store.listing(AnnotationFilter(project=found.content.project), after=0, limit=9).annotations
        assert listed.id == whole.id
        assert same(store.get(whole.id, 1).content, EVERYTHING)

    def test_patches_and_whole_annotations_go_together_or_not_at_all(self, store):
        first, second = draft(name="a"), draft(name="b")
        self.save(store, first, second)
        saved = self.save(store, Patch(first.id, 1, {"name": "c"}), draft(second.id, 2, name="d"), draft())
        assert [one.revision for one in saved] == [3, 4, 5]
        stale = Patch(first.id, 1, {"name": "e"})
        with pytest.raises(RevisionConflictError) as caught:
            self.save(store, Patch(second.id, 4, {"name": "f"}), stale)
        (conflict,) = caught.value.conflicts
        assert (conflict.sent, conflict.stored.content.name) == (stale, "c")
        assert store.get(second.id).content.name == "d"
        assert store.head() == 5

    def test_a_patch_that_changes_nothing_is_neither_a_revision_nor_a_conflict(self, store):
        one = draft(name="a")
        self.save(store, one)
        self.save(store, Patch(one.id, 1, {"locked": True}))
        for expected in (1, 2):
            (again,) = self.save(store, Patch(one.id, expected, {"name": "a"}))
            assert (again.revision, again.unchanged) == (2, True)

    def test_fields_of_two_people_are_not_mixed_unseen(self, store):
        one = draft()
        self.save(store, one)
        self.save(store, Patch(one.id, 1, {"name": "hers"}))
        with pytest.raises(RevisionConflictError):
            self.save(store, Patch(one.id, 1, {"path_class": PathClass("Tumor")}))
        self.save(store, Patch(one.id, 2, {"path_class": PathClass("Tumor")}))
        found = store.get(one.id).content
        assert (found.name, found.path_class.name) == ("hers", "Tumor")

    def test_a_patch_brings_a_deleted_annotation_back(self, store):
        one = Draft(uuid.uuid4(), EVERYTHING)
        self.save(store, one)
        store.delete([Target(one.id, 1)], author="anna", request_id=request())
        with pytest.raises(RevisionConflictError):
            self.save(store, Patch(one.id, 1, {"name": "back"}))
        # That it has this name already does not make it there.
        (saved,) = self.save(store, Patch(one.id, 2, {"name": EVERYTHING.name}))
        assert (saved.revision, saved.unchanged) == (3, False)
        found = store.get(one.id)
        assert not found.deleted
        assert same(found.content, EVERYTHING)

    def test_a_repeated_patch_is_made_once_and_its_fields_count(self, store):
        one = draft(name="a", path_class=PathClass("Tumor"))
        self.save(store, one)
        once = {"author": "anna", "request_id": request()}
        patch = Patch(one.id, 1, {"name": ""})
        first = store.save([patch], **once)
        self.save(store, Patch(one.id, 2, {"name": "later"}))
        assert store.save([patch], **once) == first
        assert store.get(one.id).content.name == "later"
        # Another value, one field more, and the fields' whole content instead.
        for other in (
            Patch(one.id, 1, {"name": "b"}),
            Patch(one.id, 1, {"name": "", "path_class": None}),
            Patch(one.id, 1, {"name": ""}, SLIDE),
            Draft(one.id, Content(SLIDE, one.content.shape), 1),
        ):
            self.refuses(Reason.REQUEST_ID_REUSED, store.save, [other], **once)

    def test_patches_that_are_refused(self, store):
        one = draft(metadata={"a": "x" * 40_000})
        self.save(store, one)
        new = uuid.uuid4()
        self.refuses(Reason.ANNOTATION_NOT_FOUND, self.save, store, Patch(new, 1, {"name": "a"}))
        for patch, field in (
            (Patch(one.id, 1, {}), "update_mask"),
            (Patch(new, 0, {"name": "a"}), "update_mask"),
            (Patch(one.id, 1, {"name": "\0"}), "name"),
            (Patch(one.id, 1, {"measurements": {"a": float("nan")}}), "measurements"),
            (Patch(one.id, 1, {"path_class": PathClass(" ")}), "path_class.name"),
            # Each text is short enough, and so are all that are sent.
            (Patch(one.id, 1, {"name": "y" * 30_000}), "annotation"),
            (Patch(one.id, 1, {"name": "a"}, OTHER_SLIDE), "slide_id"),
        ):
            error = self.refuses(Reason.INVALID_FIELD, self.save, store, patch)
            assert (error.details["field"], error.details["annotation_id"]) == (field, str(patch.id))
        bowtie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
        self.refuses(Reason.INVALID_SHAPE, self.save, store, Patch(one.id, 1, {"shape": bowtie}))
        self.save(store, Patch(one.id, 1, {"name": "a"}, SLIDE))
        assert store.head() == 2

    # Trials

    def test_a_trial_says_what_would_be_and_changes_nothing(self, store):
        kept, gone = draft(name="kept"), draft(name="gone")
        self.save(store, kept, gone)
        store.delete([Target(gone.id, 2)], author="anna", request_id=request())
        before = store.head()
        trial = {"author": "anna", "request_id": request(), "validate_only": True}
        said = store.save([draft(), draft(kept.id, 1, name="kept"), Patch(gone.id, 3, {"name": "back"})], **trial)
        assert [(one.revision, one.unchanged) for one in said] == [(0, False), (1, True), (3, False)]
        (deletion,) = store.delete([Target(kept.id, 1)], **trial)
        (restoration,) = store.restore([Target(gone.id, 3)], **trial)
        assert [(one.revision, one.unchanged) for one in (deletion, restoration)] == [(1, False), (3, False)]
        assert store.head() == before
        assert not store.get(kept.id).deleted
        # Nor is the request id used up, nor the slide noted.
        unheard = SlideRecord("unheard of", ("file:///a",), SlideSize(9, 8))
        store.save([draft(slide_id="unheard of")], slides=[unheard], **trial)
        assert store.slides(["unheard of"]) == []
        store.save([draft()], author="anna", request_id=trial["request_id"])

    def test_a_trial_fails_as_the_change_would(self, store):
        one = draft(name="a")
        self.save(store, one)
        self.save(store, draft(one.id, 1, name="b"))
        trial = {"author": "anna", "request_id": request(), "validate_only": True}
        for call, change in ((store.save, draft(one.id, 1)), (store.delete, Target(one.id, 1))):
            with pytest.raises(RevisionConflictError):
                call([change], **trial)
        self.refuses(Reason.ANNOTATION_NOT_FOUND, store.restore, [Target(uuid.uuid4(), 1)], **trial)
        self.refuses(Reason.INVALID_FIELD, store.save, [draft(slide_id="")], **trial)

    # Slides

    def test_slides_are_listed_with_what_they_hold(self, store):
        assert store.slide_summaries() == []
        seen = SlideRecord(SLIDE, ("file:///a.svs",), SlideSize(900, 700))
        here, gone, there = draft(), draft(), draft(slide_id=OTHER_SLIDE)
        self.save(store, here, gone, slides=[seen, SlideRecord("nothing on it", ("file:///b.svs",))])
        self.save(store, there)
        store.delete([Target(gone.id, 2), Target(there.id, 3)], author="anna", request_id=request())
        first, second = store.slide_summaries()
        assert (first.slide, first.annotations, first.revision) == (seen, 1, 4)
        assert (second.slide.slide_id, second.annotations, second.revision) == (OTHER_SLIDE, 0, 5)

    def test_it_says_the_version_of_its_form(self, store):
        assert store.schema_version == "wsisam_0003"
