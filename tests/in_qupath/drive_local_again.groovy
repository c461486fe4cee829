// The QuPath before has crashed: the server that it left behind is used, and ends when this one is closed.
go {
    open(System.getProperty('drive.image'))
    fx { viewer().getView().requestFocus() }
    settle()
    press(KeyCode.Q)
    until('the palette') { palette() != null }
    fx { palette().setX(0d); palette().setY(0d) }
    until('the server') { says('Ready: ') }
    def record = new File(System.getProperty('drive.record'))
    def me = ProcessHandle.current().pid()
    until('that it is used') { record.text.contains("\"pid\":${me}".toString()) }
    seen.record = record.text
}
