package io.wsisam.client.slides;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;

/**
 * What a slide's file holds, in short: the same 64 hex digits as the server's fingerprint of it, so that a slide is known by
 * its content also where the server does not see it. Two computers may have different slides at one path.
 */
public final class SlideFiles {
  private static final int MIB = 1024 * 1024;
  private static final long WHOLE_FILE_BYTES = 16L * MIB;
  private static final int SAMPLES = 32;
  private static final int SAMPLE_BYTES = 64 * 1024;
  private static final byte[] TAG = "wsisam slide file 1\0".getBytes(StandardCharsets.US_ASCII);
  private static final Set<String> SETS = Set.of("mrxs", "vms", "vmu", "dcm");

  /** DICOM files say what they are after a preamble. */
  private static final int DICOM_PREAMBLE = 128;

  private SlideFiles() {}

  /**
   * The fingerprint of the file that a URI names on this computer.
   *
   * @param uri of the slide
   * @return 64 hex digits; null when it is no file here, cannot be read, or is one of several files that make up a slide, whose
   *     identity only OpenSlide can tell
   */
  public static String fingerprint(String uri) {
    try {
      Path path = Path.of(URI.create(uri));
      return Files.isRegularFile(path) && !isOneOfSeveral(path) ? ofFile(path) : null;
    } catch (IOException | RuntimeException unknown) {
      return null;
    }
  }

  private static boolean isOneOfSeveral(Path path) throws IOException {
    String name = path.getFileName().toString().toLowerCase(Locale.ROOT);
    if (SETS.contains(name.substring(name.lastIndexOf('.') + 1))) {
      return true;
    }
    try (FileChannel channel = FileChannel.open(path)) {
      ByteBuffer magic = ByteBuffer.allocate(4);
      channel.read(magic, DICOM_PREAMBLE);
      return "DICM".equals(new String(magic.array(), StandardCharsets.US_ASCII));
    }
  }

  private static String ofFile(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(TAG);
      long size = channel.size();
      digest.update(ByteBuffer.allocate(Long.BYTES).putLong(size).array());
      if (size <= WHOLE_FILE_BYTES) {
        read(channel, 0, (int) size, digest);
      } else {
        long room = size - 2L * MIB - SAMPLE_BYTES;
        read(channel, 0, MIB, digest);
        for (int n = 0; n < SAMPLES; n++) {
          read(channel, MIB + room * n / (SAMPLES - 1), SAMPLE_BYTES, digest);
        }
        read(channel, size - MIB, MIB, digest);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private static void read(FileChannel channel, long start, int length, MessageDigest digest) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining() && channel.read(buffer, start + buffer.position()) >= 0) {
      // until it is full, or the file ends
    }
    digest.update(buffer.flip());
  }
}
