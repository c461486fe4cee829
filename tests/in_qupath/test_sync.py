"""WsiSamSync.groovy on a project of two images, in a real QuPath without a window, against a real server with a store."""

import json
import shutil
import uuid

import pytest
import shapely
from click.testing import CliRunner
from PIL import Image

from support.annotations import area
from support.server import picture, start
from wsisam.v1 import annotations_pb2 as pb
from wsisam_model import WsiSam
from wsisam_server.cli import main
from wsisam_server.client import Client
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(1800)]

MAKE = """
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.projects.Projects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
import java.awt.image.BufferedImage

def project = Projects.createProject(new File(args[0]), BufferedImage)
args[1..-1].each { path ->
    def support = ImageServerProvider.getPreferredUriImageSupport(BufferedImage, path)
    def entry = project.addImage(support.getBuilders()[0])
    entry.setImageName(new File(path).getName())
    def data = entry.readImageData()
    data.setImageType(qupath.lib.images.ImageData.ImageType.OTHER)
    def plane = ImagePlane.getDefaultPlane()
    def annotation = { roi, name ->
        def one = PathObjects.createAnnotationObject(roi, PathClass.fromString('Tumor'))
        one.setName(name)
        one.getMeasurementList().put('Score', 0.5d)
        one.getMetadata().put('note', 'kept')
        one
    }
    def parent = annotation(ROIs.createRectangleROI(100, 100, 200, 200, plane), 'parent')
    parent.setLocked(true)
    parent.addChildObject(annotation(ROIs.createPolygonROI([120.3, 180.9, 150] as double[], [120, 121.7, 180] as double[], plane), 'child'))
    parent.addChildObject(PathObjects.createDetectionObject(ROIs.createRectangleROI(200, 200, 20, 20, plane)))
    data.getHierarchy().addObject(parent)
    data.getHierarchy().addObject(annotation(ROIs.createPointsROI([5, 6] as double[], [7, 8] as double[], plane), 'points'))
    data.getHierarchy().addObject(annotation(ROIs.createLineROI(1, 2, 30.5, 40.25, plane), 'line'))
    data.getHierarchy().addObject(annotation(ROIs.createEllipseROI(400, 300, 80, 50, plane), 'ellipse'))
    entry.saveImageData(data)
}
project.syncChanges()
"""

DUMP = """
import qupath.lib.io.GsonTools

def all = getProject().getImageList().collectEntries { entry ->
    def objects = entry.readImageData().getHierarchy().getAllObjects(false).collect {
        [id: it.getID().toString(), name: it.getName(), kind: it.isAnnotation() ? 'annotation' : 'detection', parent: it.getParent()?.getName(),
         roi: it.getROI().getRoiName(), className: it.getPathClass()?.toString(), locked: it.isLocked(), wkt: it.getROI().getGeometry().toText(),
         measurements: it.getMeasurementList().getMeasurementNames().collectEntries { n -> [(n): it.getMeasurementList().get(n)] },
         metadata: new TreeMap(it.getMetadata())]
    }
    [(entry.getImageName()): objects]
}
new File(args[0]).text = GsonTools.getInstance().toJson(all)
"""

EDIT = """
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

def hierarchy = getCurrentImageData().getHierarchy()
def named = { name -> hierarchy.getAnnotationObjects().find { it.getName() == name } }
named('ellipse').setROI(ROIs.createEllipseROI(400, 300, 120, 50, ImagePlane.getDefaultPlane()))
hierarchy.removeObject(named('line'), true)
getCurrentImageData().setChanged(true)
"""

