package qupath.lib.gui.viewer;

import java.io.File;
import java.util.List;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public abstract class DragDropImportListener {
  private DragDropImportListener() {}

  /** Adds one that is asked about dropped files that QuPath has no use for. */
  public abstract void addFileDropHandler(DropHandler<File> handler);

  /** Takes what was dropped. */
  public interface DropHandler<T> {
    /** Whether it was for this one. */
    boolean handleDrop(QuPathViewer viewer, List<T> list);
  }
}
