"""Two windows, two users, one slide: what is accepted is kept in the store, and each sees the other's work."""

import json
import shutil
import socket
import threading

import pytest
import shapely

from support.qupath_program import qupath_or_skip
from support.server import iou
from support.server_process import command
from support.waiting import until
from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.client import Client
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(1800)]

SECONDS = 1200

NOTE = """
import io.wsisam.client.annotations.SyncState
import io.wsisam.qupath.SyncRecord

def entry = getProject().getImageList()[0]
def data = entry.readImageData()
def ids = (0..<20).collect { UUID.randomUUID().toString() }
def record = { new SyncRecord(getProject(), entry, data, 'slide') }
def note = { int n -> record().note('store', [(ids[n]): new SyncState.Base(n + 1, 'digest')]) }
note(0)
def saved = data.getProperty('wsisam.sync')
entry.saveImageData(data)
(1..<20).each { note(it) }
def now = data.getProperty('wsisam.sync')
println "noted ${saved} ${now} ${ids.collect { record().revision('store', it) }.join(' ')}"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def seen(boxes, server, repository, tmp_path_factory):
    """What both windows saw, and what the store holds at the end: [(annotation, as of each revision)]."""
    root = tmp_path_factory.mktemp("kept")
    meet, port = root / "meet", free_port()
    meet.mkdir()
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    people = {}
    for name in ("anna", "ben"):
        (root / name).mkdir()
        project = shutil.copytree(boxes, root / name / "project") / "project.qpproj"
        people[name] = (qupath_or_skip(root / name), project)
    found, wrong = {}, []

    def serve():
        return command(
            root / f"serve{len(list(root.glob('serve*.log')))}.log",
            *(
                "--slides",
                server.root,
                "--port",
                port,
                "--store",
                root / "annotations.sqlite",
                "--model",
                "wsisam-lite",
            ),
        )

    def work(name, part, **more):
        qupath, project = people[name]
        properties = {"user.name": name, "drive.project": project, "drive.meet": meet, "drive.script": script}
        try:
            found[part] = qupath.drive(
                repository / "tests" / "in_qupath" / "drive_kept.groovy",
                root / f"{part}.json",
                seconds=SECONDS,
                **properties | {"drive.server": f"127.0.0.1:{port}"} | more,
            )
        except BaseException as failure:  # noqa: BLE001 -- of a thread; raised again by the test
            wrong.append(failure)

    def alive():
        assert not wrong, wrong
        return True

    with serve() as running:
        windows = {name: threading.Thread(target=work, args=(name, name)) for name in people}
        for window in windows.values():
            window.start()
        until(lambda: alive() and (meet / "anna-kill").exists(), SECONDS)
        running.process.kill()
        running.process.wait()
    (meet / "test-killed").write_text("0")
    windows["anna"].join()
    assert alive()
    with serve():
        work("anna", "again", **{"drive.again": "true"})
        windows["ben"].join()
        assert alive()
        with Client(f"127.0.0.1:{port}") as client:
            slide = client.open_slide(str(server.root / "discs.png")).slide_id
            listed = client.annotations.List(pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=slide)))
            stored = [one for message in listed for one in message.annotations]
            history = client.annotations.ListRevisions(pb.AnnotationsListRevisionsRequest(page_size=1000)).revisions
    return found | {"store": stored, "history": history}


def kept(annotations):
    return {one["id"]: (one["name"], one["wkt"]) for one in annotations if "wsisam.model" in one["metadata"]}


def test_each_sees_what_the_other_accepts(seen):
    for name, other in (("anna", "ben"), ("ben", "anna")):
        assert set(seen[name]["authors"]) == {"me", f"qupath:{other}"}


def test_a_colleagues_object_comes_within_two_seconds(seen):
    """The first one waits for classes to be loaded: it is shown when this fails, and not held to it."""
    first = [seen[name]["secondsOfFirst"] for name in ("anna", "ben")]
    assert seen["anna"]["secondsOfNext"] < 2, first


def test_undo_takes_back_ones_own_everywhere_and_nothing_of_the_others(seen):
    assert len(seen["ben"]["undone"]) == len(seen["anna"]["undone"]) == 2
    kinds = {pb.CHANGE_KIND_DELETED: 0}
    for revision in seen["history"]:
        kinds[revision.change] = kinds.get(revision.change, 0) + 1
    assert kinds[pb.CHANGE_KIND_DELETED] == 1


def test_what_was_accepted_while_the_server_was_away_is_sent_by_the_next_window(seen):
    assert seen["anna"]["away"].startswith("1 not in the store yet")
    assert seen["again"]["remembered"]
    assert any(
        iou(shapely.from_wkt(one["wkt"]), "c") > 0.9
        for one in seen["again"]["last"]
        if one["metadata"].get("wsisam.id")
    )


def test_at_the_end_both_and_the_store_hold_the_same_and_nothing_twice(seen):
    assert len(seen["store"]) == 3
    assert kept(seen["again"]["last"]) == kept(seen["ben"]["last"])
    assert {one.id: one.name for one in seen["store"]} == {
        one: name for one, (name, _) in kept(seen["ben"]["last"]).items()
    }
    assert "renamed" in {one.name for one in seen["store"]}
    saves = [one.id for one in seen["history"] if one.change == pb.CHANGE_KIND_SAVED]
    assert len(saves) == len(set(saves)) + 1, "each was saved once, and one was renamed"


def test_the_prompt_that_made_it_is_kept(seen):
    assert all(one.provenance.prompt.HasField("box") for one in seen["store"])


def test_what_was_never_accepted_stays_in_its_image(seen):
    for window in ("again", "ben"):
        assert {one["name"] for one in seen[window]["last"]} >= {"a", "b", "c"}
    assert not {"a", "b", "c"} & {one.name for one in seen["store"]}


def test_no_error_in_the_log(seen):
    assert [seen[window]["errors"] for window in ("anna", "ben", "again")] == [[], [], []]


def test_what_is_accepted_after_a_save_does_not_push_the_saved_files_record_out(qupath, project, tmp_path):
    """However much is accepted: a QuPath that is killed then leaves the saved file, which names its record."""
    script = tmp_path / "note.groovy"
    script.write_text(NOTE)
    said = next(line for line in qupath.script(script, project=project).splitlines() if line.startswith("noted "))
    _, saved, now, *revisions = said.split()
    assert revisions == [str(n) for n in range(1, 21)]
    assert saved != now
    (folder,) = (project.parent / "wsisam-sync" / "synced").iterdir()
    assert {file.stem for file in folder.iterdir()} == {saved, now}
    kept = json.loads((folder / f"{saved}.json").read_text())["stores"]["store"]["annotations"]
    assert len(kept) == 1
