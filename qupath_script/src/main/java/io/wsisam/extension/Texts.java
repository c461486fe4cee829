package io.wsisam.extension;

import java.text.MessageFormat;
import java.util.ResourceBundle;

/** What the menu says: the texts of menu.properties. */
final class Texts {
  private static final ResourceBundle BUNDLE = ResourceBundle.getBundle("io.wsisam.extension.menu");

  private Texts() {}

  static String of(String key, Object... values) {
    return MessageFormat.format(BUNDLE.getString(key), values);
  }
}
