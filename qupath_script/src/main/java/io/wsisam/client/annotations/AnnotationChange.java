package io.wsisam.client.annotations;

import com.google.protobuf.InvalidProtocolBufferException;
import io.wsisam.client.slides.Slide;
import io.wsisam.v1.AnnotationTarget;
import io.wsisam.v1.AnnotationsDeleteRequest;
import io.wsisam.v1.AnnotationsSaveRequest;
import java.util.Arrays;
import java.util.Collection;
import java.util.Objects;
import java.util.UUID;

/**
 * A change of one annotation as it is sent, to be written down before. Sent again, however often and by whichever process, it is
 * made once: its request id is a part of it. A server remembers request ids for 30 days at least; after that, what it did already
 * has no effect, or is a REVISION_CONFLICT.
 */
public final class AnnotationChange {
  private static final byte SAVE = 's';
  private static final byte DELETE = 'd';

  private final AnnotationsSaveRequest save;
  private final AnnotationsDeleteRequest delete;

  private AnnotationChange(AnnotationsSaveRequest save, AnnotationsDeleteRequest delete) {
    this.save = save;
    this.delete = delete;
  }

  /**
   * Stores an annotation.
   *
   * @param annotation new (revision 0), or with the revision that it is changed from
   * @param author who makes the change; not empty
   * @param slides what is known here of its slide; may be empty
   */
  public static AnnotationChange save(StoredAnnotation annotation, String author, Collection<Slide> slides) {
    AnnotationsSaveRequest.Builder request =
        AnnotationsSaveRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setAuthor(Objects.requireNonNull(author))
            .addItems(AnnotationWire.item(annotation));
    slides.forEach(slide -> request.addSlides(AnnotationWire.slide(slide)));
    return new AnnotationChange(request.build(), null);
  }

  /**
   * Deletes an annotation.
   *
   * @param revision the one that is deleted
   * @param author who makes the change; not empty
   */
  public static AnnotationChange delete(String id, long revision, String author) {
    return new AnnotationChange(
        null,
        AnnotationsDeleteRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setAuthor(Objects.requireNonNull(author))
            .addTargets(AnnotationTarget.newBuilder().setId(id).setRevision(revision))
            .build());
  }

  /** Reads one that was written down; throws IllegalArgumentException where it is none. */
  public static AnnotationChange parse(byte[] bytes) {
    try {
      byte[] request = bytes.length == 0 ? bytes : Arrays.copyOfRange(bytes, 1, bytes.length);
      if (bytes.length > 0 && bytes[0] == SAVE) {
        AnnotationsSaveRequest save = AnnotationsSaveRequest.parseFrom(request);
        if (save.getItemsCount() == 1) {
          return new AnnotationChange(save, null);
        }
      }
      if (bytes.length > 0 && bytes[0] == DELETE) {
        AnnotationsDeleteRequest delete = AnnotationsDeleteRequest.parseFrom(request);
        if (delete.getTargetsCount() == 1) {
          return new AnnotationChange(null, delete);
        }
      }
    } catch (InvalidProtocolBufferException damaged) {
      throw new IllegalArgumentException("not a change of an annotation", damaged);
    }
    throw new IllegalArgumentException("not a change of an annotation");
  }

  /** To be written down. */
  public byte[] toBytes() {
    byte[] request = save != null ? save.toByteArray() : delete.toByteArray();
    byte[] bytes = new byte[request.length + 1];
    bytes[0] = save != null ? SAVE : DELETE;
    System.arraycopy(request, 0, bytes, 1, request.length);
    return bytes;
  }

  /** The same change, made to another revision. Only of one that was never sent. */
  public AnnotationChange madeTo(long revision) {
    if (save != null) {
      AnnotationsSaveRequest.Builder request = save.toBuilder();
      request.getItemsBuilder(0).getAnnotationBuilder().setRevision(revision);
      return new AnnotationChange(request.build(), null);
    }
    AnnotationsDeleteRequest.Builder request = delete.toBuilder();
    request.getTargetsBuilder(0).setRevision(revision);
    return new AnnotationChange(null, request.build());
  }

  /** Whether it deletes. */
  public boolean isDeletion() {
    return delete != null;
  }

  /** The annotation. */
  public String id() {
    return save != null ? save.getItems(0).getAnnotation().getId() : delete.getTargets(0).getId();
  }

  /** The revision that it is made to. */
  public long revision() {
    return save != null ? save.getItems(0).getAnnotation().getRevision() : delete.getTargets(0).getRevision();
  }

  /** Who makes it. */
  public String author() {
    return save != null ? save.getAuthor() : delete.getAuthor();
  }

  /** By which a server knows it again. */
  public String requestId() {
    return save != null ? save.getRequestId() : delete.getRequestId();
  }

  AnnotationsSaveRequest saving() {
    return save;
  }

  AnnotationsDeleteRequest deleting() {
    return delete;
  }
}
