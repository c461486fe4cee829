package io.wsisam.client.annotations;

import io.wsisam.client.connection.WsiSamException;

/** Listens to changes of annotations; on the callback thread, in their order. */
public interface WatchListener {
  /** An annotation as of one change. One that no longer agrees with the query comes too, once, when it did before. */
  void onChange(StoredAnnotation annotation);

  /** All up to a revision was delivered: what to go on from with another watch of the same store. */
  default void onRevision(long revision, String storeId) {}

  /** The connection is lost (with its cause) or there again (null). What was missed meanwhile is delivered then. */
  default void onConnection(WsiSamException cause) {}

  /** Nothing more will come; not called after {@link Watch#close}. */
  void onEnd(WsiSamException error);
}
