package io.wsisam.script;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.StringJoiner;

/** Values as Groovy source, and as plain strings. */
public final class GroovyText {
  private static final char LAST_PLAIN = '~';

  private GroovyText() {}

  /**
   * A value as a Groovy literal: numbers, booleans, null, lists and maps as such, everything else as the string that its
   * text is. Nothing in it is evaluated when the literal is.
   */
  public static String literal(Object value) {
    if (value == null || value instanceof Boolean || value instanceof Integer) {
      return String.valueOf(value);
    }
    if (value instanceof Long) {
      return value + "L";
    }
    if (value instanceof Number number && Double.isFinite(number.doubleValue())) {
      return number instanceof Double || number instanceof Float ? number + "d" : number.toString();
    }
    if (value instanceof Map<?, ?> map) {
      return literal(map);
    }
    if (value instanceof Collection<?> list) {
      StringJoiner joined = new StringJoiner(", ", "[", "]");
      list.forEach(item -> joined.add(literal(item)));
      return joined.toString();
    }
    return quoted(value.toString());
  }

  /** A map with all keys and values as java.lang.String, in its order; null becomes "". */
  public static Map<String, String> plain(Map<?, ?> map) {
    Map<String, String> plain = new LinkedHashMap<>();
    map.forEach((key, value) -> plain.put(String.valueOf(key), value == null ? "" : value.toString()));
    return plain;
  }

  private static String literal(Map<?, ?> map) {
    if (map.isEmpty()) {
      return "[:]";
    }
    StringJoiner joined = new StringJoiner(", ", "[", "]");
    map.forEach((key, value) -> joined.add(quoted(String.valueOf(key)) + ": " + literal(value)));
    return joined.toString();
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("'");
    for (char letter : text.toCharArray()) {
      switch (letter) {
        case '\\' -> out.append("\\\\");
        case '\'' -> out.append("\\'");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (letter < ' ' || letter > LAST_PLAIN) {
            out.append(String.format("\\u%04x", (int) letter));
          } else {
            out.append(letter);
          }
        }
      }
    }
    return out.append('\'').toString();
  }
}
