"""QuPath's folder is found in what Java writes, on each system."""

import plistlib
import shutil
import subprocess

import pytest

from wsisam_server.qupath.directories import find_user_directories, given_user_directory, why_not
from wsisam_server.qupath.preferences import decode_node, decode_registry, user_paths

# Written by Java 17 for the nodes io.github.qupath/0.5, 0.6 and 0.7.
NODE = "_!'k!bw!u!'c!a@\"0!'g!d@\"i!#4!c@\"1!(!!}@\"0!'g="
VERSIONS = {"0.5": "_!$!!.g!1", "0.6": "_!$!!.g!2", "0.7": "_!$!!.g!3"}
PREFS = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE map SYSTEM "http://java.sun.com/dtd/preferences.dtd">
<map MAP_XML_VERSION="1.0">
  <entry key="other" value="x"/>
  <entry key="userPath" value="{}"/>
</map>
"""


def write_linux(home, version, value):
    folder = home / ".java" / ".userPrefs" / NODE / VERSIONS.get(version, version)
    folder.mkdir(parents=True)
    (folder / "prefs.xml").write_text(PREFS.format(value), encoding="utf-8")


def test_names_of_nodes_are_decoded():
    assert decode_node(NODE) == "io.github.qupath"
    assert {version: decode_node(name) for version, name in VERSIONS.items()} == {v: v for v in VERSIONS}
    assert decode_node("plain") == "plain"
    with pytest.raises(ValueError, match="ASCII"):
        decode_node("_not in Java's alphabet: é")


def test_linux(tmp_path):
    write_linux(tmp_path, "0.6", "/home/p&#228;th &amp; Q/v0.6")
    write_linux(tmp_path, "0.7", "")
    write_linux(tmp_path, "_odd", "/somewhere")
    (tmp_path / ".java" / ".userPrefs" / NODE / VERSIONS["0.5"]).mkdir()
    found = user_paths(tmp_path, "linux")
    assert found["0.6"] == "/home/päth & Q/v0.6"
    assert "0.5" not in found
    assert "0.7" not in found


@pytest.mark.parametrize("damage", [b"", b"<map", b"\xff\xfe\x00", b"<map><entry key='userPath'/></map>"])
def test_damaged_preferences_are_no_preferences(tmp_path, damage):
    write_linux(tmp_path, "0.6", "/x")
    (tmp_path / ".java" / ".userPrefs" / NODE / VERSIONS["0.6"] / "prefs.xml").write_bytes(damage)
    assert user_paths(tmp_path, "linux") == {}
    folder = tmp_path / "Library" / "Preferences"
    folder.mkdir(parents=True)
    (folder / "com.apple.java.util.prefs.plist").write_bytes(damage)
    assert user_paths(tmp_path, "darwin") == {}


def test_macos(tmp_path):
    folder = tmp_path / "Library" / "Preferences"
    folder.mkdir(parents=True)
    node = {"0.6/": {"userPath": "/Users/me/QuPath/v0.6"}, "0.7/": {"other": "x"}}
    tree = {"/": {"com/": {"userPath": "/wrong"}, "io.github.qupath/": node}}
    (folder / "com.apple.java.util.prefs.plist").write_bytes(plistlib.dumps(tree, fmt=plistlib.FMT_BINARY))
    assert user_paths(tmp_path, "darwin") == {"0.6": "/Users/me/QuPath/v0.6"}


def test_the_registry_writes_texts_in_its_own_way():
    assert decode_registry("user/Path") == "userPath"
    assert decode_registry("C:////Users////m/u00fcller") == "C:\\\\Users\\\\müller"
    assert decode_registry("\\home\\q") == "/home/q"
    assert decode_registry("ends with /") == "ends with /"


def test_what_a_real_java_writes_is_found(tmp_path):
    java = shutil.which("java")
    if java is None:
        pytest.skip("needs Java")
    source = tmp_path / "Write.java"
    source.write_text(
        """
        import java.util.prefs.Preferences;
        public class Write {
          public static void main(String[] paths) throws Exception {
            Preferences node = Preferences.userRoot().node("io.github.qupath/" + paths[0]);
            node.put("userPath", paths[1]);
            node.flush();
          }
        }
        """,
        encoding="utf-8",
    )
    subprocess.run(
        [
            java,
            "-Dfile.encoding=UTF-8",
            f"-Djava.util.prefs.userRoot={tmp_path}",
            str(source),
            "0.6",
            "/data/Q <&> QuPath",
        ],
        check=True,
        capture_output=True,
    )
    assert user_paths(tmp_path, "linux") == {"0.6": "/data/Q <&> QuPath"}


def test_directories_that_exist_are_found_once(tmp_path):
    shared, default = tmp_path / "shared", tmp_path / "QuPath" / "v0.5"
    shared.mkdir()
    default.mkdir(parents=True)
    write_linux(tmp_path, "0.6", str(shared))
    write_linux(tmp_path, "0.7", str(shared))
    write_linux(tmp_path, "0.5", str(tmp_path / "gone"))
    found = {directory.path: directory.versions for directory in find_user_directories(tmp_path, "linux")}
    assert found == {shared: ("0.6", "0.7"), default: ("0.5",)}
    assert find_user_directories(tmp_path / "nobody", "linux") == []


@pytest.mark.parametrize(
    ("name", "versions", "supported"),
    [
        ("v0.6", ("0.6",), True),
        ("0.7", ("0.7",), True),
        ("v0.4", ("0.4",), False),
        ("mine", (), True),
        ("v0.6.0", ("0.6",), True),
    ],
)
def test_a_given_directory_tells_its_version_by_its_name(tmp_path, name, versions, supported):
    directory = given_user_directory(tmp_path / name)
    assert directory.versions == versions
    assert directory.supported is supported


@pytest.mark.parametrize(
    ("folder", "inside", "fits"),
    [
        ("empty", (), True),
        ("anything", ("extensions",), True),
        ("anything", ("wsisam-files.json",), True),
        ("v0.7", ("logs", "scripts"), True),
        ("projects", ("logs", "scripts"), False),
        ("v0.7", ("slides",), False),
    ],
)
def test_only_a_folder_of_qupaths_is_written(tmp_path, folder, inside, fits):
    for name in inside:
        (tmp_path / folder / name).mkdir(parents=True)
    (tmp_path / folder).mkdir(exist_ok=True)
    assert (why_not(tmp_path / folder) == "") is fits


def test_a_drive_and_a_home_are_no_user_directories(tmp_path):
    (tmp_path / "extensions").mkdir()
    assert "root" in why_not(type(tmp_path)(tmp_path.anchor))
    assert "home" in why_not(tmp_path, home=tmp_path)
