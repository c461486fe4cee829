"""A QuPath is asked for its user directory; here by a program that only looks like one."""

import os
import sys

import pytest

from wsisam_server.qupath import QuPathFilesError, user_directory_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a program made here is a script of a shell")


@pytest.fixture
def qupath(tmp_path):
    """Called: the folder of a QuPath that does this, in Python; `out` is the file that it writes to."""

    def make(code):
        program = tmp_path / "QuPath" / "bin" / "QuPath"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!{sys.executable}\nimport sys\nout = sys.argv[3]\n{code}\n", encoding="utf-8")
        program.chmod(0o755)
        return program.parents[1]

    return make


def test_it_is_found_in_its_folder_and_says_where(qupath, tmp_path):
    user = tmp_path / "päth" / "v0.7"
    folder = qupath(f"open(out, 'w', encoding='utf-8').write({str(user)!r})")
    for program in (folder, folder / "bin" / "QuPath"):
        found = user_directory_of(program)
        assert (found.path, found.versions) == (user, ("0.7",))


def test_one_that_fails_is_quoted(qupath):
    with pytest.raises(QuPathFilesError, match="no license for this"):
        user_directory_of(qupath("sys.exit('no license for this')"))


def test_one_that_hangs_is_given_up(qupath):
    with pytest.raises(QuPathFilesError, match="did not say"):
        user_directory_of(qupath("import time; time.sleep(60)"), seconds=0.5)


def test_a_folder_without_qupath(tmp_path):
    with pytest.raises(QuPathFilesError, match="there is no QuPath in"):
        user_directory_of(tmp_path)
