"""Files go in, are upgraded and go out again; what a user changed is never lost."""

import json

import pytest

from wsisam_server.qupath import QuPathFilesError, check, install, uninstall
from wsisam_server.qupath.directories import UserDirectory


def tree(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "wsisam-files.json"
    }


def done(actions):
    return {(step.done, step.file.name) for step in actions}


JAR = "extensions/wsisam-qupath-client-0.2.0.jar"
CLICKS = "scripts/WSI-SAM/WsiSamClicks.groovy"
ANNOTATE = "scripts/WSI-SAM/WsiSamAnnotate.groovy"


def test_everything_goes_where_qupath_looks(bundle, user_directory):
    actions = install(bundle, user_directory)
    assert {step.done for step in actions} == {"installed"}
    assert tree(user_directory) == {
        JAR: "jar 0.2.0",
        CLICKS: "// WsiSamClicks 0.2.0\n",
        ANNOTATE: "// WsiSamAnnotate 0.2.0\n",
    }


def test_a_second_time_changes_nothing(bundle, user_directory):
    install(bundle, user_directory)
    before = {path: path.stat().st_mtime_ns for path in user_directory.rglob("*.*r*")}
    assert {step.done for step in install(bundle, user_directory)} == {"kept"}
    assert {path: path.stat().st_mtime_ns for path in user_directory.rglob("*.*r*")} == before


def test_an_upgrade_replaces_and_removes_what_was_ours(bundle, older, user_directory):
    install(older, user_directory)
    actions = install(bundle, user_directory)
    assert done(actions) == {
        ("removed", "wsisam-qupath-client-0.1.0.jar"),
        ("removed", "WsiSamOld.groovy"),
        ("installed", "wsisam-qupath-client-0.2.0.jar"),
        ("replaced", "WsiSamClicks.groovy"),
        ("installed", "WsiSamAnnotate.groovy"),
    }
    assert set(tree(user_directory)) == {JAR, CLICKS, ANNOTATE}


def test_a_changed_script_is_set_aside(bundle, older, user_directory):
    install(older, user_directory)
    (user_directory / CLICKS).write_text("my own", encoding="utf-8")
    actions = install(bundle, user_directory)
    assert ("set aside", "WsiSamClicks.groovy.aside1") in done(actions)
    assert tree(user_directory)[f"{CLICKS}.aside1"] == "my own"
    (user_directory / CLICKS).write_text("again", encoding="utf-8")
    uninstall(user_directory)
    assert tree(user_directory) == {f"{CLICKS}.aside1": "my own", f"{CLICKS}.aside2": "again"}


def test_a_script_of_the_same_name_that_is_not_ours_is_set_aside(bundle, user_directory):
    (user_directory / CLICKS).parent.mkdir(parents=True)
    (user_directory / CLICKS).write_text("somebody's", encoding="utf-8")
    install(bundle, user_directory)
    assert tree(user_directory)[f"{CLICKS}.aside1"] == "somebody's"


def test_a_jar_that_was_dragged_onto_qupath_is_not_loaded_any_more(bundle, user_directory):
    folder = user_directory / "extensions" / "catalog" / "x"
    folder.mkdir(parents=True)
    (folder / "wsisam-qupath-client-0.0.9.jar").write_text("dragged", encoding="utf-8")
    (folder / "other.jar").write_text("not ours", encoding="utf-8")
    actions = install(bundle, user_directory)
    assert ("set aside", "wsisam-qupath-client-0.0.9.jar.aside1") in done(actions)
    names = tree(user_directory)
    assert [name for name in names if name.endswith(".jar")] == ["extensions/catalog/x/other.jar", JAR]


def test_only_what_was_installed_is_removed(bundle, user_directory):
    (user_directory / "extensions").mkdir()
    (user_directory / "extensions" / "other.jar").write_text("not ours", encoding="utf-8")
    (user_directory / "scripts" / "WSI-SAM").mkdir(parents=True)
    (user_directory / "scripts" / "WSI-SAM" / "mine.groovy").write_text("mine", encoding="utf-8")
    install(bundle, user_directory)
    assert {step.done for step in uninstall(user_directory)} == {"removed"}
    assert tree(user_directory) == {"extensions/other.jar": "not ours", "scripts/WSI-SAM/mine.groovy": "mine"}
    assert not (user_directory / "wsisam-files.json").exists()
    assert uninstall(user_directory) == []


def test_folders_that_were_made_go_and_those_that_were_there_stay(bundle, user_directory):
    (user_directory / "extensions").mkdir()
    install(bundle, user_directory)
    (user_directory / "wsisam-classes" / "abc").mkdir(parents=True)  # the extension's own, in QuPath
    install(bundle, user_directory)  # by now all folders are there, and it is still known which were made
    uninstall(user_directory)
    assert [path.name for path in user_directory.iterdir()] == ["extensions"]


