package io.wsisam.client.annotations;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.wsisam.client.connection.Errors;
import io.wsisam.v1.AnnotationsSyncRequest;
import io.wsisam.v1.BaseRevision;
import io.wsisam.v1.SyncBatch;
import io.wsisam.v1.SyncChange;
import io.wsisam.v1.SyncDirection;
import io.wsisam.v1.SyncEnd;
import io.wsisam.v1.SyncOutcome;
import io.wsisam.v1.SyncSide;
import io.wsisam.v1.SyncVerb;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What syncs say as messages of the contract, and back. */
final class SyncWire {
  private SyncWire() {}

  /**
   * What the image holds, in messages of about 1 MiB, the end last.
   *
   * @param annotations all of it
   * @param digests of all of them, by id
   * @param excludedIds what it holds and cannot send
   * @param state the record of its last sync
   */
  static List<AnnotationsSyncRequest> batches(
      Collection<StoredAnnotation> annotations,
      Map<String, String> digests,
      Collection<String> excludedIds,
      SyncState state) {
    Batches batches = new Batches();
    Set<String> here = new HashSet<>(excludedIds);
    for (StoredAnnotation one : annotations) {
      here.add(one.id());
      SyncState.Base base = state.bases().get(one.id());
      if (base != null && base.digest().equals(digests.get(one.id()))) {
        batches.add(SyncBatch.newBuilder().addUnchanged(base(one.id(), base)));
      } else {
        long revision = base == null ? 0 : base.revision();
        batches.add(SyncBatch.newBuilder().addChanged(AnnotationWire.annotation(one.withRevision(revision))));
      }
    }
    state
        .bases()
        .forEach(
            (id, base) -> {
              if (!here.contains(id)) {
                batches.add(SyncBatch.newBuilder().addMissing(base(id, base)));
              }
            });
    excludedIds.forEach(id -> batches.add(SyncBatch.newBuilder().addExcludedIds(id)));
    return batches.ended();
  }

  private static BaseRevision base(String id, SyncState.Base base) {
    return BaseRevision.newBuilder().setId(id).setRevision(base.revision()).build();
  }

  /** Puts small batches together. */
  private static final class Batches {
    private static final int BYTES = 1024 * 1024;

    private final List<AnnotationsSyncRequest> messages = new ArrayList<>();
    private SyncBatch.Builder open = SyncBatch.newBuilder();
    private int size;

    void add(SyncBatch.Builder part) {
      SyncBatch more = part.build();
      int bytes = more.getSerializedSize();
      if (size > 0 && size + bytes > BYTES) {
        close();
      }
      open.mergeFrom(more);
      size += bytes;
    }

    List<AnnotationsSyncRequest> ended() {
      if (size > 0) {
        close();
      }
      messages.add(AnnotationsSyncRequest.newBuilder().setEnd(SyncEnd.getDefaultInstance()).build());
      return messages;
    }

    private void close() {
      messages.add(AnnotationsSyncRequest.newBuilder().setBatch(open).build());
      open = SyncBatch.newBuilder();
      size = 0;
    }
  }

  static SyncDirection direction(SyncOptions.Direction direction) {
    return switch (direction) {
      case BOTH -> SyncDirection.SYNC_DIRECTION_BOTH;
      case TO_IMAGE -> SyncDirection.SYNC_DIRECTION_TO_CLIENT;
      case TO_STORE -> SyncDirection.SYNC_DIRECTION_TO_STORE;
    };
  }

  static SyncSide side(SyncOptions.Side side) {
    if (side == null) {
      return SyncSide.SYNC_SIDE_UNSPECIFIED;
    }
    return side == SyncOptions.Side.STORE ? SyncSide.SYNC_SIDE_STORE : SyncSide.SYNC_SIDE_CLIENT;
  }

  static SyncAction action(io.wsisam.v1.SyncAction message) {
    return new SyncAction(
        message.getId(),
        verb(message.getVerb()),
        outcome(message.getOutcome()),
        change(message.getClientChange()),
        change(message.getStoreChange()),
        message.getClientFields().getPathsList(),
        message.getStoreFields().getPathsList(),
        reason(message.getRefusal()),
        message.getRefusal().getMessage(),
        message.getLabel(),
        message.getStoreAuthor(),
        message.hasStoreUpdateTime()
            ? Instant.ofEpochSecond(message.getStoreUpdateTime().getSeconds(), message.getStoreUpdateTime().getNanos())
            : null);
  }

  private static SyncAction.Verb verb(SyncVerb verb) {
    return switch (verb) {
      case SYNC_VERB_ADD_TO_CLIENT -> SyncAction.Verb.ADD_TO_IMAGE;
      case SYNC_VERB_UPDATE_IN_CLIENT -> SyncAction.Verb.UPDATE_IN_IMAGE;
      case SYNC_VERB_REMOVE_FROM_CLIENT -> SyncAction.Verb.REMOVE_FROM_IMAGE;
      case SYNC_VERB_ADD_TO_STORE -> SyncAction.Verb.ADD_TO_STORE;
      case SYNC_VERB_UPDATE_IN_STORE -> SyncAction.Verb.UPDATE_IN_STORE;
      case SYNC_VERB_DELETE_IN_STORE -> SyncAction.Verb.DELETE_IN_STORE;
      case SYNC_VERB_MERGE -> SyncAction.Verb.MERGE;
      case SYNC_VERB_KEEP -> SyncAction.Verb.KEEP;
      case SYNC_VERB_UNSPECIFIED, UNRECOGNIZED -> throw Errors.unexpected("an action of a kind that is not known here");
    };
  }

  private static SyncAction.Outcome outcome(SyncOutcome outcome) {
    return switch (outcome) {
      case SYNC_OUTCOME_DONE -> SyncAction.Outcome.DONE;
      case SYNC_OUTCOME_WAITING -> SyncAction.Outcome.WAITING;
      case SYNC_OUTCOME_CONFLICT -> SyncAction.Outcome.CONFLICT;
      case SYNC_OUTCOME_ALL_MISSING -> SyncAction.Outcome.ALL_MISSING;
      case SYNC_OUTCOME_REFUSED -> SyncAction.Outcome.REFUSED;
      case SYNC_OUTCOME_UNSPECIFIED, UNRECOGNIZED ->
          throw Errors.unexpected("an outcome of a kind that is not known here");
    };
  }

  private static SyncAction.Change change(SyncChange change) {
    return switch (change) {
      case SYNC_CHANGE_NONE -> SyncAction.Change.NONE;
      case SYNC_CHANGE_ADDED -> SyncAction.Change.ADDED;
      case SYNC_CHANGE_CHANGED -> SyncAction.Change.CHANGED;
      case SYNC_CHANGE_DELETED -> SyncAction.Change.DELETED;
      case SYNC_CHANGE_FORGOTTEN -> SyncAction.Change.FORGOTTEN;
      case SYNC_CHANGE_UNSPECIFIED -> null;
      case UNRECOGNIZED -> throw Errors.unexpected("a change of a kind that is not known here");
    };
  }

  private static String reason(com.google.rpc.Status refusal) {
    for (Any detail : refusal.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        try {
          return detail.unpack(ErrorInfo.class).getReason();
        } catch (InvalidProtocolBufferException damaged) {
          throw Errors.unexpected("a refusal that cannot be read");
        }
      }
    }
    return "";
  }
}
