package io.wsisam.qupath

import javafx.scene.Scene
import javafx.scene.web.WebView
import javafx.stage.Stage
import org.commonmark.parser.Parser
import org.commonmark.renderer.html.HtmlRenderer

/** The pages docs/qupath.md and docs/troubleshooting.md, as the jar carries them. */
class HelpWindow {
    private static final List<String> PAGES = ['qupath.md', 'troubleshooting.md']
    private static final String STYLE = 'body {font-family: sans-serif; font-size: 10pt; margin: 1em} td, th {text-align: left; vertical-align: top; padding: 2px 8px 2px 0}'

    static void open(gui) {
        def text = PAGES.collect { HelpWindow.getClassLoader().getResourceAsStream("io/wsisam/extension/${it}".toString()).getText('UTF-8') }
                .join('\n\n').replaceAll(/(?m)^ *!\[.*\n?.*\)$/, '')     // the pictures are not in the jar
        def view = new WebView()
        view.getEngine().loadContent("<html><head><style>${STYLE}</style></head><body>${html(text)}</body></html>".toString())
        def stage = new Stage()
        stage.initOwner(gui.getStage())
        stage.setTitle('WSI-SAM: help')
        stage.setScene(new Scene(view, 760, 640))
        stage.show()
    }

    private static String html(String text) {
        HtmlRenderer.builder().build().render(Parser.builder().build().parse(tables(text)))
    }

    /** QuPath's reader of Markdown knows no tables. */
    private static String tables(String text) {
        text.replaceAll(/(?m)(^\|.*\n)+/) { all, last ->
            def rows = all.readLines().findAll { !(it ==~ /[|\- ]+/) }.collect { line ->
                '<tr>' + line[1..-2].split(/\|/).collect { "<td>${inline(it.trim())}</td>" }.join('') + '</tr>'
            }
            "<table>${rows.join('')}</table>\n\n".toString()
        }
    }

    private static String inline(String cell) {
        cell.replaceAll('<', '&lt;').replaceAll(/`(.+?)`/, '<code>$1</code>').replaceAll(/\*(.+?)\*/, '<em>$1</em>').replaceAll(/\[(.+?)\]\(.+?\)/, '$1')
    }
}
