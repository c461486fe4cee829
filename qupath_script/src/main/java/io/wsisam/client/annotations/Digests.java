package io.wsisam.client.annotations;

import io.wsisam.client.segmentation.PolygonPart;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * By which a record tells whether an annotation is what it was, to the last bit. {@code wsisam sync} computes the same, in
 * annotations/sync/digest.py: both read one record.
 */
final class Digests {
  private static final int VERSION = 1;
  private static final int LENGTH = 16;

  private Digests() {}

  /** 32 hexadecimal digits. A class's colour does not count: QuPath has one for it, wherever it is used. */
  static String of(StoredAnnotation one) {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      out.writeByte(VERSION);
      shape(out, one.shape());
      text(out, one.className());
      out.writeInt(one.rgb() == null ? -1 : one.rgb());
      text(out, one.name());
      out.writeByte(one.locked() ? 1 : 0);
      out.writeInt(one.measurements().size());
      for (byte[] key : sorted(one.measurements())) {
        text(out, key);
        out.writeLong(bits(one.measurements().get(new String(key, StandardCharsets.UTF_8))));
      }
      out.writeInt(one.metadata().size());
      for (byte[] key : sorted(one.metadata())) {
        text(out, key);
        text(out, one.metadata().get(new String(key, StandardCharsets.UTF_8)));
      }
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray());
      return HexFormat.of().formatHex(digest, 0, LENGTH);
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private static void shape(DataOutputStream out, AnnotationShape shape) throws IOException {
    out.writeByte(
        switch (shape.kind()) {
          case POINTS -> 0;
          case LINES -> 1;
          case AREAS -> 2;
        });
    out.writeInt(shape.parts().size());
    for (PolygonPart part : shape.parts()) {
      out.writeInt(1 + part.holes().size());
      path(out, part.outer());
      for (double[] hole : part.holes()) {
        path(out, hole);
      }
    }
  }

  private static void path(DataOutputStream out, double[] vertices) throws IOException {
    out.writeInt(vertices.length / 2);
    for (double value : vertices) {
      out.writeLong(bits(value));
    }
  }

  /** Both zeros are one. */
  private static long bits(double value) {
    return Double.doubleToLongBits(value + 0.0);
  }

  private static List<byte[]> sorted(Map<String, ?> map) {
    return map.keySet().stream()
        .map(key -> key.getBytes(StandardCharsets.UTF_8))
        .sorted(Comparator.comparing(key -> key, Arrays::compareUnsigned))
        .toList();
  }

  private static void text(DataOutputStream out, String text) throws IOException {
    text(out, text.getBytes(StandardCharsets.UTF_8));
  }

  private static void text(DataOutputStream out, byte[] text) throws IOException {
    out.writeInt(text.length);
    out.write(text);
  }
}
