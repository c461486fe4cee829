package io.wsisam.qupath

import java.text.MessageFormat

/** What the palette says: the texts of palette.properties. */
class PaletteTexts {
    private static final ResourceBundle BUNDLE = ResourceBundle.getBundle('io.wsisam.qupath.palette', Locale.getDefault(), PaletteTexts.getClassLoader())

    static String of(String key, Object... values) {
        MessageFormat.format(BUNDLE.getString(key), values)
    }
}
