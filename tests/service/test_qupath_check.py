"""`wsisam qupath check` asks the real server."""

from click.testing import CliRunner

from support.qupath_files import make_bundle
from wsisam_server.cli import main
from wsisam_server.cli import qupath as command


def test_all_fits_together(server, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "find_bundle", lambda: make_bundle(tmp_path / "bundle", "0.2.0"))
    directory = tmp_path / "v0.7"
    directory.mkdir()
    bundle = make_bundle(tmp_path / "installed", "0.2.0")
    command.install(bundle, directory)
    arguments = ["qupath", "check", "--qupath-user-dir", str(directory), "--server", server.target]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "the server answers, with wsisam-lite" in result.output
    assert "used by QuPath 0.7" in result.output