ODD = """
import org.locationtech.jts.geom.Coordinate
import org.locationtech.jts.geom.LinearRing
import qupath.lib.objects.PathObjects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools

def factory = GeometryTools.getDefaultFactory()
def ring = { double x, double y, double size ->
    factory.createLinearRing([[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]].collect { new Coordinate(it[0], it[1]) } as Coordinate[])
}
def holeOutside = factory.createPolygon(ring(0, 0, 100), [ring(200, 200, 40)] as LinearRing[])
def odd = PathObjects.createAnnotationObject(GeometryTools.geometryToROI(holeOutside, ImagePlane.getDefaultPlane()))
odd.setName('odd')
getCurrentImageData().getHierarchy().addObject(odd)
getCurrentImageData().setChanged(true)
"""


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for seed, name in enumerate(("first.png", "second.png")):
        Image.fromarray(picture(seed)).save(folder / name)
    return folder


@pytest.fixture
def server(slides, tmp_path):
    running, stop = start(WsiSam.from_name("wsisam-lite"), slides, store=str(tmp_path / "annotations.sqlite"))
    yield running
    stop()


@pytest.fixture
def client(server):
    with Client(server.target) as client:
        yield client


@pytest.fixture
def scripted(tmp_path):
    def write(name, text):
        path = tmp_path / f"{name}.groovy"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def project(qupath, scripted, slides, tmp_path):
    (tmp_path / "Colon").mkdir()
    qupath.script(scripted("make", MAKE), tmp_path / "Colon", slides / "first.png", slides / "second.png")
    return tmp_path / "Colon" / "project.qpproj"


@pytest.fixture
def shown(qupath, scripted, project, tmp_path):
    """Called: all objects of the project, by image and name."""

    def read():
        image = project.parent.parent / "slides" / "first.png"
        out = tmp_path / "dump.json"
        qupath.script(scripted("dump", DUMP), out, project=project, image=image.name)
        return {
            name: {one.get("name"): one for one in objects} for name, objects in json.loads(out.read_text()).items()
        }

    return read


@pytest.fixture
def sync(qupath, server, project):
    """Called: runs the installed script for the project; what it says of each image."""
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamSync.groovy")

    def run(*arguments):
        said = qupath.script(
            script, f"server={server.target}", "author=qupath:tester", *arguments, project=project, save=True
        )
        return {
            name: text
            for name, colon, text in (line.partition(": ") for line in said.splitlines())
            if name in {"first.png", "second.png"}
        }

    return run


def stored(client, slide_id):
    request = pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=slide_id))
    return {one.name: one for message in client.annotations.List(request) for one in message.annotations}


def save(client, **said):
    one = pb.Annotation(**said)
    client.annotations.Save(
        pb.AnnotationsSaveRequest(request_id=uuid.uuid4().hex, author="colleague", items=[pb.SaveItem(annotation=one)])
    )


