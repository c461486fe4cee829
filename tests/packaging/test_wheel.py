"""What is built is what is shipped: the wheel holds all that runs, nothing else, and runs by itself."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(repository)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("wsisam-*.whl")
    return path


def test_the_wheel_holds_the_packages_and_the_generated_contract(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"wsisam", "wsisam_model", "wsisam_server"}
    for name in (
        "wsisam/v1/segmentation_pb2.py",
        "wsisam/v1/segmentation_pb2_grpc.py",
        "wsisam/v1/geometry_pb2.pyi",
        "wsisam_model/py.typed",
        "wsisam_server/py.typed",
        "wsisam_server/cli/serve.py",
        "wsisam_server/annotations/store/migrations/env.py",
        "wsisam_server/annotations/store/migrations/versions/v0001_annotations.py",
        "wsisam_server/annotations/store/migrations/versions/v0002_levels.py",
    ):
        assert name in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pt", ".pth", ".svs"))]


def test_the_wheel_holds_what_qupath_needs(wheel, repository):
    version = wheel.name.split("-")[1]
    jar = repository / "qupath_script" / "target" / f"wsisam-qupath-client-{version}.jar"
    if not jar.exists():
        pytest.skip("needs the client jar: make jar")
    files = zipfile.ZipFile(wheel)
    folder = "wsisam_server/qupath/files"
    inside = {name.removeprefix(f"{folder}/") for name in files.namelist() if name.startswith(folder)}
    scripts = {path.name for path in (repository / "qupath_script/src/main/groovy").glob("*.groovy")}
    assert "WsiSamClicks.groovy" in scripts
    assert inside == scripts | {jar.name}
    assert files.read(f"{folder}/{jar.name}") == jar.read_bytes()


def test_jar_and_package_have_one_version(repository):
    package = re.search(
        r'^version = "(.+)"$', (repository / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    project = ET.parse(repository / "qupath_script" / "pom.xml").getroot()
    assert project.findtext("{http://maven.apache.org/POM/4.0.0}version") == package[1]


def test_the_wheel_runs_outside_the_checkout(wheel, tmp_path):
    code = "import wsisam_server, wsisam.v1, wsisam_model; print(wsisam_server.__file__, wsisam_model.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(wheel)) == 2
