"""The whole way: find the slides, share them out, place windows, write files, and last the table that names them.

Each file is named after what is in it, and written whole. So whatever ended a run, the next one goes on where it was,
and a table of before stays true until the new one takes its place.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

import wsisam_server
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.shapes import polygonal
from wsisam_server.learning.dataset_export import splitting
from wsisam_server.learning.dataset_export.deidentified import deidentified, refuse_telling_folder
from wsisam_server.learning.dataset_export.errors import DatasetExportError
from wsisam_server.learning.dataset_export.labels import layers
from wsisam_server.learning.dataset_export.placing import place
from wsisam_server.learning.dataset_export.report import ExportReport
from wsisam_server.learning.dataset_export.writing import png, put, table
from wsisam_server.slides import read_in_parts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.annotations.formats.deidentifying import Deidentifier
    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide, AnnotationSet, LabelSource
    from wsisam_server.learning.dataset_export.labels import Layer
    from wsisam_server.learning.dataset_export.options import ExportOptions
    from wsisam_server.learning.dataset_export.placing import Placed
    from wsisam_server.learning.dataset_export.slides import SlideFinder
    from wsisam_server.learning.dataset_export.splitting import SplitRegion
    from wsisam_server.slides import Slide, SlideInfo

MANIFEST: Final = "manifest.csv"
LABELS: Final = "labels.csv"
RECORD: Final = "dataset.json"
IMAGES: Final = "images"
MASKS: Final = "masks"

_COLUMNS: Final = ("image", "mask", "mpp", "split", "slide", "x", "y", "downsample")
_LABEL_COLUMNS: Final = ("mask", "label", "annotation", "version", "class", "author", "model", "weights", "slide")

_NONE: Final = "there are no such annotations"
_NO_AREA: Final = "points and lines"
_OUTSIDE: Final = "outside their slide"
_TOO_SMALL: Final = "too small to cover a pixel"
_ACROSS: Final = "across the line between training and validation"
_DAMAGED: Final = "where the slide's file is damaged"
_TWICE: Final = "on a slide that is there twice, by the same id"


@dataclass(slots=True)
class _Slide:
    """A slide that was found.

    Attributes:
        source: how it is opened again.
        objects: polygons within it, by id.
    """

    source: AnnotatedSlide
    info: SlideInfo
    objects: dict[object, LabelSource] = field(default_factory=dict)


def make(
    annotation_set: AnnotationSet,
    finder: SlideFinder,
    out: Path,
    options: ExportOptions,
    progress: Callable[[int, int], None],
    deidentifier: Deidentifier | None = None,
) -> ExportReport:
    """Makes a data set, or goes on making it.

    Args:
        annotation_set: the slides and what is drawn on them.
        finder: opens slides.
        out: the folder to write to; made if it is not there.
        options: how it is wanted.
        progress: is called with how many of how many windows are done.
        deidentifier: takes out of all files what identifies; None to leave it in.

    Raises:
        DatasetExportError: there are no objects, a file cannot be written, or reading a slide fails. Where there are no
            objects any more, though no slide is missing, the tables of an earlier run are emptied.
    """
    report = ExportReport(out / MANIFEST)
    report.left_out.update(annotation_set.left_out)
    report.missing.update(annotation_set.missing)
    report.duplicates.update(annotation_set.duplicates)
    slides = _found(annotation_set, finder, options, report)
    writer = _Writer(out, report, options, deidentifier)
    if not slides:
        writer.finish(annotation_set.source)
    work = [
        (slide, region, place(region.objects, region.bounds, options.window, _finest(slide.info, options)))
        for slide, region in _shared_out(slides, options, report)
    ]
    total = sum(len(placed) for _, _, placed in work)
    done = 0
    for slide, region, windows in work:
        with closing(finder.open(slide.source)) as opened:
            report.slides[region.split] += 1
            for placed in windows:
                writer.write(opened, slide, region.split, placed)
                done += 1
                progress(done, total)
    writer.finish(annotation_set.source)
    return report


def _found(
    annotation_set: AnnotationSet, finder: SlideFinder, options: ExportOptions, report: ExportReport
) -> dict[str, _Slide]:
    """The slides that are here, by fingerprint, with the objects that can be used."""
    slides: dict[str, _Slide] = {}
    for source in annotation_set.slides:
        objects = _with_area(source.objects, report.left_out)
        if not objects:
            continue
        try:
            opened = finder.open(source)
        except DatasetExportError as error:
            report.missing[source.name] = str(error)
            continue
        info = opened.info
        opened.close()
        pixel_size = info.pixel_size(options.slide_mpp)
        if options.mpp is not None and pixel_size.mpp is None:
            report.missing[source.name] = "it does not say how large its pixels are, so it has no place at a given mpp"
            continue
        if info.axes is not None and not info.axes.are_square:
            report.notes.append(
                f"{source.name}: its pixels are {info.axes.x:g} microns wide and {info.axes.y:g} high; mpp is the mean"
            )
        if pixel_size.ignored_mpp is not None:
            report.notes.append(
                f"{source.name}: its file says {pixel_size.mpp:g} microns per pixel, which was used, not "
                f"{pixel_size.ignored_mpp:g}; one of them is wrong"
            )
        slide = slides.setdefault(info.fingerprint, _Slide(source, info))
        for one in _within(objects, info.size, report.left_out):
            if slide.objects.setdefault(one.id, one) is not one:
                report.left_out[_TWICE] += 1
    return {identity: slide for identity, slide in slides.items() if slide.objects}


def _with_area(objects: Iterable[LabelSource], left_out: Counter[str]) -> list[LabelSource]:
    found = []
    for one in objects:
        if one.shape.area > 0:
            found.append(one)
        else:
            left_out[_NO_AREA] += 1
    return found


def _within(objects: Iterable[LabelSource], size: SlideSize, left_out: Counter[str]) -> Iterable[LabelSource]:
    """Objects, cut at their slide's border."""
    border = shapely.box(0, 0, size.width, size.height)
    for one in objects:
        if border.covers(shapely.box(*one.shape.bounds)):
            yield one
            continue
        inside = polygonal(shapely.intersection(one.shape, border))
        if inside.is_empty:
            left_out[_OUTSIDE] += 1
        else:
            yield replace(one, shape=inside)


