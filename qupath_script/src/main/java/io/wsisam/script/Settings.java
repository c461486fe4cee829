package io.wsisam.script;

import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ServerAddress;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.PartsPolicy;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.script.finishing.Finishing;
import io.wsisam.script.finishing.Overlap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.prefs.Preferences;

/** The user's settings, kept by java.util.prefs. A stored value that makes no sense counts as not set. */
public final class Settings {
  private static final String SERVER = "server";
  private static final String TOKEN_FILE = "tokenFile";
  private static final String CERTIFICATES = "certificates";
  private static final String MODEL = "model";
  private static final String TOLERANCE = "tolerance";
  private static final String CLASS_NAME = "className";
  private static final String SEND_PIXELS = "sendPixels";
  private static final String LOCAL_SERVER_STAYS = "localServerStays";
  private static final String KEEP = "keepInStore";
  private static final String WATCH = "watchColleagues";
  private static final String FILL_HOLES = "fillHolesBelow";
  private static final String SMOOTHING = "smoothing";
  private static final String PROMPTED_PARTS = "promptedParts";
  private static final String OVERLAP = "overlap";
  private static final String INSIDE = "stayInside";
  private static final String PALETTE_X = "paletteX";
  private static final String PALETTE_Y = "paletteY";

  private final Preferences node;

  private Settings(Preferences node) {
    this.node = node;
  }

  /** Those of the user. */
  public static Settings user() {
    return at(Preferences.userRoot().node("io/wsisam"));
  }

  /** Those that a node holds. */
  public static Settings at(Preferences node) {
    return new Settings(node);
  }

  /** The server's address. */
  public String server() {
    String stored = node.get(SERVER, "");
    return isAddress(stored) ? stored : "127.0.0.1:" + ServerAddress.DEFAULT_PORT;
  }

  /**
   * Sets the server's address.
   *
   * @throws WsiSamException BAD_ADDRESS; nothing is stored
   */
  public void server(String address) {
    node.put(SERVER, ServerAddress.parse(address).toString());
  }

  /** The file that holds the user's token; "" for none. The token itself is not stored. */
  public String tokenFile() {
    return node.get(TOKEN_FILE, "");
  }

  /** Sets the file that holds the user's token; "" for none. */
  public void tokenFile(String path) {
    node.put(TOKEN_FILE, path.strip());
  }

  /** The PEM file of certificates to trust; "" for those of the Java runtime. */
  public String certificates() {
    return node.get(CERTIFICATES, "");
  }

  /** Sets the PEM file of certificates to trust; "" for those of the Java runtime. */
  public void certificates(String path) {
    node.put(CERTIFICATES, path.strip());
  }

  /** The model's name; "" for the server's default. */
  public String model() {
    return node.get(MODEL, "");
  }

  /** Sets the model's name; "" for the server's default. */
  public void model(String name) {
    node.put(MODEL, name);
  }

  /** Detail of outlines in microns; 0 for the server's choice. */
  public double tolerance() {
    return positive(node.getDouble(TOLERANCE, 0));
  }

  /** Sets the detail of outlines in microns; 0 for the server's choice. */
  public void tolerance(double micronsOrZero) {
    node.putDouble(TOLERANCE, micronsOrZero);
  }

  /** The class of new annotations; "" for none. */
  public String className() {
    return node.get(CLASS_NAME, "");
  }

  /** Sets the class of new annotations; "" for none. */
  public void className(String name) {
    node.put(CLASS_NAME, name);
  }

  /** Where the palette was left on the screen: x and y; null before it was moved. */
  public double[] palettePlace() {
    double x = node.getDouble(PALETTE_X, Double.NaN);
    double y = node.getDouble(PALETTE_Y, Double.NaN);
    return Double.isFinite(x) && Double.isFinite(y) ? new double[] {x, y} : null;
  }

  /** Sets where the palette was left on the screen. */
  public void palettePlace(double x, double y) {
    node.putDouble(PALETTE_X, x);
    node.putDouble(PALETTE_Y, y);
  }

  /** Whether pixels are sent where the server cannot open the file. */
  public boolean sendPixels() {
    return node.getBoolean(SEND_PIXELS, true);
  }

  /** Sets whether pixels are sent where the server cannot open the file. */
  public void sendPixels(boolean allowed) {
    node.putBoolean(SEND_PIXELS, allowed);
  }

  /** Whether a server that was started on this computer goes on when QuPath is closed. */
  public boolean localServerStays() {
    return node.getBoolean(LOCAL_SERVER_STAYS, false);
  }

