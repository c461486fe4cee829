"""The files are found in an installed package and in a checkout, or it is said what to do."""

import pytest

from wsisam_server.qupath import QuPathFilesError, find_bundle


@pytest.fixture
def package(tmp_path):
    package = tmp_path / "server" / "wsisam_server"
    (package / "qupath").mkdir(parents=True)
    return package


def checkout(package, *names):
    scripts = package.parents[1] / "qupath_script" / "src" / "main" / "groovy"
    scripts.mkdir(parents=True)
    (scripts / "WsiSamClicks.groovy").write_text("//", encoding="utf-8")
    target = package.parents[1] / "qupath_script" / "target"
    target.mkdir()
    for name in names:
        (target / name).write_text("jar", encoding="utf-8")


def test_a_checkout_with_its_jar(package):
    checkout(package, "wsisam-qupath-client-0.2.0.jar", "original-wsisam-qupath-client-0.2.0.jar")
    bundle = find_bundle(package, "0.2.0")
    assert bundle.jar.name == "wsisam-qupath-client-0.2.0.jar"
    assert [script.name for script in bundle.scripts] == ["WsiSamClicks.groovy"]
    assert find_bundle(package, "0+unknown").jar == bundle.jar


def test_a_checkout_without_its_jar_says_make_jar(package):
    checkout(package, "wsisam-qupath-client-0.1.0.jar")
    with pytest.raises(QuPathFilesError, match="make jar"):
        find_bundle(package, "0.2.0")


def test_an_installed_package(package):
    files = package / "qupath" / "files"
    files.mkdir()
    (files / "WsiSamClicks.groovy").write_text("//", encoding="utf-8")
    with pytest.raises(QuPathFilesError, match="built without Java"):
        find_bundle(package, "0.2.0")
    (files / "wsisam-qupath-client-0.2.0.jar").write_text("jar", encoding="utf-8")
    bundle = find_bundle(package, "0.2.0")
    assert set(bundle.targets()) == {
        "extensions/wsisam-qupath-client-0.2.0.jar",
        "scripts/WSI-SAM/WsiSamClicks.groovy",
    }