def test_a_made_folder_with_something_of_the_user_in_it_stays(bundle, user_directory):
    install(bundle, user_directory)
    (user_directory / "scripts" / "mine.groovy").write_text("mine", encoding="utf-8")
    uninstall(user_directory)
    assert [path.relative_to(user_directory).as_posix() for path in user_directory.rglob("*")] == [
        "scripts",
        "scripts/mine.groovy",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"wsisam": "1", "files": {}, "folders": ["../x"]}',
        "",
        "{}",
        "[]",
        '{"wsisam": "1", "files": {"../../etc/passwd": "x"}}',
        '{"wsisam": "1", "files": {"/etc": "x"}}',
    ],
)
def test_a_damaged_manifest_removes_nothing(bundle, user_directory, text):
    install(bundle, user_directory)
    before = tree(user_directory)
    (user_directory / "wsisam-files.json").write_text(text, encoding="utf-8")
    for action in (lambda: install(bundle, user_directory), lambda: uninstall(user_directory)):
        with pytest.raises(QuPathFilesError, match="is damaged"):
            action()
    assert tree(user_directory) == before


def test_a_folder_that_cannot_be_written_is_a_clear_error(bundle, user_directory):
    (user_directory / "extensions").write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(QuPathFilesError, match="Close QuPath, and check that the folder is yours"):
        install(bundle, user_directory)


def test_an_installation_that_was_cut_off_is_completed(bundle, older, user_directory):
    install(older, user_directory)
    manifest = user_directory / "wsisam-files.json"
    old = manifest.read_text(encoding="utf-8")
    install(bundle, user_directory)
    manifest.write_text(old, encoding="utf-8")  # as if the power had gone before it was written
    (user_directory / ANNOTATE).unlink()
    install(bundle, user_directory)
    assert set(tree(user_directory)) == {JAR, CLICKS, ANNOTATE}
    assert set(json.loads(manifest.read_text(encoding="utf-8"))["files"]) == {JAR, CLICKS, ANNOTATE}


def test_the_check_says_what_does_not_fit(bundle, older, user_directory):
    directory = UserDirectory(user_directory, ("0.6",))
    assert [finding.fits for finding in check(bundle, directory)] == [True, False]
    install(older, user_directory)
    texts = [finding.text for finding in check(bundle, directory) if not finding.fits]
    assert any("wsisam-qupath-client-0.2.0.jar is missing" in text for text in texts)
    assert any("WsiSamClicks.groovy is another version's" in text for text in texts)
    assert any("wsisam-qupath-client-0.1.0.jar is in extensions, too" in text for text in texts)
    install(bundle, user_directory)
    assert all(finding.fits for finding in check(bundle, directory))
    (user_directory / CLICKS).write_text("my own", encoding="utf-8")
    changed = [finding for finding in check(bundle, directory) if "changed" in finding.text]
    assert [finding.fits for finding in changed] == [True]
    (user_directory / JAR).write_text("broken", encoding="utf-8")
    assert not all(finding.fits for finding in check(bundle, directory))
    assert not check(bundle, UserDirectory(user_directory, ("0.4",)))[0].fits


def test_the_installation_is_noted_checked_and_taken_out_with_what_was_made_of_it(bundle, user_directory, tmp_path):
    python = tmp_path / "python"
    python.write_text("", encoding="utf-8")
    install(bundle, user_directory, str(python))
    note = user_directory / "wsisam" / "installation.json"
    assert json.loads(note.read_text(encoding="utf-8"))["python"] == str(python)
    assert {step.done for step in install(bundle, user_directory, str(python))} == {"kept"}

    def finding():
        directory = UserDirectory(user_directory, ("0.6",))
        [one] = [one for one in check(bundle, directory) if "server" in one.text]
        return one

    assert finding().fits
    python.unlink()
    assert not finding().fits
    assert "is gone" in finding().text
    local = user_directory / "wsisam" / "local"
    local.mkdir()
    (local / "local.token").write_text("made by the extension", encoding="utf-8")
    uninstall(user_directory)
    assert list(user_directory.iterdir()) == []


def test_another_installation_takes_the_place_of_the_noted_one(bundle, user_directory):
    install(bundle, user_directory, "/a/python")
    assert ("replaced", "installation.json") in done(install(bundle, user_directory, "/b/python"))
    assert "/b/python" in (user_directory / "wsisam" / "installation.json").read_text(encoding="utf-8")


def test_what_a_lab_gave_stays(bundle, user_directory):
    install(bundle, user_directory, "/a/python")
    (user_directory / "wsisam" / "anna.token").write_text("hers", encoding="utf-8")
    uninstall(user_directory)
    assert tree(user_directory) == {"wsisam/anna.token": "hers"}