def _shared_out(
    slides: dict[str, _Slide], options: ExportOptions, report: ExportReport
) -> Iterable[tuple[_Slide, SplitRegion]]:
    """Each slide, or each part of one, with its split."""
    if len(slides) == 1:
        return _one_slide(next(iter(slides.values())), options, report)
    names = {identity: slide.source.name for identity, slide in slides.items()}
    chosen = splitting.validating(splitting.cases(names, options.case), options.val, options.seed)
    if options.val and not chosen:
        raise DatasetExportError(
            f"all {len(slides)} slides are of one case, so none can validate. Leave out the pattern for cases to split "
            "by slide, or make the data set without validation (--val 0)"
        )
    return [
        (
            slide,
            splitting.whole(splitting.VAL if identity in chosen else splitting.TRAIN, slide.info.size, _objects(slide)),
        )
        for identity, slide in slides.items()
    ]


def _one_slide(slide: _Slide, options: ExportOptions, report: ExportReport) -> list[tuple[_Slide, SplitRegion]]:
    regions, across = splitting.divided(slide.info.size, _objects(slide), options.val)
    if across:
        report.left_out[_ACROSS] += across
    if len(regions) > 1:
        report.notes.append(
            "there is one slide only, so it was divided into two regions: what is measured on the second says less of "
            "other slides than a slide of its own would"
        )
    elif options.val:
        report.notes.append(
            "there is one slide only, and no straight line with objects on both sides: nothing validates"
        )
    return [(slide, region) for region in regions]


def _objects(slide: _Slide) -> list[LabelSource]:
    return list(slide.objects.values())


def _finest(info: SlideInfo, options: ExportOptions) -> float:
    """Downsample of the windows; never below 1, for a slide has no more than it has."""
    mpp = info.pixel_size(options.slide_mpp).mpp
    return 1.0 if options.mpp is None or mpp is None else max(options.mpp / mpp, 1.0)


