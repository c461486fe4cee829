package io.wsisam.client.annotations;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.wsisam.client.connection.Errors;
import io.wsisam.v1.SyncChange;
import io.wsisam.v1.SyncDirection;
import io.wsisam.v1.SyncOutcome;
import io.wsisam.v1.SyncSide;
import io.wsisam.v1.SyncVerb;
import java.time.Instant;

/** What syncs say as messages of the contract, and back. */
final class SyncWire {
  private SyncWire() {}

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