  /** Sets whether a server that was started on this computer goes on when QuPath is closed. */
  public void localServerStays(boolean stays) {
    node.putBoolean(LOCAL_SERVER_STAYS, stays);
  }

  /** Whether what is accepted is kept in the server's store, where it has one. */
  public boolean keepInStore() {
    return node.getBoolean(KEEP, true);
  }

  /** Sets whether what is accepted is kept in the server's store. */
  public void keepInStore(boolean kept) {
    node.putBoolean(KEEP, kept);
  }

  /** Whether what others accept on the open slides is taken in while it happens. */
  public boolean watchColleagues() {
    return node.getBoolean(WATCH, false);
  }

  /** Sets whether what others accept on the open slides is taken in while it happens. */
  public void watchColleagues(boolean watched) {
    node.putBoolean(WATCH, watched);
  }

  /** Holes below this area in square microns are filled; 0 for the server's choice. */
  public double fillHolesBelow() {
    return positive(node.getDouble(FILL_HOLES, 0));
  }

  /** Sets below which area in square microns holes are filled; 0 for the server's choice. */
  public void fillHolesBelow(double areaOrZero) {
    node.putDouble(FILL_HOLES, areaOrZero);
  }

  /** Over how many microns borders are smoothed; 0 for not at all. */
  public double smoothing() {
    return positive(node.getDouble(SMOOTHING, 0));
  }

  /** Sets over how many microns borders are smoothed; 0 for not at all. */
  public void smoothing(double micronsOrZero) {
    node.putDouble(SMOOTHING, micronsOrZero);
  }

  /** Whether only the parts with a positive click make an outline. */
  public boolean promptedParts() {
    return node.getBoolean(PROMPTED_PARTS, true);
  }

  /** Sets whether only the parts with a positive click make an outline. */
  public void promptedParts(boolean only) {
    node.putBoolean(PROMPTED_PARTS, only);
  }

  /** What is done with outlines beside their neighbours. */
  public Finishing finishing() {
    return new Finishing(overlap(), node.getBoolean(INSIDE, false));
  }

  /** Sets what is done with outlines beside their neighbours. */
  public void finishing(Finishing finishing) {
    node.put(OVERLAP, finishing.overlap().name());
    node.putBoolean(INSIDE, finishing.inside());
  }

  private Overlap overlap() {
    try {
      return Overlap.valueOf(node.get(OVERLAP, Overlap.ALLOWED.name()));
    } catch (IllegalArgumentException unknown) {
      return Overlap.ALLOWED;
    }
  }

  private static double positive(double stored) {
    return stored > 0 && Double.isFinite(stored) ? stored : 0;
  }

  /**
   * How to reach the server.
   *
   * @throws WsiSamException BAD_TOKEN_FILE
   */
  public ClientOptions clientOptions() {
    ClientOptions options = ClientOptions.to(server());
    if (!certificates().isEmpty()) {
      options = options.withCertificates(Path.of(certificates()));
    }
    return tokenFile().isEmpty() ? options : options.withToken(token(tokenFile()));
  }

  /** How outlines are made. */
  public SegmentOptions segmentOptions() {
    return SegmentOptions.defaults()
        .withModel(model())
        .withTolerance(orNull(tolerance()))
        .withHolesFilledBelow(orNull(fillHolesBelow()))
        .withSmoothing(orNull(smoothing()))
        .withParts(promptedParts() ? null : PartsPolicy.ALL);
  }

  private static Double orNull(double value) {
    return value > 0 ? value : null;
  }

  private static String token(String file) {
    try {
      byte[] bytes = Files.readAllBytes(Path.of(file));
      return text(bytes).strip();
    } catch (IOException unreadable) {
      throw WsiSamException.badTokenFile(file, unreadable);
    }
  }

  /** UTF-8, or UTF-16 as Windows' shell writes what a command printed; without the mark at the start that says which. */
  private static String text(byte[] bytes) throws IOException {
    boolean wide = bytes.length >= 2 && (bytes[0] & bytes[1]) == (byte) 0xFE && bytes[0] != bytes[1];
    Charset charset = wide ? StandardCharsets.UTF_16 : StandardCharsets.UTF_8;
    String text = charset.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    return text.startsWith("\uFEFF") ? text.substring(1) : text;
  }

  private static boolean isAddress(String text) {
    try {
      return !text.isEmpty() && !ServerAddress.parse(text).host().isEmpty();
    } catch (WsiSamException malformed) {
      return false;
    }
  }
}
