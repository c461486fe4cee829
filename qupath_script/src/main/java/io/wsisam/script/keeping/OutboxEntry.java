package io.wsisam.script.keeping;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.wsisam.client.annotations.AnnotationChange;
import java.util.Base64;

/**
 * A change that is on its way to a store, as it lies on the disk.
 *
 * @param sequence its place among the changes of its folder
 * @param store the store's own id that it is for; "" where that was not known
 * @param server the server's address that it is for
 * @param image the image's number in its project; "" outside a project
 * @param slide the slide's key, see {@link io.wsisam.client.slides.Slide#annotationKey}
 * @param digest of what the image holds once it is sent; "" for a deletion
 * @param change as it is sent
 * @param after whether it is made to whatever revision the change of the same annotation before it makes
 * @param made the revision that it made; 0 while it is not sent
 */
public record OutboxEntry(
    long sequence,
    String store,
    String server,
    String image,
    String slide,
    String digest,
    AnnotationChange change,
    boolean after,
    long made) {
  private static final int FORMAT = 1;

  /** The annotation. */
  public String id() {
    return change.id();
  }

  /** Whether it is still to be sent. */
  public boolean isWaiting() {
    return made == 0;
  }

  /** Whether it may be sent to a store, by a user. */
  public boolean isFor(String storeId, String address, String author) {
    return change.author().equals(author) && (store.isEmpty() ? server.equals(address) : store.equals(storeId));
  }

  boolean isTheSame(OutboxEntry other) {
    return change.requestId().equals(other.change().requestId());
  }

  OutboxEntry sent(long revision) {
    return new OutboxEntry(sequence, store, server, image, slide, digest, change, after, revision);
  }

  OutboxEntry madeTo(long revision) {
    return new OutboxEntry(sequence, store, server, image, slide, digest, change.madeTo(revision), false, made);
  }

  String toText() {
    JsonObject said = new JsonObject();
    said.addProperty("format", FORMAT);
    said.addProperty("sequence", sequence);
    said.addProperty("store", store);
    said.addProperty("server", server);
    said.addProperty("image", image);
    said.addProperty("slide", slide);
    said.addProperty("digest", digest);
    said.addProperty("change", Base64.getEncoder().encodeToString(change.toBytes()));
    said.addProperty("after", after);
    said.addProperty("made", made);
    return said + "\n";
  }

  /** Throws a RuntimeException for what is no entry. */
  static OutboxEntry parse(String text) {
    JsonObject said = JsonParser.parseString(text).getAsJsonObject();
    if (said.get("format").getAsInt() != FORMAT) {
      throw new IllegalArgumentException("of another version");
    }
    return new OutboxEntry(
        said.get("sequence").getAsLong(),
        said.get("store").getAsString(),
        said.get("server").getAsString(),
        said.get("image").getAsString(),
        said.get("slide").getAsString(),
        said.get("digest").getAsString(),
        AnnotationChange.parse(Base64.getDecoder().decode(said.get("change").getAsString())),
        said.get("after").getAsBoolean(),
        said.get("made").getAsLong());
  }
}
