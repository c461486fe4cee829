"""What `make release` writes, as far as it can be told without building; release/check.py tries the files themselves."""

import gzip
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "release"


@pytest.fixture(scope="module")
def tools():
    """The modules of release/, which are no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        import assemble
        import bill
        import compare
    finally:
        sys.path.remove(str(FOLDER))
    return assemble, bill, compare


@pytest.fixture
def release(tools, tmp_path, repository):
    build = tools[0]
    version = build.project_version((repository / "pyproject.toml").read_text(encoding="utf-8"))
    return build.Release(repository, tmp_path, version, "abc123", 1_780_000_000)


def test_everything_has_one_version(release, repository):
    """pom.xml is in test_wheel.py, catalog.json in qupath/test_catalog.py."""
    changes = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)[1]
    assert newest in {release.version, "Unreleased"}
    assert f"\n## {release.version}" in changes


def test_notes_are_the_versions_section(tools, release):
    build = tools[0]
    changes = f"# Changelog\n\n## Unreleased\n\n- later\n\n## {release.version} (2026-12-01)\n\n- now\n\n## 0.0.1\n\n- before\n"
    notes = build.notes(changes, release)
    assert "- now" in notes
    assert "abc123" in notes
    assert "later" not in notes
    assert "before" not in notes
    with pytest.raises(SystemExit, match="no section"):
        build.notes("# Changelog\n\n## Unreleased\n", release)


def test_the_catalog_points_to_the_page(tools, repository):
    build = tools[0]
    text = (repository / "catalog.json").read_text(encoding="utf-8")
    said = json.loads(build.catalog(text, "https://github.com/lab/wsisam"))
    (extension,) = said["extensions"]
    addresses = [extension["homepage"], extension["releases"][0]["main_url"]]
    assert all(address.startswith("https://github.com/lab/wsisam") for address in addresses)
    assert build.catalog(text, build.NOBODYS) == text


def test_an_archive_is_the_same_bytes_for_the_same_files(tools):
    build = tools[0]
    files = {"a/b": b"1", "a/c": b"2"}
    packed = build.packed(files, 1_780_000_000)
    assert packed == build.packed(dict(reversed(files.items())), 1_780_000_000)
    assert packed != build.packed(files, 1_780_000_001)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        assert [(one.name, one.mtime, one.uid, one.uname) for one in archive] == [
            ("a/b", 1_780_000_000, 0, ""),
            ("a/c", 1_780_000_000, 0, ""),
        ]


def test_the_container_has_what_its_file_copies(tools, repository):
    build = tools[0]
    text = (repository / "docs" / "deploy" / "Containerfile").read_text()
    lines = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    assert sorted(build.CONTEXT) == sorted(source for line in lines for source in line)


def test_sums_name_every_file_but_themselves(tools, tmp_path):
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "SHA256SUMS").write_text("of before")
    said = tools[0].sums(tmp_path).splitlines()
    assert [line.split("  ")[1] for line in said] == ["a", "b"]
    assert said[1].startswith("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_what_two_builds_do_not_have_alike_is_named(tools, tmp_path):
    compare = tools[2]
    for folder, jar in (("one", b"1"), ("two", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jar").write_bytes(jar)
        (tmp_path / folder / "same.whl").write_bytes(b"3")
        (tmp_path / folder / "bill.cdx.json").write_bytes(jar)
    (tmp_path / "two" / "more.tar.gz").write_bytes(b"")
    assert compare.differing(tmp_path / "one", tmp_path / "two") == ["a.jar", "more.tar.gz"]


def test_a_bill_names_what_comes_with_the_package_and_nothing_else(tools):
    bill = tools[1]
    base, server = bill.closure("wsisam"), bill.closure("wsisam", ("server",))
    assert {"wsisam", "shapely", "grpcio", "pydantic-core"} <= base
    assert not {"torch", "pytest", "ruff"} & base
    assert "torch" in server
    assert not {"pytest", "ruff"} & server
    names = [*base, "pytest"]
    found = [{"name": name, "version": "1", "bom-ref": name} for name in names]
    environment = {"components": found, "metadata": {}, "dependencies": [{"ref": "pytest", "dependsOn": ["pluggy"]}]}
    said = json.loads(bill.python_bill(json.dumps(environment), "9.9.9", ()))
    assert {one["name"] for one in said["components"]} == base - {"wsisam"}
    assert said["metadata"]["component"]["version"] == "9.9.9"
    assert [one["ref"] for one in said["dependencies"]] == ["wsisam"]
    with pytest.raises(AssertionError, match="not in the environment's bill"):
        bill.python_bill(json.dumps({"components": [], "metadata": {}}), "9.9.9", ())
