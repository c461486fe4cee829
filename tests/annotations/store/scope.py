"""What a store must do for somebody who may see a part of it only."""

import pytest

from annotations.store.examples import SLIDE, SQUARE, content, draft, request
from wsisam_server.annotations.store import AnnotationFilter, Draft, Patch, PathClass, Scope, Target
from wsisam_server.core.errors import Reason, WsiSamServerError

ALL = AnnotationFilter()

BEN = Scope(frozenset({"ben", "qupath:ben"}), frozenset({"colon"}))


def refuses(reason, call, *args, **kwargs):
    with pytest.raises(WsiSamServerError) as caught:
        call(*args, **kwargs)
    assert caught.value.reason is reason


def save(store, *drafts, author="anna"):
    return store.save(drafts, author=author, request_id=request())


def shown(store):
    listed = {one.id for one in store.listing(ALL, after=0, limit=100, deleted=True).annotations}
    watched = {one.id for one in store.changes(ALL, after=0, limit=100).annotations}
    assert listed == watched
    return listed


class ScopeContract:
    """Subclasses give a fixture `store`, empty."""

    @pytest.fixture
    def annas(self, store):
        """Annotations of anna: in the project colon, in another one, in none."""
        drafts = [draft(project=project) for project in ("colon", "skin", "")]
        save(store, *drafts)
        return drafts

    @pytest.fixture
    def bens(self, store):
        return store.within(BEN)

    def test_seen_are_ones_own_and_the_projects(self, store, bens, annas):
        own, synced = draft(project=""), draft(project="")
        save(bens, own, author="ben")
        save(bens, synced, author="qupath:ben")
        assert shown(bens) == {annas[0].id, own.id, synced.id}
        assert shown(store) == {own.id, synced.id, *(one.id for one in annas)}
        assert shown(store.within(Scope(frozenset({"eva"}), frozenset()))) == set()

    def test_classes_are_those_of_what_is_seen(self, store, bens):
        save(store, draft(project="colon", path_class=PathClass("Gland")), draft(path_class=PathClass("Secret")))
        assert store.classes() == ["Gland", "Secret"]
        assert bens.classes() == ["Gland"]

    def test_standings_and_contents_are_those_of_what_is_seen(self, bens, annas):
        found, _ = bens.standings(annas[0].content.slide_id)
        assert found.keys() == {annas[0].id}
        assert [one.id for one in bens.some([one.id for one in annas])] == [annas[0].id]

    def test_what_is_not_seen_does_not_exist(self, bens, annas):
        for hidden in annas[1:]:
            refuses(Reason.ANNOTATION_NOT_FOUND, bens.get, hidden.id)
            refuses(Reason.ANNOTATION_NOT_FOUND, bens.history, hidden.id, after=0, limit=10)
            target = Target(hidden.id, 1)
            refuses(Reason.ANNOTATION_NOT_FOUND, bens.delete, [target], author="ben", request_id=request())
            refuses(Reason.ANNOTATION_NOT_FOUND, bens.restore, [target], author="ben", request_id=request())
            for expected in (0, 1, 2, 3):
                # Also with the very content that is stored, and where a conflict would show both versions.
                refuses(Reason.ANNOTATION_NOT_FOUND, save, bens, Draft(hidden.id, hidden.content, expected))
                other = Draft(hidden.id, content(shape=SQUARE, name="mine", project="colon"), expected)
                refuses(Reason.ANNOTATION_NOT_FOUND, save, bens, other)

    def test_the_projects_members_change_each_others(self, store, bens, annas):
        (one,) = [found for found in store.listing(ALL, after=0, limit=9).annotations if found.id == annas[0].id]
        changed = Draft(one.id, content(name="better", project="colon"), one.revision)
        (saved,) = save(bens, changed, author="ben")
        assert (store.get(one.id).author, store.get(one.id).creator) == ("ben", "anna")
        bens.delete([Target(one.id, saved.revision)], author="ben", request_id=request())
        assert store.get(one.id).deleted

    def test_nothing_is_put_into_anothers_project(self, store, bens, annas):
        refuses(Reason.PROJECT_NOT_YOURS, save, bens, draft(project="skin"), author="ben")
        one = store.get(annas[0].id)
        moved = Draft(one.id, content(project="skin"), one.revision)
        refuses(Reason.PROJECT_NOT_YOURS, save, bens, moved, author="ben")
        assert store.get(one.id).revision == one.revision
        # One's own that somebody else moved there stays, and can be changed where it is.
        own = draft(project="colon")
        (saved,) = save(bens, own, author="ben")
        (moved,) = save(store, Draft(own.id, content(project="skin"), saved.revision))
        save(bens, Draft(own.id, content(project="skin", name="still mine"), moved.revision), author="ben")

    def test_fields_by_themselves_are_changes_like_others(self, store, bens, annas):
        hidden = annas[1]
        refuses(Reason.ANNOTATION_NOT_FOUND, save, bens, Patch(hidden.id, 2, {"name": "mine"}), author="ben")
        moved = Patch(annas[0].id, 1, {"project": "skin"})
        refuses(Reason.PROJECT_NOT_YOURS, save, bens, moved, author="ben")
        (saved,) = save(bens, Patch(annas[0].id, 1, {"name": "better"}), author="ben")
        found = store.get(annas[0].id)
        assert (found.revision, found.content.name, found.content.project) == (saved.revision, "better", "colon")

    def test_slides_are_those_of_what_is_seen(self, store, bens, annas):
        save(store, draft(slide_id="another", project="skin"))
        assert [(one.slide.slide_id, one.annotations) for one in store.slide_summaries()] == [
            (SLIDE, 3),
            ("another", 1),
        ]
        (seen,) = bens.slide_summaries()
        assert (seen.slide.slide_id, seen.annotations, seen.revision) == (SLIDE, 1, 1)
        assert bens.slide_page(after="", limit=9, slide_ids=["another"]) == ([], True)

    def test_it_goes_by_the_annotation_as_it_is(self, store, bens, annas):
        here, there = store.get(annas[0].id), store.get(annas[1].id)
        save(store, Draft(here.id, content(project="skin"), here.revision))
        save(store, Draft(there.id, content(project="colon"), there.revision))
        assert shown(bens) == {there.id}
        assert bens.history(there.id, after=0, limit=9).annotations[0].content.project == "skin"
        # What lies in its history in another project cannot be brought back by one who is not in that.
        current = store.get(there.id).revision
        back = Target(there.id, current, there.revision)
        refuses(Reason.PROJECT_NOT_YOURS, bens.restore, [back], author="ben", request_id=request())
