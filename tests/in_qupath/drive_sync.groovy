// WsiSamSync.groovy in QuPath's window, with a project open and no image shown. What it printed, and how long it took; then it waits
// with the project open until -Ddrive.stay is gone.
import qupath.lib.gui.scripting.QPEx
import qupath.lib.gui.scripting.languages.ScriptLanguageProvider
import qupath.lib.projects.ProjectIO
import qupath.lib.scripting.ScriptParameters

import java.awt.image.BufferedImage

go {
    def project = ProjectIO.loadProject(new File(System.getProperty('drive.project')), BufferedImage)
    fx { qupath.setProject(project) }
    def printed = new StringWriter()
    def parameters = ScriptParameters.builder().setScript(new File(System.getProperty('drive.script')).text).setProject(project)
            .setArgs(["server=${System.getProperty('drive.server')}".toString()] as String[]).setWriter(printed).setErrorWriter(printed)
            .setDefaultImports(QPEx.getCoreClasses()).setDefaultStaticImports([QPEx]).build()
    def began = System.nanoTime()
    ScriptLanguageProvider.getLanguageFromExtension('.groovy').execute(parameters)
    seen.seconds = (System.nanoTime() - began) / 1e9
    seen.printed = printed.toString().readLines()
    def stay = new File(System.getProperty('drive.stay'))
    java.util.prefs.Preferences.userRoot().flush()
    stay.text = 'synced'
    until('the test') { !stay.exists() }
}
