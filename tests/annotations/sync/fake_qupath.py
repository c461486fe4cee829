"""The double of the program in `wsisam_server.annotations.sync.runner`: the same requests and answers, on projects of `double`."""

import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path

import shapely

sys.path.insert(0, str(Path(__file__).parents[2]))

from annotations.sync import double
from wsisam_server.annotations.sync.runner import wire

KEPT_RECORD = ("wsisam.synced", "wsisam.synced.image")


class Program:
    def answer(self, request, data):
        return getattr(self, request["op"])(request, data)

    def _load(self, request):
        path = Path(request["data"])
        if not path.exists():
            return double.empty_data(), ""
        return double.read_data(path), hashlib.sha256(path.read_bytes()).hexdigest()

    def read(self, request, _):
        path = Path(request["data"])
        said, sha256 = self._load(request)
        stable = not sha256 or all(item["id"] for item in json.loads(path.read_bytes())["objects"])
        return self._contents(said, sha256, stable=stable)

    def areas(self, request, _):
        shapes = wire.Shapes()
        # What a border runs around twice is inside, too: nothing is cut out of it.
        areas = [shapely.make_valid(shapely.from_wkb(self.shown[one]), method="structure") for one in request["ids"]]
        return {"shapes": [shapes.add(shapely.to_wkb(area)) for area in areas]}, shapes.data()

    def write(self, request, data):
        said, sha256 = self._load(request)
        if sha256 != request["sha256"]:
            return {"problem": "changed", "text": ""}, b""
        shapes = wire.Shapes(data)
        double.remove(said, request["remove"])
        by_id = {item["id"]: item for item in said["objects"]}
        for update in request["update"]:
            self._describe(by_id[update["id"]], update, shapes)
        for add in request["add"]:
            item = double.new_object(id=add["id"])
            self._describe(item, add, shapes)
            said["objects"].append(item)
        said["properties"]["wsisam.sync"] = request["generation"]
        for name in KEPT_RECORD:
            said["properties"].pop(name, None)
        double.write_data(request["to"], said)
        written = double.read_data(request["to"])
        summary = {"hierarchy": {"nObjects": len(written["objects"]) + 1}}
        answer, shapes = self._contents(written, hashlib.sha256(Path(request["to"]).read_bytes()).hexdigest())
        return {**answer, "summary": summary}, shapes

    def _describe(self, item, said, shapes):
        if "shape" in said:
            item["shape"] = shapes.take(said["shape"]).hex()
        item.update({key: said[key] for key in ("name", "class", "rgb", "locked") if key in said})
        if "colour" in said:
            item["colour"] = None if said["colour"] is None else said["colour"] - 0x1000000
        for group, shown in (("measurements", repr), ("metadata", str)):
            for key, value in said.get(group, {}).items():
                if value is None:
                    item[group].pop(key, None)
                else:
                    item[group][key] = shown(value)

    def _contents(self, said, sha256, *, stable=True):
        shapes = wire.Shapes()
        self.shown = {item["id"]: bytes.fromhex(item["shape"]) for item in said["objects"]}
        annotations = []
        for item in said["objects"]:
            if item["kind"] != "annotation":
                continue
            numbers = {name: float(value) for name, value in item["measurements"].items()}
            found = {
                "id": item["id"],
                "name": item["name"],
                "class": item["class"],
                "rgb": item["rgb"],
                "colour": None if item["colour"] is None else item["colour"] & 0xFFFFFF,
                "locked": item["locked"],
                "measurements": {name: value for name, value in numbers.items() if math.isfinite(value)},
                "not_numbers": [name for name, value in numbers.items() if not math.isfinite(value)],
                "metadata": item["metadata"],
            }
            if item["plane"] == [0, 0]:
                found["shape"] = shapes.add(bytes.fromhex(item["shape"]))
            else:
                found["problem"] = (
                    f"it lies on plane z = {item['plane'][0]}, t = {item['plane'][1]}, not on the first one"
                )
            annotations.append(found)
        answer = {
            "annotations": annotations,
            "sha256": sha256,
            "generation": said["properties"].get("wsisam.sync"),
            "kept_record": [said["properties"].get(name, "") for name in KEPT_RECORD],
            "stable": stable,
        }
        return answer, shapes.data()


def main():
    if "--hang" in sys.argv:
        time.sleep(60)
    if "--problem" in sys.argv:
        wire.send(sys.stdout.buffer, {"problem": sys.argv[-1], "text": "as the test wants"})
        return
    wire.send(sys.stdout.buffer, {"qupath": "double"})
    program = Program()
    while (received := wire.receive(sys.stdin.buffer)) is not None:
        if "--crash" in sys.argv:
            sys.stderr.write("a fatal error was detected\n")
            sys.stderr.flush()
            os._exit(134)
        if "--stall" in sys.argv:
            time.sleep(60)
        try:
            answer, data = program.answer(*received)
        except double.UnreadableError as error:
            answer, data = {"problem": "unreadable", "text": str(error)}, b""
        wire.send(sys.stdout.buffer, answer, data)


if __name__ == "__main__":
    main()
