"""A real QuPath, a real server, and a project with a slide of discs and a box about each of them."""

import json
import shutil

import pytest
import shapely
from PIL import Image

from support.qupath_program import qupath_or_skip
from support.server import picture, start
from wsisam_model import WsiSam

MAKE_PROJECT = """
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.projects.Projects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
import java.awt.image.BufferedImage

def project = Projects.createProject(new File(args[0]), BufferedImage)
args[1..-1].each { path ->
    def entry = project.addImage(ImageServerProvider.getPreferredUriImageSupport(BufferedImage, path).getBuilders()[0])
    entry.setImageName(new File(path).getName())
    def data = entry.readImageData()
    data.setImageType(qupath.lib.images.ImageData.ImageType.OTHER)
    def box = { x, y, r, name, className, locked ->
        def roi = ROIs.createRectangleROI(x - r, y - r, 2 * r, 2 * r, ImagePlane.getDefaultPlane())
        def one = PathObjects.createAnnotationObject(roi, PathClass.fromString(className))
        one.setName(name)
        one.setLocked(locked)
        data.getHierarchy().addObject(one)
    }
    box(200, 200, 66, 'a', 'Tumor', false)
    box(600, 250, 96, 'b', 'Tumor', true)
    box(350, 520, 51, 'c', 'Stroma', false)
    entry.saveImageData(data)
}
project.syncChanges()
"""

DUMP = """
import qupath.lib.io.GsonTools

def objects = getAnnotationObjects().collect {
    [id: it.getID().toString(), name: it.getName(), className: it.getPathClass()?.toString(), wkt: it.getROI().getGeometry().toText(),
     kind: it.getROI().getRoiName(), metadata: new TreeMap(it.getMetadata())]
}
def steps = getCurrentImageData().getHistoryWorkflow().getSteps().findAll { it.getName().startsWith('WSI-SAM') }.collect {
    [name: it.getName(), script: it.getScript()]
}
new File(args[0]).text = GsonTools.getInstance().toJson([objects: objects, steps: steps])
"""


@pytest.fixture(scope="session")
def qupath(tmp_path_factory):
    return qupath_or_skip(tmp_path_factory.mktemp("qupath"))


@pytest.fixture(scope="session")
def server(qupath, tmp_path_factory):
    """A server that can open the slide of discs; only where there is a QuPath."""
    root = tmp_path_factory.mktemp("slides")
    Image.fromarray(picture()).save(root / "discs.png")
    running, stop = start(WsiSam.from_name("wsisam-lite"), root)
    yield running
    stop()


@pytest.fixture(scope="session")
def make_project(qupath, tmp_path_factory):
    """Called: a project of these images with a box about each disc; b is locked. Its folder."""
    script = tmp_path_factory.mktemp("script") / "make.groovy"
    script.write_text(MAKE_PROJECT)

    def make(*images):
        folder = tmp_path_factory.mktemp("project")
        qupath.script(script, folder, *images)
        return folder

    return make


@pytest.fixture(scope="session")
def boxes(make_project, server):
    """A project of one image. Copied, never changed."""
    return make_project(server.root / "discs.png")


@pytest.fixture
def project(boxes, tmp_path):
    """A project with boxes, to change."""
    return shutil.copytree(boxes, tmp_path / "project") / "project.qpproj"


@pytest.fixture(scope="session")
def dump(qupath, tmp_path_factory):
    """Called: the annotations that are saved for a project's only image, or one by name, and the steps that we recorded."""
    folder = tmp_path_factory.mktemp("dump")
    script, out = folder / "dump.groovy", folder / "dump.json"
    script.write_text(DUMP)

    def read(project, image=None):
        qupath.script(script, out, project=project, image=image)
        content = json.loads(out.read_text())
        for one in content["objects"]:
            one["geometry"] = shapely.from_wkt(one["wkt"])
        return {one.get("name"): one for one in content["objects"]}, content["steps"]

    return read


@pytest.fixture(scope="session")
def drawn(boxes, dump):
    """The boxes, by name."""
    annotations, steps = dump(boxes / "project.qpproj")
    assert steps == []
    return annotations
