"""`wsisam qupath` from end to end, on a folder; tests/service has it with a server."""

import pytest
from click.testing import CliRunner

from support.qupath_files import make_bundle
from wsisam_server.cli import main
from wsisam_server.cli import qupath as command
from wsisam_server.qupath import QuPathFilesError, UserDirectory


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "bundle", "0.2.0")
    monkeypatch.setattr(command, "find_bundle", lambda: bundle)
    return bundle


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "v0.6"
    directory.mkdir()
    return directory


def run(*arguments):
    return CliRunner().invoke(main, ["qupath", *map(str, arguments)])


def test_install_check_uninstall(bundle, directory):
    installed = run("install", "--qupath-user-dir", directory)
    assert installed.exit_code == 0
    assert "installed  extensions/wsisam-qupath-client-0.2.0.jar" in installed.output.replace("\\", "/")
    assert "Start QuPath again" in installed.output
    assert "was installed already" in run("install", "--qupath-user-dir", directory).output
    removed = run("uninstall", "--qupath-user-dir", directory)
    assert "removed" in removed.output
    assert "nothing is installed there" in run("uninstall", "--qupath-user-dir", directory).output


def test_check_without_a_server_says_how_to_start_one(bundle, directory):
    run("install", "--qupath-user-dir", directory)
    result = run("check", "--qupath-user-dir", directory, "--server", "127.0.0.1:1")
    assert result.exit_code == 1
    assert "TO DO 127.0.0.1:1" in result.output
    assert "wsisam serve" in result.output
    assert result.output.count("TO DO") == 1


def test_no_user_directory_says_how_to_make_one(bundle, monkeypatch):
    monkeypatch.setattr(command, "find_user_directories", list)
    result = run("install")
    assert result.exit_code == 1
    assert "wsisam qupath install --qupath" in result.output
    assert "Extensions, QuPath user directory" in result.output


def test_a_folder_that_is_not_qupaths_is_not_written(bundle, tmp_path, monkeypatch):
    typed = UserDirectory(tmp_path / "typed", ("0.7",))
    (typed.path / "bin").mkdir(parents=True)
    monkeypatch.setattr(command, "find_user_directories", lambda: [typed])
    result = run("install")
    assert result.exit_code == 1
    assert "nothing was written" in result.output
    assert [path.name for path in typed.path.rglob("*")] == ["bin"]


def test_a_qupath_is_asked_for_its_user_directory(bundle, directory, monkeypatch):
    monkeypatch.setattr(command, "user_directory_of", lambda _: UserDirectory(directory, ("0.7",)))
    result = run("install", "--qupath", directory.parent)
    assert result.exit_code == 0, result.output
    assert (directory / "extensions" / "wsisam-qupath-client-0.2.0.jar").is_file()


def test_another_qupath_is_left_alone(bundle, tmp_path):
    old = tmp_path / "v0.3"
    old.mkdir()
    assert "left as it is" in run("install", "--qupath-user-dir", old).output
    assert list(old.iterdir()) == []


def test_a_missing_jar_is_one_clear_line(directory, monkeypatch):
    def missing():
        raise QuPathFilesError("the jar is not there. Run `make jar`.")

    monkeypatch.setattr(command, "find_bundle", missing)
    result = run("install", "--qupath-user-dir", directory)
    assert result.exit_code == 1
    assert result.output == "Error: the jar is not there. Run `make jar`.\n"
