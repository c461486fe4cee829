package io.wsisam.client.slides;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Point;
import java.awt.color.ColorSpace;
import java.awt.image.BandedSampleModel;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

class TilesTest {
  private static BufferedImage rgb(int width, int height, int... pixels) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, width, height, pixels, 0, width);
    return image;
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  @Test
  void rgbStaysAsItIs() {
    byte[] tile = Tiles.rgb(rgb(2, 1, 0x010203, 0xfeff00), List.of(), 2, 1);
    assertArrayEquals(bytes(1, 2, 3, 254, 255, 0), tile);
  }

  @Test
  void greyIsThreeTimesTheSameAndTransparentIsWhite() {
    BufferedImage grey = new BufferedImage(1, 1, BufferedImage.TYPE_BYTE_GRAY);
    grey.getRaster().setSample(0, 0, 0, 255);
    assertArrayEquals(bytes(255, 255, 255), Tiles.rgb(grey, List.of(), 1, 1));
    BufferedImage clear = new BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB);
    clear.setRGB(0, 0, 0x00000000);
    clear.setRGB(1, 0, 0x80ff0000);
    assertArrayEquals(bytes(255, 255, 255, 255, 127, 127), Tiles.rgb(clear, List.of(), 2, 1));
  }

  @Test
  void aTileHasExactlyTheSizeThatIsWanted() {
    BufferedImage four = rgb(4, 2, 0, 0x0000ff, 0, 0x0000ff, 0, 0x0000ff, 0, 0x0000ff);
    assertArrayEquals(bytes(0, 0, 128, 0, 0, 128), Tiles.rgb(four, List.of(), 2, 1));
    BufferedImage three = rgb(3, 1, 0x300000, 0x600000, 0x900000);
    assertArrayEquals(bytes(0x40, 0, 0, 0x80, 0, 0), Tiles.rgb(three, List.of(), 2, 1));
    assertArrayEquals(
        bytes(0x30, 0, 0, 0x30, 0, 0, 0x60, 0, 0, 0x60, 0, 0, 0x90, 0, 0, 0x90, 0, 0),
        Tiles.rgb(three, List.of(), 6, 1));
    assertEquals(3 * 257 * 255, Tiles.rgb(rgb(256, 256, new int[256 * 256]), List.of(), 257, 255).length);
  }

  private static BufferedImage channels(int type, double[]... bands) {
    int width = bands[0].length;
    WritableRaster raster =
        Raster.createWritableRaster(new BandedSampleModel(type, width, 1, bands.length), new Point());
    for (int band = 0; band < bands.length; band++) {
      raster.setSamples(0, 0, width, 1, band, bands[band]);
    }
    int[] bits = new int[bands.length];
    java.util.Arrays.fill(bits, DataBuffer.getDataTypeSize(type));
    ColorSpace space =
        new ColorSpace(ColorSpace.TYPE_6CLR, bands.length) {
          private static final long serialVersionUID = 1L;

          @Override
          public float[] toRGB(float[] colorvalue) {
            throw new UnsupportedOperationException("channels have no colour of their own");
          }

          @Override
          public float[] fromRGB(float[] rgbvalue) {
            throw new UnsupportedOperationException("channels have no colour of their own");
          }

          @Override
          public float[] toCIEXYZ(float[] colorvalue) {
            throw new UnsupportedOperationException("channels have no colour of their own");
          }

          @Override
          public float[] fromCIEXYZ(float[] colorvalue) {
            throw new UnsupportedOperationException("channels have no colour of their own");
          }
        };
    return new BufferedImage(
        new ComponentColorModel(space, bits, false, false, java.awt.Transparency.OPAQUE, type), raster, false, null);
  }

  @Test
  void channelsAreShownBetweenTheirLimitsAndAddUp() {
    BufferedImage image =
        channels(DataBuffer.TYPE_USHORT, new double[] {100, 600, 1100, 65535}, new double[] {0, 0, 50, 100}, new double[] {9, 9, 9, 9});
    List<ChannelDisplay> display =
        List.of(new ChannelDisplay(0, 100, 1100, 0x00ff00), new ChannelDisplay(1, 0, 100, 0xff8000));
    assertArrayEquals(
        bytes(0, 0, 0, 0, 128, 0, 128, 255, 0, 255, 255, 0), Tiles.rgb(image, display, 4, 1));
  }

  @Test
  void floatingPointMayBeNegativeOrMissing() {
    BufferedImage image =
        channels(DataBuffer.TYPE_FLOAT, new double[] {-1, 0, 1, Double.NaN, Double.POSITIVE_INFINITY});
    List<ChannelDisplay> display = List.of(new ChannelDisplay(0, -1, 1, 0xffffff));
    assertArrayEquals(
        bytes(0, 0, 0, 128, 128, 128, 255, 255, 255, 0, 0, 0, 255, 255, 255), Tiles.rgb(image, display, 5, 1));
  }

  @Test
  void whatCannotBeShownIsSaid() {
    BufferedImage deep = channels(DataBuffer.TYPE_USHORT, new double[] {1});
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> Tiles.rgb(deep, List.of(), 1, 1))
            .getMessage()
            .contains("16 bits"));
    List<ChannelDisplay> second = List.of(new ChannelDisplay(1, 0, 1, 0xffffff));
    assertThrows(IllegalArgumentException.class, () -> Tiles.rgb(deep, second, 1, 1));
    assertThrows(IllegalArgumentException.class, () -> new ChannelDisplay(0, 5, 5, 0));
    assertThrows(IllegalArgumentException.class, () -> new ChannelDisplay(0, Double.NaN, 5, 0));
    assertThrows(IllegalArgumentException.class, () -> new ChannelDisplay(-1, 0, 5, 0));
  }

  @Test
  void pngHoldsTheSamePixels() throws IOException {
    byte[] tile = bytes(1, 2, 3, 254, 255, 0, 9, 9, 9, 0, 0, 0, 7, 8, 9, 100, 200, 50);
    BufferedImage read = ImageIO.read(new ByteArrayInputStream(Tiles.png(tile, 3, 2)));
    assertArrayEquals(tile, Tiles.rgb(read, List.of(), 3, 2));
  }
}
