package io.wsisam.script;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/** What a script is to do, from the command line: name=value over the parameters that stand at its top. */
public final class Arguments {
  /** Says in an argument that there is to be none, where nothing given means "as before". */
  public static final String NONE = "none";

  private Arguments() {}

  /**
   * Puts arguments in the place of what a script says itself, each read as what stands there: a number, true or false, or text.
   *
   * @param script its name, for the error's text
   * @param arguments each name=value; null counts as none
   * @param parameters the script's parameters, by name; changed
   * @param access how to reach the server, by name, all text; changed
   * @throws IllegalArgumentException an argument of no such name, or of another type; nothing is changed then
   */
  public static void read(
      String script, String[] arguments, Map<String, Object> parameters, Map<String, Object> access) {
    Map<String, Object> said = new TreeMap<>();
    for (String argument : arguments == null ? new String[0] : arguments) {
      int end = argument.indexOf('=');
      String name = end < 0 ? argument : argument.substring(0, end);
      if (end < 0 || !parameters.containsKey(name) && !access.containsKey(name)) {
        throw new IllegalArgumentException(
            "%s does not know '%s'. It knows %s and %s, each as name=value."
                .formatted(
                    script, argument, String.join(", ", access.keySet()), String.join(", ", parameters.keySet())));
      }
      said.put(name, value(script, argument, argument.substring(end + 1), parameters.get(name)));
    }
    said.forEach((name, value) -> (parameters.containsKey(name) ? parameters : access).put(name, value));
  }

  /**
   * Keeps how to reach the server, as the palette does: for this script, and for those that come after it.
   *
   * @param access server, tokenFile, certificates; what is empty or missing stays as it was, {@link #NONE} takes a file away
   * @throws io.wsisam.client.WsiSamException BAD_ADDRESS; nothing is kept then
   */
  public static void keep(Map<String, Object> access, Settings settings) {
    String server = text(access, "server");
    if (!server.isEmpty()) {
      settings.server(server);
    }
    String tokenFile = text(access, "tokenFile");
    if (!tokenFile.isEmpty()) {
      settings.tokenFile(file(tokenFile));
    }
    String certificates = text(access, "certificates");
    if (!certificates.isEmpty()) {
      settings.certificates(file(certificates));
    }
  }

  private static Object value(String script, String argument, String text, Object before) {
    try {
      if (before instanceof Number) {
        return Double.valueOf(text);
      }
    } catch (NumberFormatException notOne) {
      throw wrong(script, argument, "a number", notOne);
    }
    if (before instanceof Boolean) {
      if (!text.equals("true") && !text.equals("false")) {
        throw wrong(script, argument, "true or false", null);
      }
      return Boolean.valueOf(text);
    }
    return text;
  }

  private static IllegalArgumentException wrong(String script, String argument, String what, Exception cause) {
    return new IllegalArgumentException("%s cannot use '%s': write %s.".formatted(script, argument, what), cause);
  }

  private static String text(Map<String, Object> access, String name) {
    Object value = access.get(name);
    return value == null ? "" : value.toString().strip();
  }

  /** Whole: who uses it later may be in another folder. */
  private static String file(String path) {
    return path.equals(NONE) ? "" : Path.of(path).toAbsolutePath().normalize().toString();
  }
}
