"""Accidents that people report of their projects, each in a real QuPath: WsiSamSync, and the same project with `wsisam sync`.

The projects are made by the scripts in ../shared/faults.
"""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.server import start
from support.waiting import until
from wsisam_model import WsiSam
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.annotations.sync.running import noted, running
from wsisam_server.cli import main
from wsisam_server.qupath import find_bundle
from wsisam_server.slides import fingerprint

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(1800)]

DRIVE = Path(__file__).with_name("drive_sync.groovy")

ENDS_RUN = "Failed to load ImageServer"
"""What QuPath 0.6 says when it ends a run itself, see `QuPathProgram.ends_where_a_slide_is_away`."""

TIME = re.compile(r"\d\d:\d\d:\d\d")

SHOW = "64"
"""Whose show.groovy tells of any project what it holds."""


@pytest.fixture(scope="session")
def faults(shared_data):
    folder = shared_data.parent / "faults"
    if not folder.is_dir():
        pytest.skip("needs ../shared/faults")
    return folder


@dataclass
class Accident:
    """A project that went through one, a server with a store, and what can be done with both."""

    qupath: object
    faults: Path
    folder: Path
    store: Path
    target: str = ""

    def script(self, number, name="make", *arguments, project=None, save=False):
        """Runs a script of an accident; its lines."""
        (folder,) = self.faults.glob(f"{number}-*")
        path = None if project is None else self.folder / project / "project.qpproj"
        return self._run(folder / f"{name}.groovy", self.folder, *arguments, project=path, save=save)

    def sync(self, *arguments, project="P", script="WsiSamSync"):
        """What the script says of each image, by the image's name."""
        (path,) = [one for one in find_bundle().scripts if one.name == f"{script}.groovy"]
        project = self.folder / project / "project.qpproj"
        lines = self._run(path, f"server={self.target}", *arguments, project=project, save=True)
        said = {}
        for line in lines:
            name, colon, text = line.partition(": ")
            # Not what QuPath logs, with the time before it.
            if colon and not TIME.match(line) and "\t" not in line:
                said[name] = f"{said[name]} {text}" if name in said else text
        return said

    def shown(self, project="P"):
        """What each image holds, by the image's name."""
        lines = self.script(SHOW, "show", project=project)
        return {
            line.split(": ", 1)[0].split(" ", 2)[2]: line.split(": ", 1)[1]
            for line in lines
            if line.startswith("IMAGE ")
        }

    def wsisam(self, *arguments, project="P", status=0):
        """Runs `wsisam sync` with paquo; what it prints."""
        pytest.importorskip(
            "paquo", reason="paquo is not installed here; pip install 'wsisam[sync]'", exc_type=ImportError
        )
        project = self.folder / project / "project.qpproj"
        done = CliRunner().invoke(main, ["sync", str(project), "--store", str(self.store), *map(str, arguments)])
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    def stored(self):
        """Names of what the store holds, by slide."""
        with open_store(str(self.store)) as store:
            page = store.listing(AnnotationFilter(), after=0, limit=1000, deleted=False)
        found = {}
        for one in page.annotations:
            found.setdefault(one.content.slide_id, set()).add(one.content.name)
        return found

    def cut(self):
        path = self.folder / "P/data/1/data.qpdata"
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        return path

    def _run(self, script, *arguments, project=None, save=False):
        """As QuPathProgram.script, but QuPath may log errors: it is meant to meet some."""
        command = [self.qupath.launcher, "script"]
        command += ["--project", project] if project else []
        command += ["--save"] if save else []
        command += [word for argument in arguments for word in ("--args", argument)]
        environment = self.qupath.environment()
        done = subprocess.run(
            [*map(str, command), str(script)],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        ended = done.returncode != 0 and ENDS_RUN in done.stdout and self.qupath.ends_where_a_slide_is_away
        assert done.returncode == 0 or ended, done.stdout + done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def accident(qupath, faults, tmp_path):
    """Called with a number: the accident's project, and a server that sees its slides unless told otherwise."""
    stops = []

    def make(number, slides="slides"):
        made = Accident(qupath, faults, tmp_path, tmp_path / "s.sqlite")
        made.script(number)
        (tmp_path / slides).mkdir(exist_ok=True)
        running, stop = start(WsiSam.from_name("wsisam-lite"), tmp_path / slides, store=str(made.store))
        stops.append(stop)
        made.target = running.target
        return made

    yield make
    for stop in stops:
        stop()


def test_a_copy_for_a_second_reader_is_left_out_and_named(accident):
    made = accident("64")
    assert made.sync() == {"a.png": "3 add to store, 0 unchanged."}
    made.script("64", "duplicate")
    for _ in range(2):
        said = made.sync()
        assert said["a.png"] == "nothing to do, 3 unchanged."
        assert "the same slide as a.png (number 1)" in said["reader 2"]
    assert set().union(*made.stored().values()) == {"first-0", "first-1", "first-2"}
    assert "second-1" in made.shown()["reader 2"]
    assert "first-0" not in made.shown()["reader 2"]
    assert "reader 2: it shows the same slide as a.png" in made.wsisam("--images", "reader 2")


def test_images_choose_no_other_entry_of_a_slide(accident):
    made = accident("65")
    made.script("65", "duplicate")
    made.wsisam()
    before = made.shown()
    said = made.wsisam("--images", "reader 2")
    assert "reader 2: it shows the same slide as a.png" in said
    assert "the same slide as a.png (number 1)" in made.sync()["reader 2"]
    assert made.shown() == before
    assert set().union(*made.stored().values()) == {"first-0", "first-1", "first-2"}


def test_a_file_of_the_same_name_beside_the_project_is_another_slide(accident):
    made = accident("66", slides="elsewhere")
    (made.folder / "scans").rename(made.folder / "unplugged")
    assert "no slide" in made.wsisam()
    made.sync()
    assert made.stored() == {}
    (made.folder / "unplugged").rename(made.folder / "scans")
    made.wsisam()
    (slide,) = made.stored()
    (path,) = (made.folder / "scans").rglob("overview.png")
    assert slide == fingerprint(path) != fingerprint(made.folder / "P/overview.png")
    assert "3 unchanged" in made.sync()["caseA"]


def test_what_both_sides_deleted_is_not_counted_as_the_same(accident):
    made = accident("80")
    made.wsisam()
    made.script("80", "delete", project="P", save=True)
    made.wsisam()
    shutil.rmtree(made.folder / "P/wsisam-sync")
    made.wsisam("--json", made.folder / "report.json")
    (image,) = json.loads((made.folder / "report.json").read_text())["images"]
    assert image["counts"]["unchanged"] == 2
    assert made.sync()["a.png"] == "nothing to do, 2 unchanged."


def test_a_training_image_is_left_alone(accident):
    made = accident("67", slides="elsewhere")
    for _ in range(2):
        said = made.sync()
        assert "only whole images are synced" in said["training image"]
    assert list(made.stored().values()) == [{"on the slide"}]
    assert "left out training image: the project shows it sparse" in made.wsisam()


def test_one_path_on_two_computers(accident):
    made = accident("68", slides="elsewhere")
    assert made.sync(project="anna")["1.png"] == "3 add to store, 0 unchanged."
    made.script("68", "make", "second")
    made.sync(project="ben")
    assert sorted(made.stored().values()) == [{"anna-0", "anna-1", "anna-2"}, {"ben-0", "ben-1", "ben-2"}]
    assert "anna" not in made.shown("ben")["1.png"]


def test_data_that_cannot_be_read_are_neither_synced_nor_saved_over(accident):
    made = accident("69")
    made.sync()
    good = (made.folder / "P/data/1/data.qpdata").read_bytes()
    path = made.cut()
    bad = path.read_bytes()
    assert "its saved data cannot be read (the file was cut)" in made.sync()["a.png"]
    assert path.read_bytes() == bad
    assert "QuPath cannot read its data file" in made.wsisam(status=2)
    path.write_bytes(good)
    assert made.sync()["a.png"] == "nothing to do, 3 unchanged."
    assert made.shown()["a.png"].count("detection") == 5


def test_an_image_that_is_away_does_not_stop_the_others(accident):
    made = accident("71")
    (made.folder / "slides/b.png").rename(made.folder / "away.png")
    said = made.sync()
    after = {} if made.qupath.ends_where_a_slide_is_away else {"c.png"}
    assert {said[name] for name in {"a.png", *after}} == {"3 add to store, 0 unchanged."}
    assert "b.png (no slide)" in made.wsisam()


def test_one_id_twice_leaves_the_rest(accident):
    made = accident("76")
    said = made.sync()["a.png"]
    assert said.startswith("2 add to store, 0 unchanged. 2 left out: ")
    assert "twin, Stroma" in said
    assert "several objects of this image have this id" in said
    assert "several objects of this image have this id" in made.wsisam()


def test_other_planes_are_counted_and_named(accident):
    made = accident("77")
    for start_of in ("3 add to store, 0 unchanged.", "nothing to do, 3 unchanged."):
        said = made.sync()["a.png"]
        assert said.startswith(f"{start_of} 2 left out: z 1, Tumor")
        assert "on another plane (z 2, t 0)" in said
    done = CliRunner().invoke(main, ["dataset", str(made.folder / "P/project.qpproj"), str(made.folder / "ds")])
    if "paquo" not in done.output:
        assert "2 annotations on other planes" in " ".join(done.output.split())


def test_children_and_measurements_stay_when_an_annotation_is_outlined_anew(accident):
    made = accident("78")
    made.sync("which=all", script="WsiSamAnnotate")
    shown = made.shown()["a.png"]
    inside = shown.count("detection in region")
    assert inside >= 4
    assert "[Score by hand]" in shown


def test_a_folder_that_cannot_be_written_is_found_before_the_store_is_touched(accident):
    made = accident("79")
    shutil.copytree(made.folder / "P", made.folder / "copy")
    made.sync()
    made.script("79", "rename", project="P", save=True)
    made.sync()
    folder = made.folder / "copy/data/1"
    mount = subprocess.run(
        f"mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}'",
        shell=True,
        check=False,
        capture_output=True,
    )
    if mount.returncode:
        pytest.skip("needs to be root, to mount a folder read-only")
    try:
        said = made.sync(project="copy")
        assert "cannot be written" in said["a.png"]
        assert "1 add to project, 3 unchanged" in said["b.png"]
        assert "it cannot be written (Read-only file system)" in made.wsisam(project="copy", status=2)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_ended_while_saving(accident):
    made = accident("81")
    made.wsisam()
    data = made.folder / "P/data/1/data.qpdata"
    data.rename(data.with_name("data.qpdata.bkp"))
    assert "ended while it did" in made.wsisam(status=2)
    assert set().union(*made.stored().values()) == {"first-0", "first-1", "first-2"}
    # QuPath itself opens what it was saving from.
    assert made.sync()["a.png"] in {"nothing to do, 3 unchanged.", "3 unchanged."}
    assert set().union(*made.stored().values()) == {"first-0", "first-1", "first-2"}


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        ("72", 0, "left out a.png - one channel: the project shows it as other channels"),
        ("73", 2, "copy project.qpproj.backup over project.qpproj"),
        ("74", 0, "left out b.png: the project does not say which file it shows"),
        ("75", 2, "its number in the project (1) is also that of b.png"),
    ],
)
def test_one_bad_entry_does_not_stop_the_others(accident, number, status, words):
    made = accident(number)
    assert words in made.wsisam("--dry-run", status=status)