def test_a_project_and_the_store_hold_the_same(client, slides, project, sync, shown, qupath, scripted):
    first = client.open_slide(str(slides / "first.png")).slide_id
    second = client.open_slide(str(slides / "second.png")).slide_id
    before = shown()
    save(client, id=str(uuid.uuid4()), slide_id=first, shape=area(500, 50, 600, 90), name="theirs")

    said = sync()
    assert "5 add to store" in said["first.png"]
    assert "1 add to project" in said["first.png"]
    assert said["second.png"] == "5 add to store, 0 unchanged."
    assert set(stored(client, first)) == {"parent", "child", "points", "line", "ellipse", "theirs"}
    assert set(stored(client, second)) == {"parent", "child", "points", "line", "ellipse"}
    child = stored(client, second)["child"]
    assert (child.author, child.path_class.name, dict(child.metadata)) == ("qupath:tester", "Tumor", {"note": "kept"})
    assert dict(child.measurements) == {"Score": 0.5}

    after = shown()
    theirs = after["first.png"].pop("theirs")
    assert shapely.from_wkt(theirs["wkt"]).equals(shapely.box(500, 50, 600, 90))
    # Nothing else has changed: hierarchy, locks, measurements, detections.
    assert after == before
    assert {one["kind"] for one in after["first.png"].values()} == {"annotation", "detection"}

    assert sync() == {"first.png": "nothing to do, 6 unchanged.", "second.png": "nothing to do, 5 unchanged."}

    # Both sides move on: an ellipse and a line here, a name there.
    qupath.script(scripted("edit", EDIT), project=project, image="first.png", save=True)
    there = stored(client, first)["points"]
    there.name = "renamed"
    save(client, **{field.name: value for field, value in there.ListFields() if field.name != "author"})
    assert "1 revise in store" in (said := sync()["first.png"])
    assert "1 delete in store" in said
    assert "1 update in project" in said
    assert set(stored(client, first)) == {"parent", "child", "renamed", "ellipse", "theirs"}
    assert stored(client, first)["ellipse"].author == "qupath:tester"
    assert set(shown()["first.png"]) == {"parent", "child", "renamed", "ellipse", "theirs", None}
    assert sync()["first.png"] == "nothing to do, 5 unchanged."

    # An ellipse that is not moved stays one, also when the store changes something else of it.
    there = stored(client, second)["ellipse"]
    there.name = "a name from the store"
    save(client, **{field.name: value for field, value in there.ListFields() if field.name != "author"})
    assert "1 update in project" in sync()["second.png"]
    assert shown()["second.png"]["a name from the store"]["roi"] == "Ellipse"

    # A shape that is not valid is repaired in the store, which is said in each sync.
    qupath.script(scripted("odd", ODD), project=project, image="second.png", save=True)
    for done in ("1 add to store, 5 unchanged. 1 left out: odd", "nothing to do, 6 unchanged. 1 left out: odd"):
        said = sync()["second.png"]
        assert said.startswith(done)
        assert said.endswith(
            "its shape is not valid, for example a hole outside its polygon: the store has it "
            "repaired, with 10000 square pixels, where QuPath counts 8400"
        )


REMOVE = """
import qupath.lib.objects.PathObjects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

def hierarchy = getCurrentImageData().getHierarchy()
def names = args[0].split(',').toList()
hierarchy.removeObjects(hierarchy.getAnnotationObjects().findAll { it.getName() in names }, true)
if (args.length > 1) {
    def one = PathObjects.createAnnotationObject(ROIs.createPolygonROI([20.3, 80.9, 50] as double[], [20, 21.7, 80] as double[], ImagePlane.getDefaultPlane()))
    one.setName(args[1])
    hierarchy.addObject(one)
}
getCurrentImageData().setChanged(true)
"""


@pytest.fixture
def command(project, tmp_path):
    """Called: runs `wsisam sync` for the first image; what it prints."""
    pytest.importorskip("paquo", reason="paquo is not installed here; pip install 'wsisam[sync]'", exc_type=ImportError)

    def run():
        report = project.parent / "report.json"
        store = tmp_path / "annotations.sqlite"
        words = ["sync", str(project), "--store", str(store), "--images", "first*", "--json", str(report)]
        # These tests' QuPath opened this project last; it has ended.
        done = CliRunner().invoke(main, [*words, "--even-if-open"])
        assert done.exit_code == 0, done.output
        (image,) = [image for image in json.loads(report.read_text())["images"] if image["name"] == "first.png"]
        assert image["problems"] == []
        return {action: count for action, count in image["counts"].items() if count and action != "unchanged"}

    return run


