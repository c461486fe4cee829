"""`wsisam qupath check` asks the real server."""

import pytest
from click.testing import CliRunner

import wsisam_server
from support.dark_parts import DarkParts
from support.qupath_files import make_bundle
from wsisam_server.cli import main
from wsisam_server.cli import qupath as command
from wsisam_server.service.servicers import segmentation


@pytest.fixture
def check(server, tmp_path, monkeypatch):
    """Called: what is said of an installed client and the server."""
    monkeypatch.setattr(command, "find_bundle", lambda: make_bundle(tmp_path / "bundle", "0.2.0"))
    directory = tmp_path / "v0.7"
    directory.mkdir()
    command.install(make_bundle(tmp_path / "installed", "0.2.0"), directory)

    def run():
        arguments = ["qupath", "check", "--qupath-user-dir", str(directory), "--server", server.target]
        return CliRunner().invoke(main, arguments)

    return run


def test_all_fits_together(check):
    result = check()
    assert result.exit_code == 0, result.output
    assert f"the server answers, with {DarkParts.name}" in result.output
    assert "used by QuPath 0.7" in result.output


@pytest.mark.parametrize(
    ("of_server", "of_client", "said"),
    [
        ("0.2.5", "0.2.0", "ok    {}: server 0.2.5, client 0.2.0: they fit together"),
        ("1.0.0", "0.10.0", "ok    {}: server 1.0.0, client 0.10.0: they fit together"),
        ("0.9.0", "0.10.0", "TO DO {}: server 0.9.0 is too old for client 0.10.0: update the server"),
        ("", "0.2.0", "ok    {}: server of unknown version, client 0.2.0: not compared"),
    ],
)
def test_versions_are_compared(check, server, monkeypatch, of_server, of_client, said):
    monkeypatch.setattr(segmentation, "__version__", of_server)
    monkeypatch.setattr(wsisam_server, "__version__", of_client)
    result = check()
    assert said.format(server.target) in result.output.splitlines()
    assert result.exit_code == int(said.startswith("TO DO"))
