package io.wsisam.script;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.AclEntry;
import java.nio.file.attribute.AclEntryFlag;
import java.nio.file.attribute.AclEntryPermission;
import java.nio.file.attribute.AclEntryType;
import java.nio.file.attribute.AclFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Files and folders that only this user reads: by permissions, or on Windows by an access control list. Where a drive knows
 * neither, they are as private as the folder they lie in.
 */
public final class PrivateFile {
  private PrivateFile() {}

  /**
   * Writes a file, whole or not at all, and never readable for others in between.
   *
   * @param file its place, in a folder that is there; what was there is replaced
   * @throws IOException it cannot be written
   */
  public static Path write(Path file, String text) throws IOException {
    Path part =
        isPosix(file)
            ? Files.createTempFile(
                file.getParent(), ".new", "", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))
            : Files.createTempFile(file.getParent(), ".new", "");
    try {
      restrict(part);
      Files.write(part, text.getBytes(StandardCharsets.UTF_8));
      return Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /**
   * Makes a folder, and those above it that are missing. What is made in it is private, too.
   *
   * @throws IOException it cannot be made
   */
  public static Path folder(Path folder) throws IOException {
    Files.createDirectories(folder);
    if (isPosix(folder)) {
      Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    } else {
      restrict(folder);
    }
    return folder;
  }

  private static boolean isPosix(Path path) {
    return path.getFileSystem().supportedFileAttributeViews().contains("posix");
  }

  /** On Windows: nobody but this user. */
  private static void restrict(Path path) {
    AclFileAttributeView view = isPosix(path) ? null : Files.getFileAttributeView(path, AclFileAttributeView.class);
    if (view == null) {
      return;
    }
    try {
      UserPrincipal user =
          path.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName(System.getProperty("user.name"));
      Set<AclEntryFlag> inherited =
          Files.isDirectory(path)
              ? EnumSet.of(AclEntryFlag.FILE_INHERIT, AclEntryFlag.DIRECTORY_INHERIT)
              : EnumSet.noneOf(AclEntryFlag.class);
      view.setAcl(
          List.of(
              AclEntry.newBuilder()
                  .setType(AclEntryType.ALLOW)
                  .setPrincipal(user)
                  .setPermissions(EnumSet.allOf(AclEntryPermission.class))
                  .setFlags(inherited)
                  .build()));
    } catch (IOException | UnsupportedOperationException notHere) {
      // As private as the folder, which in a user's profile is the user's alone.
    }
  }
}
