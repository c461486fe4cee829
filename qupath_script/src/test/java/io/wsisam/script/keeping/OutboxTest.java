package io.wsisam.script.keeping;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.Status.Code;
import io.wsisam.client.annotations.AnnotationChange;
import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.annotations.SavedRevision;
import io.wsisam.client.annotations.StoredAnnotation;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.PolygonPart;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutboxTest {
  private static final String ID = UUID.randomUUID().toString();

  @TempDir Path folder;
  private Outbox outbox;
  private final Store store = new Store();
  private final Heard heard = new Heard();

  @BeforeEach
  void open() {
    outbox = new Outbox(folder.resolve("outbox"));
  }

  /** A store that knows request ids, and refuses what is made to another revision, as the real one does. */
  private static final class Store implements OutboxSender.Line {
    final Map<String, Long> answered = new HashMap<>();
    final Map<String, Long> revisions = new HashMap<>();
    final List<String> history = new ArrayList<>();
    long newest;
    String away;
    String loseAnswersWith;

    @Override
    public SavedRevision send(AnnotationChange change) {
      if (away != null) {
        throw error(away);
      }
      Long before = answered.get(change.requestId());
      if (before == null) {
        if (change.revision() != revisions.getOrDefault(change.id(), 0L)) {
          throw error("REVISION_CONFLICT");
        }
        newest++;
        revisions.put(change.id(), newest);
        answered.put(change.requestId(), newest);
        history.add((change.isDeletion() ? "delete " : "save ") + change.id());
        before = newest;
      }
      if (loseAnswersWith != null) {
        throw error(loseAnswersWith);
      }
      return new SavedRevision(change.id(), before, false);
    }
  }

  private static final class Heard implements OutboxSender.Listener {
    final List<String> words = new ArrayList<>();

    @Override
    public void made(OutboxEntry entry) {
      words.add("made " + entry.made());
    }

    @Override
    public void overtaken(OutboxEntry entry, WsiSamException why) {
      words.add("overtaken");
    }

    @Override
    public void refused(OutboxEntry entry, WsiSamException why) {
      words.add("refused " + why.reason());
    }
  }

  private static WsiSamException error(String reason) {
    Status status =
        Status.newBuilder()
            .setCode(Code.UNAVAILABLE.value())
            .addDetails(Any.pack(ErrorInfo.newBuilder().setDomain("wsisam").setReason(reason).build()))
            .build();
    return Errors.of(status, "");
  }

  private static StoredAnnotation square(String id) {
    double[] ring = {0, 0, 10, 0, 10, 10, 0, 10};
    return StoredAnnotation.drawn(id, "slide", AnnotationShape.areas(List.of(new PolygonPart(ring, List.of()))));
  }

  private OutboxEntry save() throws IOException {
    return outbox.add(AnnotationChange.save(square(ID), "anna", List.of()), "", "lab", "1", "slide", "d");
  }

  private OutboxEntry delete(long revision) throws IOException {
    return outbox.add(AnnotationChange.delete(ID, revision, "anna"), "", "lab", "1", "slide", "");
  }

  private WsiSamException send() throws IOException {
    return new OutboxSender(outbox).send(entry -> entry.isFor("s", "lab", "anna"), store, heard);
  }

  @Test
  void itLiesOnTheDiskBeforeItIsSentAndIsReadAsItWasWritten() throws IOException {
    OutboxEntry written = save();
    OutboxEntry read = new Outbox(folder.resolve("outbox")).entries().get(0);
    assertArrayEquals(written.change().toBytes(), read.change().toBytes());
    assertEquals(written.change().requestId(), read.change().requestId());
    assertTrue(read.isWaiting());
  }

  @Test
  void whatCannotBeSentNowIsSentLater() throws IOException {
    save();
    store.away = "SHUTTING_DOWN";
    assertEquals("SHUTTING_DOWN", send().reason());
    assertEquals(List.of(), heard.words);
    store.away = null;
    assertNull(send());
    assertEquals(List.of("made 1"), heard.words);
    assertFalse(outbox.entries().get(0).isWaiting());
  }

  @Test
  void anotherProcessSendsItAndItIsMadeOnce() throws IOException {
    save();
    store.loseAnswersWith = "SHUTTING_DOWN"; // made, and the answer was lost: the process is killed now
    send();
    store.loseAnswersWith = null;
    outbox = new Outbox(folder.resolve("outbox"));
    assertNull(send());
    assertNull(send());
    assertEquals(List.of("save " + ID), store.history);
  }

  @Test
  void undoBeforeItWasSentLeavesNothing() throws IOException {
    OutboxEntry entry = save();
    assertTrue(outbox.takeBack(entry));
    assertNull(send());
    assertEquals(List.of(), store.history);
  }

  @Test
  void undoOfWhatMayHaveArrivedDeletesTheRevisionThatItMade() throws IOException {
    OutboxEntry entry = save();
    store.loseAnswersWith = "SHUTTING_DOWN";
    send();
    assertFalse(outbox.takeBack(entry));
    assertTrue(delete(0).after());
    store.loseAnswersWith = null;
    outbox = new Outbox(folder.resolve("outbox"));
    assertNull(send());
    assertEquals(List.of("save " + ID, "delete " + ID), store.history);
  }

  @Test
  void undoAndRedoOfWhatWasSentGoOnFromItsRevision() throws IOException {
    save();
    send();
    delete(99);
    send();
    save();
    send();
    assertEquals(List.of("save " + ID, "delete " + ID, "save " + ID), store.history);
    assertEquals(List.of("made 1", "made 2", "made 3"), heard.words);
  }

  @Test
  void whatSomebodyElseChangedIsLeftToTheSync() throws IOException {
    save();
    store.revisions.put(ID, 7L);
    delete(0);
    assertNull(send());
    assertEquals(List.of("overtaken"), heard.words);
    assertEquals(List.of(), outbox.entries());
  }

  @Test
  void whatTheStoreRefusesIsSetAsideAndTheOthersGo() throws IOException {
    OutboxEntry first = save();
    String other = UUID.randomUUID().toString();
    outbox.add(AnnotationChange.save(square(other), "anna", List.of()), "", "lab", "1", "slide", "d");
    OutboxSender.Line line =
        change -> {
          if (change.id().equals(ID)) {
            throw error("INVALID_SHAPE");
          }
          return store.send(change);
        };
    assertNull(new OutboxSender(outbox).send(entry -> true, line, heard));
    assertEquals(List.of("refused INVALID_SHAPE", "made 1"), heard.words);
    assertEquals(1, outbox.entries().size());
    try (var files = Files.list(folder.resolve("outbox"))) {
      assertTrue(files.anyMatch(file -> file.toString().contains(first.change().requestId()) && file.toString().endsWith("set-aside")));
    }
  }

  @Test
  void anotherUsersAndAnotherServersAreLeft() throws IOException {
    save();
    assertNull(new OutboxSender(outbox).send(entry -> entry.isFor("s", "lab", "ben"), store, heard));
    assertNull(new OutboxSender(outbox).send(entry -> entry.isFor("s", "elsewhere", "anna"), store, heard));
    assertEquals(List.of(), store.history);
  }

  @Test
  void aDamagedFileIsSetAsideAndHindersNothing() throws IOException {
    save();
    Files.writeString(folder.resolve("outbox").resolve("000000000000-x.json"), "{\"format\": 1, cut");
    assertNull(send());
    assertEquals(List.of("save " + ID), store.history);
    assertTrue(Files.exists(folder.resolve("outbox").resolve("000000000000-x.json.set-aside")));
  }

  @Test
  void whatIsNoChangeIsNotReadAsOne() {
    assertThrows(IllegalArgumentException.class, () -> AnnotationChange.parse(new byte[0]));
    assertThrows(IllegalArgumentException.class, () -> AnnotationChange.parse(new byte[] {'s', 1, 2, 3}));
    assertThrows(IllegalArgumentException.class, () -> AnnotationChange.parse(new byte[] {'x'}));
  }
}
