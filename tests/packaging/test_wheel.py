"""What is built is what is shipped: the wheel holds all that runs, nothing else, and runs by itself."""

import re
import subprocess
import sys
import venv
import xml.etree.ElementTree as ET
import zipfile

import pytest

from support import light


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
        "wsisam_model/registry.py",
        "wsisam_model/weights/wsisam-lite.safetensors",
        "wsisam_server/py.typed",
        "wsisam_server/cli/serve.py",
        "wsisam_server/core/errors.py",
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


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel in an environment of its own: the base install, with no other program to be found.

    What it depends on is taken from this environment, and of that nothing which only an extra brings.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (site,) = folder.glob("**/site-packages")
    blocker = (
        "import sys\n"
        f"BLOCKED = {light.BLOCKED!r}\n"
        "class Blocker:\n"
        "    @staticmethod\n"
        "    def find_spec(name, *_):\n"
        "        if name.partition('.')[0] in BLOCKED:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Blocker)\n"
    )
    (site / "base_install_only.py").write_text(blocker)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join([*others, "import base_install_only"]))

    def run(*words):
        program = python.with_name("wsisam")
        done = subprocess.run(
            [program, *map(str, words)],
            cwd=folder,
            env={"PATH": str(python.parent), "HOME": str(folder), "WSISAM_STORE": "none"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.site, run.python = site, python
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="the programs of an environment lie elsewhere there")
def test_the_base_install_of_the_wheel_needs_no_git_java_or_model(installed):
    where = subprocess.run(
        [
            installed.python,
            "-c",
            "import wsisam_server, wsisam_model; print(wsisam_server.__file__, wsisam_model.__file__)",
        ],
        cwd=installed.site,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.count(str(installed.site)) == 2, "not the checkout's"
    assert "Usage: wsisam" in installed("--help")
    assert "wsisam-lite" in installed("weights", "list")
    assert 'pip install ".[server]"' in installed("doctor", "--port", "1")


@pytest.mark.skipif(sys.platform == "win32", reason="the programs of an environment lie elsewhere there")
def test_the_wheel_sets_up_qupath_without_java(installed, wheel, tmp_path):
    if not any(name.endswith(".jar") for name in zipfile.ZipFile(wheel).namelist()):
        pytest.skip("needs the client jar: make jar")
    said = installed("qupath", "install", "--qupath-user-dir", tmp_path)
    assert "WsiSamClicks" in said
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert f"wsisam-qupath-client-{wheel.name.split('-')[1]}.jar" in names
    assert "WsiSamClicks.groovy" in names
