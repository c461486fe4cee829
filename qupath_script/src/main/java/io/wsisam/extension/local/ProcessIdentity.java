package io.wsisam.extension.local;

import com.google.gson.JsonObject;
import java.util.Optional;

/**
 * A process that is told from another one that was given its number later.
 *
 * @param pid its number
 * @param startedMillis when it was started, as milliseconds since 1970; 0 where the system does not say
 */
record ProcessIdentity(long pid, long startedMillis) {
  /** A system may compute the start anew from its clock, which somebody sets. */
  private static final long TOLERANCE_MILLIS = 2000;

  static ProcessIdentity of(ProcessHandle process) {
    return new ProcessIdentity(process.pid(), process.info().startInstant().map(start -> start.toEpochMilli()).orElse(0L));
  }

  static ProcessIdentity own() {
    return of(ProcessHandle.current());
  }

  /** The process, where it still runs. */
  Optional<ProcessHandle> running() {
    return ProcessHandle.of(pid).filter(ProcessHandle::isAlive).filter(process -> isLike(of(process)));
  }

  private boolean isLike(ProcessIdentity other) {
    return startedMillis == 0
        || other.startedMillis == 0
        || Math.abs(startedMillis - other.startedMillis) <= TOLERANCE_MILLIS;
  }

  JsonObject toJson() {
    JsonObject json = new JsonObject();
    json.addProperty("pid", pid);
    json.addProperty("started", startedMillis);
    return json;
  }

  static ProcessIdentity of(JsonObject json) {
    return new ProcessIdentity(json.get("pid").getAsLong(), json.get("started").getAsLong());
  }
}