def test_in_the_window_a_cut_file_ends_within_seconds_and_the_project_is_seen_as_open(accident):
    """QuPath's own reading of a hierarchy never ends at the end of a file that was cut."""
    made = accident("70")
    made.sync()
    path = made.cut()
    bad = path.read_bytes()
    (script,) = [one for one in find_bundle().scripts if one.name == "WsiSamSync.groovy"]
    project, result, stay = made.folder / "P/project.qpproj", made.folder / "seen.json", made.folder / "stay"
    more = {"drive.project": project, "drive.script": script, "drive.server": made.target, "drive.stay": stay}
    with ThreadPoolExecutor(1) as pool:
        drive = pool.submit(made.qupath.drive, DRIVE, result, 300, **more)
        try:
            until(lambda: stay.exists() or drive.done(), 300, pause=0.5)
            signs = [one.why_open(project) for one in running()]
            note = noted(project)
        finally:
            stay.unlink(missing_ok=True)
        seen = drive.result()
    (line,) = [line for line in seen["printed"] if line.startswith("a.png: ")]
    assert "not synced: its saved data cannot be read (the file was cut)" in line
    assert seen["seconds"] < 60
    assert path.read_bytes() == bad
    assert any(sign and "opened last" in sign for sign in signs)
    assert "has this project open" in note
