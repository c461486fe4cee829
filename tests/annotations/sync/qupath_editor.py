"""What a person does in QuPath, done through paquo: a program of its own, since a process has one Java and one QuPath.

Requests on standard input, answers on standard output, framed as the product's own. It saves as QuPath saves, and shows
what QuPath reads: nothing of the product's way to read and write data files is used here.
"""

import os
import sys
import traceback
from pathlib import Path

from wsisam_server.annotations.sync.runner import wire

answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

try:
    from paquo.images import QuPathImageType
    from paquo.java import JClass, qupath_version
    from paquo.projects import QuPathProject
except Exception as error:  # noqa: BLE001 - whoever started this tells it
    wire.send(answers, {"error": f"{type(error).__name__}: {error}"})
    sys.exit()

java = JClass
String = java("java.lang.String")


def roi(wkb):
    geometry = java("org.locationtech.jts.io.WKBReader")().read(bytes.fromhex(wkb))
    return java("qupath.lib.roi.GeometryTools").geometryToROI(
        geometry, java("qupath.lib.regions.ImagePlane").getDefaultPlane()
    )


def describe(item, said):
    if "shape" in said:
        item.setROI(roi(said["shape"]))
    if "name" in said:
        item.setName(said["name"])
    if "class" in said:
        name = said["class"]
        item.resetPathClass() if name is None else item.setPathClass(
            java("qupath.lib.objects.classes.PathClass").fromString(name)
        )
    for name, value in said.get("measurements", {}).items():
        item.getMeasurementList().put(name, float(value))
    for key, text in said.get("metadata", {}).items():
        item.getMetadata().put(key, text)
    if "colour" in said:
        item.setColor(java("java.lang.Integer")(said["colour"]))
    if "locked" in said:
        item.setLocked(said["locked"])


