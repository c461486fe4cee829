package io.wsisam.client.annotations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.annotations.SyncAction.Change;
import io.wsisam.client.annotations.SyncAction.Outcome;
import io.wsisam.client.annotations.SyncAction.Verb;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What people read of a sync, in the words of {@code wsisam sync}. */
class SyncActionTest {
  private static final List<String> NAME = List.of("name");
  private static final List<String> ALL = List.of("shape", "path_class", "name", "rgb", "locked");

  private static SyncAction action(
      Verb verb, Outcome outcome, Change image, List<String> imageFields, Change store, List<String> storeFields) {
    return new SyncAction("id", verb, outcome, image, store, imageFields, storeFields, "", "", "", "", null);
  }

  private static String reason(Verb verb, Change image, Change store) {
    return action(
            verb,
            Outcome.DONE,
            image,
            image == Change.CHANGED ? ALL : List.of(),
            store,
            store == Change.CHANGED ? NAME : List.of())
        .reason();
  }

  @Test
  void whatOneSideDidIsSaid() {
    assertEquals("new in QuPath", reason(Verb.ADD_TO_STORE, Change.ADDED, Change.NONE));
    assertEquals("new in the store", reason(Verb.ADD_TO_IMAGE, Change.NONE, Change.ADDED));
    assertEquals("deleted in QuPath", reason(Verb.DELETE_IN_STORE, Change.DELETED, Change.NONE));
    assertEquals("deleted in the store", reason(Verb.REMOVE_FROM_IMAGE, Change.NONE, Change.DELETED));
    assertEquals(
        "changed in QuPath (geometry, class, name, colour, lock)",
        reason(Verb.UPDATE_IN_STORE, Change.CHANGED, Change.NONE));
    assertEquals("changed in the store (name)", reason(Verb.UPDATE_IN_IMAGE, Change.NONE, Change.CHANGED));
    assertEquals("the store does not know it any more", reason(Verb.ADD_TO_STORE, Change.NONE, Change.FORGOTTEN));
  }

  @Test
  void aConflictSaysWhatBothSidesDidAboutWhichPeopleCanDisagree() {
    SyncAction conflict = action(Verb.KEEP, Outcome.CONFLICT, Change.CHANGED, ALL, Change.CHANGED, NAME);
    assertTrue(conflict.conflict());
    assertEquals("conflict", conflict.action());
    assertEquals("changed in QuPath (geometry, class, name) and in the store (name)", conflict.reason());
    assertEquals(
        "deleted in QuPath, changed in the store (name)",
        action(Verb.KEEP, Outcome.CONFLICT, Change.DELETED, List.of(), Change.CHANGED, NAME).reason());
    assertEquals(
        "changed in QuPath (name), deleted in the store",
        action(Verb.KEEP, Outcome.CONFLICT, Change.CHANGED, NAME, Change.DELETED, List.of()).reason());
    assertEquals(
        "in QuPath, but deleted in the store",
        action(Verb.KEEP, Outcome.CONFLICT, Change.ADDED, List.of(), Change.DELETED, List.of()).reason());
    SyncAction lost = action(Verb.KEEP, Outcome.ALL_MISSING, Change.DELETED, List.of(), Change.NONE, List.of());
    assertTrue(lost.conflict() && lost.reason().startsWith("all synced annotations are gone"));
  }

  @Test
  void aConflictSaysWhoMadeTheVersionInTheStoreAndWhen() {
    Instant when = Instant.parse("2026-11-30T09:05:59Z");
    SyncAction changed =
        new SyncAction(
            "id", Verb.KEEP, Outcome.CONFLICT, Change.CHANGED, Change.CHANGED, NAME, NAME, "", "", "a", "anna", when);
    assertEquals(
        "changed in QuPath (name) and in the store (name by anna, 2026-11-30 09:05 UTC)", changed.reason());
    SyncAction deleted =
        new SyncAction(
            "id", Verb.KEEP, Outcome.CONFLICT, Change.CHANGED, Change.DELETED, NAME, List.of(), "", "", "a", "", when);
    assertEquals(
        "changed in QuPath (name), deleted in the store by nobody named, 2026-11-30 09:05 UTC", deleted.reason());
    SyncAction there =
        new SyncAction(
            "id", Verb.KEEP, Outcome.CONFLICT, Change.DELETED, Change.CHANGED, List.of(), NAME, "", "", "a", "bo", when);
    assertEquals("deleted in QuPath, changed in the store (name by bo, 2026-11-30 09:05 UTC)", there.reason());
  }

  @Test
  void whatBothSidesDeletedIsNamedAndIsNothingToDo() {
    SyncAction gone = action(Verb.KEEP, Outcome.DONE, Change.DELETED, List.of(), Change.DELETED, List.of());
    assertTrue(gone.gone());
    assertFalse(gone.conflict() || gone.held() || gone.refused());
    assertEquals("deleted on both sides", gone.action());
    assertEquals("deleted on both sides", gone.reason());
    assertEquals(
        "gone from both",
        action(Verb.KEEP, Outcome.DONE, Change.DELETED, List.of(), Change.FORGOTTEN, List.of()).reason());
  }

  @Test
  void aRefusalSaysWhy() {
    SyncAction refused =
        new SyncAction("id", Verb.KEEP, Outcome.REFUSED, null, null, List.of(), List.of(), "INVALID_SHAPE", "it is empty", "", "", null);
    assertTrue(refused.refused());
    assertFalse(refused.conflict() || refused.held());
    assertEquals("left alone", refused.action());
    assertEquals("it is empty", refused.reason());
  }
}
