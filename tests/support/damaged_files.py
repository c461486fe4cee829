"""Files of annotations of which each breaks one thing: by its number, always the same."""

import copy
import json
import random
import uuid
from dataclasses import dataclass

JUNK = [
    None, "", " ", "text", "-", "1,5", "#", "#F00", "null", "false", "\0", "\ud83d", "{", "[1", '{"a": 1}', 0, -1, 1.5, 10**30,
    10**400, 1e308, float("nan"), float("inf"), True, False, [], {}, [[]], [None], [{}], [[[[[]]]]], {"name": None}, {"type": None},
    {"type": "Polygon"}, {"type": "Polygon", "coordinates": [[[0, 0]]]}, {"type": "Circle", "coordinates": []}, [1], [1, 2, 3],
    [[0, 0], [0, 0], [0, 0]], [[0, 0], [9, 9], [9, 0], [0, 9]], "x" * 70_000, "Feature", "root", "detection",
]  # fmt: skip


@dataclass
class Damaged:
    """A file, how many objects it has (None: the whole file is broken), and the names of those that are as they were."""

    data: bytes
    objects: int | None
    good: set[str]


def made(number):
    """One of any number of files: of GeoJSON, of ASAP's XML, or of bytes that are damaged."""
    dice = random.Random(number)
    return dice.choice([_geojson, _geojson, _geojson, _asap, _bytes])(dice)


def _ring(dice):
    x, y = dice.randint(0, 800), dice.randint(0, 600)
    return [[x, y], [x + 50, y], [x + 50, y + 40.5], [x, y + 40.5], [x, y]]


def _feature(dice, number):
    return {
        "type": "Feature",
        "id": str(uuid.UUID(int=dice.getrandbits(128))),
        "geometry": {"type": "Polygon", "coordinates": [_ring(dice)]},
        "properties": {
            "objectType": "annotation",
            "name": f"a{number}",
            "isLocked": False,
            "color": [1, 2, 3],
            "classification": {"name": "Tumor", "color": [200, 0, 0]},
            "measurements": {"Area": 2000.5},
            "metadata": {"key": "value"},
        },
    }


def _places(value, path=()):
    """All places in JSON below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key)
        yield from _places(one, (*path, key))


def _geojson(dice):
    features = [_feature(dice, number) for number in range(dice.randint(2, 4))]
    broken = dice.randrange(len(features))
    objects = len(features)
    *way, last = dice.choice(list(_places(features[broken])))
    holder = features[broken]
    for key in way:
        holder = holder[key]
    kind = dice.random()
    if kind < 0.15:
        del holder[last]
    elif kind < 0.3:  # the same again, one more or the other way round
        holder[last] = [holder[last], copy.deepcopy(holder[last])]
    else:
        holder[last] = copy.deepcopy(dice.choice(JUNK))
    said = features[broken].get("properties")
    if isinstance(said, dict) and said.get("objectType") == "root":
        objects -= 1  # it only holds others
    good = {f"a{number}" for number in range(len(features))} - {f"a{broken}"}
    wrapped = {"type": "FeatureCollection", "features": features}
    return Damaged(json.dumps(dice.choice([features, wrapped])).encode(), objects, good)


def _asap(dice):
    count = dice.randint(2, 4)
    broken = dice.randrange(count)
    value = dice.choice(["", "text", "-1", "1,5", "1e999", "nan", "#", "None", "0x10", None])
    touched = dice.choice(["Type", "PartOfGroup", "X", "Y", "Order", "Color"])
    parts = []
    for number in range(count):
        said = {"Name": f"a{number}", "Type": "Polygon", "PartOfGroup": "G", "Color": "#F4FA58"}
        marks = [{"Order": str(n), "X": str(x), "Y": str(y)} for n, (x, y) in enumerate(_ring(dice)[:4])]
        if number == broken:
            target = said if touched in said else dice.choice(marks)
            target.update({touched: value}) if value is not None else target.pop(touched)
        lines = "".join(f"<Coordinate {_attributes(mark)}/>" for mark in marks)
        parts.append(f"<Annotation {_attributes(said)}><Coordinates>{lines}</Coordinates></Annotation>")
    group = f'<Group Name="G" Color="{dice.choice(["#64FE2E", "#", "#GG0000", "red"])}"/>'
    text = (
        f"<ASAP_Annotations><Annotations>{''.join(parts)}</Annotations><AnnotationGroups>{group}</AnnotationGroups>"
        "</ASAP_Annotations>"
    )
    return Damaged(text.encode(), count, {f"a{number}" for number in range(count)} - {f"a{broken}"})


def _attributes(said):
    return " ".join(f'{key}="{value}"' for key, value in said.items())


def _bytes(dice):
    """A file that was cut off, or in which a byte flipped."""
    data = bytearray(dice.choice([_geojson, _asap])(dice).data)
    if dice.random() < 0.5:
        return Damaged(bytes(data[: dice.randrange(len(data))]), None, set())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return Damaged(bytes(data), None, set())
