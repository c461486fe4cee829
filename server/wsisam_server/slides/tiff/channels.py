"""What the channels of a TIFF file mean, by its own words: OME-XML, ImageJ's text, or the tags alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from wsisam_server.slides.tiff.pages import BLACK_IS_ZERO, MOST_PAGES, WHITE_IS_ZERO, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RGB: Final = (("red", "r"), ("green", "g"), ("blue", "b"))
_RGB_COLOURS: Final = (0xFF0000, 0x00FF00, 0x0000FF)
_NO_NAME = re.compile(r"(c|ch|channel)?[\W_]*\d*", re.IGNORECASE)
_QUPATHS_BITS: Final = 8
_LONGEST_XML: Final = 16 * 1024 * 1024


class ChannelsError(Exception):
    """The channels cannot be shown as red, green and blue without a guess; the text says why, for people."""


@dataclass(frozen=True)
class Channel:
    """What a file says about one channel. Name and colour (0xRRGGBB) may be unsaid."""

    name: str = ""
    colour: int | None = None


@dataclass(frozen=True)
class Stack:
    """What a file says about its first picture.

    Attributes:
        pages: of the top pages, those that hold the channels of the first plane; one, where a page holds them all.
        channels: one for each page; empty where nothing is said of them.
    """

    pages: tuple[int, ...]
    channels: tuple[Channel, ...] = ()


def described(pages: Sequence[Page]) -> Stack | None:
    """What the first page's text says; None where it is neither OME-XML nor ImageJ's.

    Raises:
        ChannelsError: the channels are in other files, or not there.
    """
    text = pages[0].description
    if "<OME" in text[:4096] or "<ome:OME" in text[:4096]:
        return _ome(text, len(pages))
    if text.startswith("ImageJ="):
        return _imagej(text, len(pages))
    return None


def planes(main: Page, pages: Sequence[Page]) -> tuple[Page, ...]:
    """The pages that together are one picture: one page, or three that hold red, green and blue.

    Args:
        main: the slide's page.
        pages: all top pages.

    Raises:
        ChannelsError: the page's samples or the pages are channels that are not red, green and blue.
    """
    stack = described(pages)
    if main.photometric not in {WHITE_IS_ZERO, BLACK_IS_ZERO}:
        if main.colour_samples == len(_RGB) and main.samples not in {3, 4}:
            raise ChannelsError(_not_rgb(main.samples))
        return (main,)
    if main.samples > 1:
        colours = main.samples - int(main.has_alpha)
        if colours > 1:
            _check_rgb([Channel()] * colours if stack is None else stack.channels, colours, main.bits)
        return (main,)
    if stack is not None and (main.number in stack.pages or len(stack.pages) == 1):
        if len(stack.pages) == 1:
            return (main,)
        _check_rgb(stack.channels, len(stack.pages), main.bits)
        found = tuple(pages[number] for number in stack.pages)
    else:
        found = tuple(page for page in pages if _is_like(page, main) and not page.is_reduced)
        if len(found) > 1:
            raise ChannelsError(
                f"its {len(found)} pages of grey are channels or planes of a stack, and the file does not say which"
            )
        return (main,)
    if not all(_is_like(page, main) for page in found):
        raise ChannelsError("its channels are pages of different sizes or kinds")
    return found


def _is_like(page: Page, other: Page) -> bool:
    return (page.size, page.samples, page.bits, page.photometric) == (
        other.size,
        other.samples,
        other.bits,
        other.photometric,
    )


def _not_rgb(count: int) -> str:
    return f"its {count} channels are not red, green and blue, as those of fluorescence"


def _check_rgb(channels: Sequence[Channel], count: int, bits: int) -> None:
    """Unnamed ones of 8 bits are taken as QuPath takes them: red, green and blue, in this order."""
    if count != len(_RGB) or (channels and len(channels) not in {1, 3}):
        raise ChannelsError(_not_rgb(count))
    three = tuple(channels) if len(channels) == len(_RGB) else (Channel(),) * 3
    if all(channel.colour is not None for channel in three):
        is_rgb = tuple(channel.colour for channel in three) == _RGB_COLOURS
    elif all(_NO_NAME.fullmatch(channel.name.strip()) for channel in three):
        is_rgb = bits <= _QUPATHS_BITS
    else:
        is_rgb = all(channel.name.strip().lower() in names for channel, names in zip(three, _RGB, strict=True))
    if not is_rgb:
        raise ChannelsError(_not_rgb(3))


def _imagej(text: str, count: int) -> Stack:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        channels, images = int(fields.get("channels", 1)), int(fields.get("images", 1))
    except ValueError:
        raise ChannelsError("its text about channels cannot be read") from None
    if channels > 1 and count < min(images, channels):
        raise ChannelsError(f"its {channels} channels are stored in a way that only ImageJ reads")
    return Stack(tuple(range(max(channels, 1))), (Channel(),) * max(channels, 1))


def _ome(text: str, count: int) -> Stack:
    try:
        if len(text) > _LONGEST_XML:
            raise ChannelsError("its OME-XML is longer than any that describes a slide")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ChannelsError("its OME-XML defines entities, which none that describes a slide does")
        root = ET.fromstring(text)  # noqa: S314 - as above
        # The largest picture is the slide; others are its label, its macro picture or a thumbnail.
        pixels = max((each for each in root.iter() if _name(each) == "Pixels"), key=_area)
        return _ome_stack(pixels, root.get("UUID"), count)
    except (ET.ParseError, ValueError, KeyError) as error:
        raise ChannelsError("its OME-XML cannot be read") from error


def _ome_stack(pixels: Any, uuid: str | None, count: int) -> Stack:
    sizes = {axis: max(int(pixels.get(f"Size{axis}", 1)), 1) for axis in "CZT"}
    named = [each for each in pixels if _name(each) == "Channel"]
    channels = [Channel(each.get("Name", ""), _colour(each.get("Color"))) for each in named]
    if sum(int(each.get("SamplesPerPixel", 1)) for each in named) != sizes["C"]:
        if sizes["C"] > MOST_PAGES:
            raise ChannelsError(_not_rgb(sizes["C"]))
        channels = [Channel()] * sizes["C"]
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in "CZT"]
    if sorted(order) != ["C", "T", "Z"]:
        raise ValueError(order)
    # Planes are numbered with the first axis of the order varying fastest; a page may hold several channels.
    lengths, strides, planes_there = {**sizes, "C": len(channels)}, {}, 1
    for axis in order:
        strides[axis] = planes_there
        planes_there *= lengths[axis]
    runs = list(_ome_runs(pixels, uuid, strides, planes_there))
    found = []
    for plane in (strides["C"] * channel for channel in range(len(channels))):
        page = next((page + plane - first for first, page, length in runs if first <= plane < first + length), -1)
        if not 0 <= page < count:
            raise ChannelsError("its channels are in other files than this one, as its OME-XML says")
        found.append(page)
    return Stack(tuple(found), tuple(channels))


def _ome_runs(
    pixels: Any, own: str | None, strides: dict[str, int], planes_there: int
) -> Iterator[tuple[int, int, int]]:
    """Runs of planes in this file: number of the first one, its page, and how many follow each other."""
    parts = [each for each in pixels if _name(each) == "TiffData"]
    if not parts:
        yield 0, 0, planes_there
    for part in parts:
        uuid = next((each.text for each in part if _name(each) == "UUID"), None)
        if uuid is None or own is None or uuid == own:
            first = sum(strides[axis] * int(part.get(f"First{axis}", 0)) for axis in "CZT")
            # OME's rule: without a count a part with a page is one plane, one without is all of them.
            length = int(part.get("PlaneCount", 1 if "IFD" in part.attrib else planes_there))
            yield first, int(part.get("IFD", 0)), length


def _colour(text: str | None) -> int | None:
    """OME's colours are signed 32-bit numbers 0xRRGGBBAA; -1, white, is what writers put who know none."""
    if text is None or int(text) == -1:
        return None
    return (int(text) & 0xFFFFFFFF) >> 8


def _area(pixels: Any) -> int:
    return int(pixels.get("SizeX", 0)) * int(pixels.get("SizeY", 0))


def _name(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]
