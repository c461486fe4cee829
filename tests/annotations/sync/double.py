"""A double of QuPath: projects as folders of JSON, and a person who edits them.

It keeps what the product must reckon with: polygons without holes as 32-bit floats, ids that are not saved, files that cannot be read, properties that survive a save, a workflow that grows. `contract` holds it to QuPath.
"""

import json
import uuid
from pathlib import Path

import numpy as np
import shapely
from PIL import Image


class UnreadableError(Exception):
    """QuPath cannot read a data file."""


def kept(shape):
    """A shape as QuPath keeps it."""
    if shape.geom_type == "Polygon" and not shape.interiors:
        shape = shapely.transform(shape, lambda xy: xy.astype(np.float32).astype(np.float64))
    return shape


def new_object(kind="annotation", **said):
    return {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "parent": None,
        "shape": None,
        "name": None,
        "class": None,
        "rgb": None,
        "colour": None,
        "locked": False,
        "measurements": {},
        "metadata": {},
        "plane": [0, 0],
        **said,
    }


def empty_data():
    return {"type": "Not set", "stains": "", "steps": [], "properties": {}, "cores": 0, "objects": []}


def read_data(path):
    """A data file as QuPath reads it."""
    try:
        said = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise UnreadableError("the file is damaged") from error
    if "poisoned" in said:
        raise UnreadableError("InvalidClassException: filter status: REJECTED")
    for item in said["objects"]:
        if item["id"] is None:
            item["id"] = str(uuid.uuid4())
    return said


def write_data(path, said):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    for item in said["objects"]:
        item["shape"] = shapely.to_wkb(kept(shapely.from_wkb(item["shape"])), hex=True)
    Path(path).write_text(json.dumps(said))


class Editor:
    """A person with QuPath."""

    def __init__(self):
        self._open = {}

    def create(self, folder, slides):
        folder = Path(folder)
        folder.mkdir()
        images = []
        for number, slide in enumerate(slides, start=1):
            with Image.open(slide) as opened:
                width, height = opened.size
            builder = {
                "builderType": "uri",
                "uri": Path(slide).as_uri(),
                "args": [],
                "metadata": {"width": width, "height": height},
            }
            images.append({"serverBuilder": builder, "entryID": number, "imageName": Path(slide).name})
            write_data(folder / "data" / str(number) / "data.qpdata", {**empty_data(), "type": "Brightfield (H&E)"})
            (folder / "data" / str(number) / "summary.json").write_text('{"timestamp":1,"hierarchy":{"nObjects":1}}')
        project = folder / "project.qpproj"
        project.write_text(json.dumps({"uri": project.as_uri(), "images": images}))
        return str(project)

    def _path(self, project, image):
        return Path(project).parent / "data" / image / "data.qpdata"

    def _edited(self, project, image, edit):
        said = self._load(project, image)
        result = edit(said)
        self._save(project, image, said)
        return result

    def _load(self, project, image):
        path = self._path(project, image)
        if not path.exists():
            return empty_data()
        try:
            said = read_data(path)
        except UnreadableError:
            return empty_data()
        said["steps"] = ["Set image type", *said["steps"]]
        return said

    def _save(self, project, image, said):
        said["properties"]["PROJECT_ENTRY_ID"] = f"{project}::{image}"
        write_data(self._path(project, image), said)

    def draw(self, project, image, said):
        item = new_object()
        self._describe(item, said)
        self._edited(project, image, lambda data: data["objects"].append(item))
        return item["id"]

    def _describe(self, item, said):
        if item["shape"] not in (None, said.get("shape", item["shape"])):
            item["measurements"] = {}
        item.update({key: value for key, value in said.items() if key not in ("measurements", "metadata")})
        item["measurements"] = {
            **item["measurements"],
            **{key: repr(value) for key, value in said.get("measurements", {}).items()},
        }
        item["metadata"] = {**item["metadata"], **said.get("metadata", {})}
        if "class" in said:
            item["rgb"] = None if said["class"] is None else 0xC80000

    def edit(self, project, image, one, said):
        def edit(data):
            (item,) = [item for item in data["objects"] if item["id"] == one]
            self._describe(item, said)

        self._edited(project, image, edit)

    def delete(self, project, image, ones):
        def edit(data):
            remove(data, ones)

        self._edited(project, image, edit)

    def furnish(self, project, image, parent):
        def edit(data):
            square = shapely.to_wkb(shapely.box(20, 20, 25, 25), hex=True)
            cell = {
                "parent": parent,
                "shape": square,
                "class": "Cell",
                "measurements": {"Nucleus: Area": "12.5", "Nothing": "nan"},
            }
            data["objects"].append(new_object("detection", **cell))
            data["objects"] += [new_object("core", shape=square), new_object("core", shape=square)]
            data["cores"] = 2
            data["steps"].append("by hand")
            data["properties"]["of the user"] = "kept"

        self._edited(project, image, edit)

    def poison(self, project, image):
        self._edited(project, image, lambda data: data.update(poisoned=True))

    def forget_ids(self, project, image):
        self._edited(project, image, lambda data: [item.update(id=None) for item in data["objects"]])

    def open(self, project, image):
        self._open[project, image] = self._load(project, image)

    def save_open(self, project, image, said):
        data = self._open.pop((project, image))
        item = new_object(**said)
        data["objects"].append(item)
        self._save(project, image, data)
        return item["id"]

    def dump(self, project, image):
        said = self._load(project, image)
        return {
            **said,
            "objects": [{key: value for key, value in item.items() if key != "plane"} for item in said["objects"]],
        }


def remove(data, ones):
    """Removes objects; their children move up."""
    parents = {item["id"]: item["parent"] for item in data["objects"]}
    data["objects"] = [item for item in data["objects"] if item["id"] not in ones]
    for item in data["objects"]:
        while item["parent"] in ones:
            item["parent"] = parents[item["parent"]]