class _Writer:
    """Writes windows, and remembers what the tables have to say of them."""

    def __init__(
        self, out: Path, report: ExportReport, options: ExportOptions, deidentifier: Deidentifier | None
    ) -> None:
        if deidentifier is not None:
            refuse_telling_folder(out, (IMAGES, MASKS), RECORD)
        self._deidentifier = deidentifier
        self._out = out
        self._report = report
        self._options = options
        self._rows: list[tuple[object, ...]] = []
        self._labels: list[tuple[object, ...]] = []
        self._slides: dict[str, dict[str, Any]] = {}

    def write(self, opened: Slide, slide: _Slide, split: str, placed: Placed) -> None:
        """Writes a window's image and its label images."""
        drawn, empty = layers(placed)
        if empty:
            self._report.left_out[_TOO_SMALL] += len(empty)
        if not drawn:
            return
        info, window = slide.info, placed.window
        stem, slide_id = f"{_plain(slide.source.name)}-{info.fingerprint[:8]}", info.fingerprint
        if self._deidentifier is not None:
            stem = slide_id = self._deidentifier.slide(info.fingerprint)
        name = (
            f"{stem}/x{_number(window.x)}-y{_number(window.y)}-d{_number(window.downsample)}-{placed.width}x"
            f"{placed.height}"
        )
        image = f"{IMAGES}/{name}.png"
        try:
            self._put(
                image, lambda: np.ascontiguousarray(read_in_parts(opened.read, window)[: placed.height, : placed.width])
            )
        except WsiSamServerError:
            self._report.left_out[_DAMAGED] += len(placed.objects) - len(empty)
            return
        slide_mpp = info.pixel_size(self._options.slide_mpp).mpp
        mpp = "" if slide_mpp is None else f"{slide_mpp * window.downsample:.6g}"
        for layer in drawn:
            mask = f"{MASKS}/{name}-{_digest(layer)}.png"
            self._put(mask, partial(_labels_of, layer))
            place = (slide_id, _number(window.x), _number(window.y), _number(window.downsample))
            self._rows.append((image, mask, mpp, split, *place))
            self._labels += [
                (mask, number, *self._identity(one), one.model, one.weights_hash, place[0])
                for number, one in enumerate(layer.objects, 1)
            ]
            self._report.label_images[split] += 1
            self._report.objects[split] += len(layer.objects)
        self._report.windows[split] += 1
        self._slides[slide_id] = {
            "name": slide.source.name if self._deidentifier is None else slide_id,
            "uris": list(slide.source.uris) if self._deidentifier is None else [],
            "size": [info.size.width, info.size.height],
            "mpp": slide_mpp,
        }

    def _identity(self, one: LabelSource) -> tuple[object, ...]:
        """Id, version, class and author of a label's source."""
        told = self._deidentifier
        if told is None:
            return one.id, one.version, one.class_name, one.author
        return told.id(one.id), told.version(one.version), one.class_name, told.author(one.author)

    def finish(self, source: dict[str, Any]) -> None:
        """Writes the tables, the manifest last: what it names is there.

        Raises:
            DatasetExportError: they are empty.
        """
        outdated = (self._out / MANIFEST).exists() and not self._report.missing and not self._report.left_out[_DAMAGED]
        if self._rows or outdated:
            self._write_tables(source)
        if not self._rows:
            nothing = "there is nothing to make a data set of" if self._report.left_out else _NONE
            what = f"the manifest of an earlier run, {self._out / MANIFEST}, is now an empty one"
            what = what if outdated else "nothing was written"
            raise DatasetExportError("; ".join([nothing, *_reasons(self._report), what]))

    def _write_tables(self, source: dict[str, Any]) -> None:
        put(self._out / LABELS, table(_LABEL_COLUMNS, self._labels))
        record = {
            "wsisam": wsisam_server.__version__,
            "source": source,
            "options": asdict(self._options),
            "slide_files": self._slides,
            **self._report.as_json(),
        }
        if self._deidentifier is not None:
            record = deidentified(record, self._deidentifier)
        put(self._out / RECORD, json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")
        put(self._out / MANIFEST, table(_COLUMNS, self._rows))
        named = {name for row in self._rows for name in row[:2]}
        there = {
            path.relative_to(self._out).as_posix()
            for folder in (IMAGES, MASKS)
            for path in (self._out / folder).rglob("*")
            if path.is_file()
        }
        self._report.unnamed = len(there - named)

    def _put(self, name: str, pixels: Callable[[], Any]) -> None:
        path = self._out / name
        if path.is_file():
            self._report.reused += 1
        else:
            put(path, png(pixels()))


def _reasons(report: ExportReport) -> list[str]:
    missing = [f"{name}: {why}" for name, why in (*report.missing.items(), *report.duplicates.items())]
    return missing + [f"{count} annotations are {why}" for why, count in report.left_out.items()]


def _labels_of(layer: Layer) -> NDArray[np.uint16]:
    return layer.labels


def _digest(layer: Layer) -> str:
    return hashlib.sha256(layer.labels.tobytes()).hexdigest()[:12]


def _plain(name: str) -> str:
    """A name as a folder may have it."""
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
    return kept[:80].strip(".") or "slide"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.4f}"
