"""What is built is what is shipped: the wheel holds all that runs, nothing else, and runs by itself."""

import subprocess
import sys
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
    ):
        assert name in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pt", ".pth", ".jar", ".svs"))]


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