def test_both_ways_in_turn_on_one_project(client, slides, project, sync, shown, qupath, scripted, command):
    first = client.open_slide(str(slides / "first.png")).slide_id
    records = project.parent / "wsisam-sync" / "synced" / "1"

    def names():
        return {name for name, one in shown()["first.png"].items() if one["kind"] == "annotation"}

    def edit(gone, new=""):
        words = [",".join(gone), *([new] if new else [])]
        qupath.script(scripted("remove", REMOVE), *words, project=project, image="first.png", save=True)

    for name in ("a", "b", "c"):
        save(client, id=str(uuid.uuid4()), slide_id=first, shape=area(500, 50, 600, 90), name=name)
    assert "3 add to project" in sync()["first.png"]
    # One record: the other way finds nothing that is new to it, not even a digest.
    newest = max(records.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    before = newest.read_bytes()
    assert command() == {}
    assert annotations_of(before) == annotations_of(newest.read_bytes())
    # What the script brought into the project and was deleted there, the command does not bring back.
    edit(["a"], "drawn")
    assert command() == {"delete in store": 1, "add to store": 1}
    assert sync()["first.png"].startswith("nothing to do, 8 unchanged")
    # And the other way round.
    save(client, id=str(uuid.uuid4()), slide_id=first, shape=area(500, 50, 600, 90), name="d")
    there = stored(client, first)["b"]
    there.name = "renamed"
    save(client, **{field.name: value for field, value in there.ListFields() if field.name != "author"})
    assert command() == {"add to project": 1, "update in project": 1}
    edit(["d", "c", "drawn"])
    assert "3 delete in store" in sync()["first.png"]
    for run in (command, sync, command):
        run()
        assert names() == set(stored(client, first)) == {"parent", "child", "points", "line", "ellipse", "renamed"}


def annotations_of(record):
    (store,) = json.loads(record)["stores"].values()
    return store["annotations"]


AS_AT_FIRST = r"""
import com.google.gson.JsonParser

def data = getCurrentImageData()
def record = JsonParser.parseString(new File(args[0], "synced/1/${data.getProperty('wsisam.sync')}.json").text).getAsJsonObject()
def stores = record.getAsJsonObject('stores')
def store = stores.keySet().first()
def annotations = stores.getAsJsonObject(store).getAsJsonObject('annotations').entrySet()
def lines = annotations.collect { "${it.key} ${it.value.getAsJsonArray().get(0).getAsLong()}".toString() }
data.setProperty('wsisam.synced', ([store] + lines).join('\n'))
data.setProperty('wsisam.synced.image', "1\n${record.get('slide').getAsString()}".toString())
data.removeProperty('wsisam.sync')
def hierarchy = data.getHierarchy()
hierarchy.removeObject(hierarchy.getAnnotationObjects().find { it.getName() == 'line' }, true)
data.setChanged(true)
"""


@pytest.mark.parametrize("way", ["script", "command"])
def test_an_image_that_an_older_script_synced_is_carried_over(
    client, slides, project, sync, shown, qupath, scripted, command, way
):
    """The older WsiSamSync kept its record in a property of the image, without digests."""
    first = client.open_slide(str(slides / "first.png")).slide_id
    sync()
    kept = project.parent / "wsisam-sync"
    qupath.script(scripted("first", AS_AT_FIRST), kept, project=project, image="first.png", save=True)
    for folder in ("synced", "images", "slides"):
        shutil.rmtree(kept / folder, ignore_errors=True)
    if way == "script":
        assert sync()["first.png"].startswith("1 delete in store, 4 unchanged")
    else:
        assert command() == {"delete in store": 1}
    for again in (sync, command):
        again()
        assert "line" not in shown()["first.png"]
        assert set(stored(client, first)) == {"parent", "child", "points", "ellipse"}


def test_an_older_state_in_another_window_deletes_nothing(
    client, slides, project, sync, shown, qupath, scripted, command
):
    """What another QuPath had in memory is saved over what was drawn, saved and synced meanwhile."""
    first = client.open_slide(str(slides / "first.png")).slide_id
    sync()
    data = project.parent / "data/1/data.qpdata"
    older = data.read_bytes()
    for number, bring in enumerate((command, sync)):
        name = f"drawn {number}"
        qupath.script(scripted("draw", REMOVE), "nothing", name, project=project, image="first.png", save=True)
        bring()
        assert name in stored(client, first)
    data.write_bytes(older)
    sync()
    assert {"drawn 0", "drawn 1"} <= set(stored(client, first))
    said = sync("resolve=store")["first.png"]
    assert "conflict" not in said
    assert {"drawn 0", "drawn 1"} <= shown()["first.png"].keys()
    assert command() == {}
