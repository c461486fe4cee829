package io.wsisam.extension.local;

import java.net.URI;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;

/** The folders that a server needs for some images. */
public final class SlideFolders {
  /** From so many folders side by side on, the one that holds them is meant: a project may have one for each case. */
  static final int MANY = 8;

  private SlideFolders() {}

  /**
   * The folders of all images that are files, none inside another one; sorted.
   *
   * @param images their URIs; what is no file is left out
   */
  public static List<Path> of(Collection<URI> images) {
    TreeSet<Path> folders = new TreeSet<>();
    for (URI image : images) {
      Path folder = folder(image);
      if (folder != null) {
        folders.add(folder);
      }
    }
    return outermost(together(folders));
  }

  private static Path folder(URI image) {
    try {
      return "file".equalsIgnoreCase(image.getScheme()) ? Path.of(image).toAbsolutePath().normalize().getParent() : null;
    } catch (IllegalArgumentException | FileSystemNotFoundException notHere) {
      return null;
    }
  }

  /** Never a whole drive, and nothing above the user's home. */
  private static Collection<Path> together(Collection<Path> folders) {
    Path home = Path.of(System.getProperty("user.home")).toAbsolutePath().normalize();
    TreeSet<Path> fewer = new TreeSet<>();
    for (Path folder : folders) {
      Path parent = folder.getParent();
      boolean mayBe = parent != null && parent.getParent() != null && !home.startsWith(parent);
      boolean many = mayBe && folders.stream().filter(other -> parent.equals(other.getParent())).count() >= MANY;
      fewer.add(many ? parent : folder);
    }
    return fewer;
  }

  private static List<Path> outermost(Collection<Path> folders) {
    List<Path> kept = new ArrayList<>();
    for (Path folder : folders) {
      if (folders.stream().noneMatch(other -> !other.equals(folder) && folder.startsWith(other))) {
        kept.add(folder);
      }
    }
    return kept;
  }
}
