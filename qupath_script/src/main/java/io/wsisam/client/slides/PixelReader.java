package io.wsisam.client.slides;

import com.google.protobuf.ByteString;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.Threads;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.v1.PixelTile;
import io.wsisam.v1.TileEncoding;
import java.awt.image.BufferedImage;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Reads the windows that the server asks for: provider's image in, tile out. */
public final class PixelReader {
  private final Threads threads;
  private final TileEncoding encoding;

  /** Packing takes longer than a loopback connection, and less than a network. */
  public PixelReader(Threads threads, boolean pack) {
    this.threads = threads;
    this.encoding = pack ? TileEncoding.TILE_ENCODING_PNG : TileEncoding.TILE_ENCODING_RAW;
  }

  /** One window; completes on the work thread, failed ones with PIXELS_FAILED. */
  public CompletableFuture<PixelTile> read(PixelProvider provider, PixelWindow window) {
    CompletableFuture<PixelTile> tile = new CompletableFuture<>();
    boolean taken =
        threads.pixels(
            () -> {
              PixelTile read = null;
              WsiSamException failure = null;
              try {
                read = tile(provider, window);
              } catch (Throwable problem) { // also an OutOfMemoryError of a reader: the prompt must be told
                failure = Errors.pixelsFailed(String.valueOf(problem.getMessage()), problem);
              }
              settle(tile, read, failure);
            });
    if (!taken) {
      tile.completeExceptionally(Errors.closed());
    }
    return tile;
  }

  private void settle(CompletableFuture<PixelTile> tile, PixelTile read, WsiSamException failure) {
    threads.work(
        () -> {
          if (failure == null) {
            tile.complete(read);
          } else {
            tile.completeExceptionally(failure);
          }
        });
  }

  /** Several windows, in their order. */
  public CompletableFuture<List<PixelTile>> readAll(PixelProvider provider, List<PixelWindow> windows) {
    List<CompletableFuture<PixelTile>> tiles =
        windows.stream().map(window -> read(provider, window)).toList();
    return CompletableFuture.allOf(tiles.toArray(new CompletableFuture<?>[0]))
        .thenApply(done -> tiles.stream().map(CompletableFuture::join).toList());
  }

  private PixelTile tile(PixelProvider provider, PixelWindow window) throws Exception {
    if (provider == null) {
      throw new IllegalStateException("it was opened without a way to read them");
    }
    BufferedImage image = provider.read(window);
    if (image == null) {
      throw new IllegalStateException("the reader gave no image");
    }
    int width = window.tileWidth();
    int height = window.tileHeight();
    byte[] rgb = Tiles.rgb(image, provider.display(), width, height);
    byte[] data = encoding == TileEncoding.TILE_ENCODING_PNG ? Tiles.png(rgb, width, height) : rgb;
    return PixelTile.newBuilder()
        .setWindow(SlideWire.window(window))
        .setEncoding(encoding)
        .setData(ByteString.copyFrom(data))
        .build();
  }
}