class Editor:
    def __init__(self):
        self.open_images = {}

    def version(self):
        return str(qupath_version)

    def create(self, folder, slides):
        with QuPathProject(folder, "x") as project:
            for slide in slides:
                project.add_image(slide, image_type=QuPathImageType.BRIGHTFIELD_H_E, allow_duplicates=True)
        return f"{folder}/project.qpproj"

    def _entry(self, project, image):
        opened = QuPathProject(project, "r").java_object
        return next(entry for entry in opened.getImageList() if str(entry.getID()) == image)

    def _edited(self, project, image, edit):
        entry = self._entry(project, image)
        data = entry.readImageData()
        result = edit(data.getHierarchy(), data)
        entry.saveImageData(data)
        return result

    def _find(self, hierarchy, one):
        found = {str(item.getID()): item for item in hierarchy.getAllObjects(False)}  # noqa: FBT003 - Java has no names
        return found[one]

    def draw(self, project, image, said):
        def edit(hierarchy, _):
            plane = said.get("plane")
            shape = roi(said["shape"])
            if plane:
                shape = shape.updatePlane(java("qupath.lib.regions.ImagePlane").getPlane(*plane))
            item = java("qupath.lib.objects.PathObjects").createAnnotationObject(shape)
            if "id" in said:
                item.setID(java("java.util.UUID").fromString(said["id"]))
            describe(item, {key: value for key, value in said.items() if key != "shape"})
            hierarchy.addObject(item)
            return str(item.getID())

        return self._edited(project, image, edit)

    def edit(self, project, image, one, said):
        self._edited(project, image, lambda hierarchy, _: describe(self._find(hierarchy, one), said))

    def delete(self, project, image, ones):
        def edit(hierarchy, _):
            items = java("java.util.ArrayList")([self._find(hierarchy, one) for one in ones])
            hierarchy.removeObjects(items, True)  # noqa: FBT003 - Java has no names

        self._edited(project, image, edit)

    def furnish(self, project, image, parent):
        """Everything that is not ours: a cell and a child below an annotation, TMA cores, steps, properties."""

        def edit(hierarchy, data):
            objects, rois = java("qupath.lib.objects.PathObjects"), java("qupath.lib.roi.ROIs")
            plane = java("qupath.lib.regions.ImagePlane").getDefaultPlane()
            above = self._find(hierarchy, parent)
            cell = objects.createDetectionObject(
                rois.createRectangleROI(20, 20, 5, 5, plane),
                java("qupath.lib.objects.classes.PathClass").fromString("Cell"),
            )
            cell.getMeasurementList().put("Nucleus: Area", 12.5)
            cell.getMeasurementList().put("Nothing", float("nan"))
            above.addChildObject(cell)
            core = objects.createTMACoreObject
            cores = java("java.util.ArrayList")(
                [core(500, 500, 100, False), core(700, 500, 100, True)]  # noqa: FBT003 - as above
            )
            hierarchy.setTMAGrid(java("qupath.lib.objects.hierarchy.DefaultTMAGrid").create(cores, 2))
            step = java("qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep")("by hand", String("print 1"))
            data.getHistoryWorkflow().addStep(step)
            data.setProperty(String("of the user"), String("kept"))

        self._edited(project, image, edit)

    def poison(self, project, image):
        """A GString in a workflow step: what is saved so cannot be read again."""

        def edit(_, data):
            shell = java("groovy.lang.GroovyShell")()
            value = shell.evaluate(String('def a = 1; "x${a}"'))
            parameters = java("java.util.HashMap")()
            parameters.put(String("k"), value)
            make = java("qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep")
            data.getHistoryWorkflow().addStep(make(String("bad"), parameters, String("text")))

        self._edited(project, image, edit)

    def forget_ids(self, project, image):
        """As QuPath before 0.4 saved: without ids in the place where they are looked for."""
        path = Path(project).parent / "data" / image / "data.qpdata"
        data = path.read_bytes()
        assert b"Object ID" in data
        path.write_bytes(data.replace(b"Object ID", b"Object iD"))

    def open(self, project, image):
        """Opens an image and keeps it open."""
        entry = self._entry(project, image)
        self.open_images[project, image] = entry, entry.readImageData()

    def save_open(self, project, image, said):
        """Draws something on an image that has been open for a while, and saves it."""
        entry, data = self.open_images.pop((project, image))
        item = java("qupath.lib.objects.PathObjects").createAnnotationObject(roi(said["shape"]))
        data.getHierarchy().addObject(item)
        entry.saveImageData(data)
        return str(item.getID())

    def dump(self, project, image):
        """What QuPath finds when it opens the image."""
        data = self._entry(project, image).readImageData()
        hierarchy = data.getHierarchy()
        write = java("org.locationtech.jts.io.WKBWriter")(2).write
        items = []
        for item in hierarchy.getAllObjects(False):  # noqa: FBT003 - Java has no names
            path_class, measured = item.getPathClass(), item.getMeasurementList()
            items.append(
                {
                    "id": str(item.getID()),
                    "kind": str(item.getClass().getSimpleName()),
                    "parent": str(item.getParent().getID()) if item.getLevel() > 1 else None,
                    "shape": bytes(write(item.getROI().getGeometry())).hex(),
                    "roi": str(item.getROI().getClass().getSimpleName()),
                    "name": None if item.getName() is None else str(item.getName()),
                    "class": None if path_class is None or path_class.getName() is None else str(path_class),
                    "colour": None if item.getColor() is None else int(item.getColor()),
                    "locked": bool(item.isLocked()),
                    "measurements": {
                        str(name): repr(float(measured.get(name))) for name in measured.getMeasurementNames()
                    },
                    "metadata": {str(key): str(text) for key, text in item.getMetadata().items()},
                }
            )
        grid = hierarchy.getTMAGrid()
        return {
            "objects": items,
            "cores": 0 if grid is None else int(grid.nCores()),
            "type": str(data.getImageType()),
            "stains": str(data.getColorDeconvolutionStains()),
            "steps": [str(step) for step in data.getHistoryWorkflow().getSteps()],
            "properties": {str(key): str(value) for key, value in data.getProperties().items()},
        }


def main():
    wire.send(answers, {"version": str(qupath_version)})
    editor = Editor()
    while (received := wire.receive(sys.stdin.buffer)) is not None:
        request, _ = received
        try:
            wire.send(answers, {"result": getattr(editor, request["call"])(*request["arguments"])})
        except Exception as error:  # noqa: BLE001 - the test tells it
            traceback.print_exc()
            wire.send(answers, {"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
