"""Files as they come: of any kind, in any encoding, packed."""

import gzip
import io
import json
import struct
import zipfile

import pytest

from wsisam_server.annotations.formats import FormatError, FrameError, archives, reading

POINT = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {"name": "Drüse"}}
TEXT = json.dumps(POINT, ensure_ascii=False)
ASAP = "<ASAP_Annotations><Annotations/></ASAP_Annotations>"


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_geojson_in_any_encoding_of_unicode(encoding):
    (draft,) = reading.read(TEXT.encode(encoding), "s").drafts
    assert draft.content.name == "Drüse"


def test_geojson_in_no_encoding_of_unicode():
    with pytest.raises(FormatError, match="save it as UTF-8"):
        reading.read(TEXT.encode("cp1252"), "s")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_kind_is_told_by_what_is_in_it(encoding):
    for text in (ASAP, "\n <Annotations/>"):
        assert reading.read(text.encode(encoding), "s", origin=lambda: (0, 0)).drafts == []
    with pytest.raises(FormatError, match="neither ASAP nor ImageScope"):
        reading.read("<html/>".encode(encoding), "s", origin=lambda: (0, 0))


@pytest.mark.parametrize(("text", "program"), [(ASAP, "ASAP"), ("<Annotations/>", "ImageScope")])
def test_a_format_of_the_whole_frame_needs_to_know_where_the_slide_begins(text, program):
    with pytest.raises(FrameError, match=f"{program} counts from the corner"):
        reading.read(text.encode(), "s")


def test_a_file_that_is_not_packed_is_itself():
    assert archives.unpacked(b"{}") == [archives.ArchiveMember("", b"{}")]
    assert archives.unpacked(b"") == [archives.ArchiveMember("", b"")]


def test_packed_files():
    packed = gzip.compress(TEXT.encode())
    assert archives.unpacked(packed) == [archives.ArchiveMember("", TEXT.encode())]
    found = archives.unpacked(
        zipped(
            {
                "a.geojson": TEXT,
                "b.xml": ASAP,
                "c.geojson.gz": packed,
                "picture.png": "x",
                "__MACOSX/a.geojson": "x",
                "d/e.json": TEXT,
            }
        )
    )
    assert [part.name for part in found] == ["a.geojson", "b.xml", "c.geojson.gz", "d/e.json"]
    assert all(part.data in {TEXT.encode(), ASAP.encode()} for part in found)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (gzip.compress(TEXT.encode())[:-9], "damaged"),
        (b"\x1f\x8bnonsense", "damaged"),
        (zipped({"a.geojson": TEXT})[:-9], "damaged"),
        (zipped({"picture.png": "x"}), "no .geojson"),
        (zipped({}), "no .geojson"),
    ],
    ids=["cut gz", "no gz", "cut zip", "a picture", "nothing"],  # archives hold the time at which they are made
)
def test_archives_of_which_nothing_can_be_read(data, problem):
    with pytest.raises(FormatError, match=problem):
        archives.unpacked(data)


def test_a_damaged_or_locked_file_in_an_archive_costs_itself_only():
    data = bytearray(zipped({"a.geojson": TEXT * 50, "b.geojson": TEXT}))
    data[60] ^= 0xFF  # within the first one's data
    first, second = archives.unpacked(bytes(data))
    assert (first.data, second.problem) == (b"", "")
    assert "damaged" in first.problem
    locked = bytearray(zipped({"a.geojson": TEXT}))
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        start = locked.index(mark)
        struct.pack_into("<H", locked, start + (6 if mark[2] == 3 else 8), 1)
    (part,) = archives.unpacked(bytes(locked))
    assert "password" in part.problem


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda data: zipped({"a.geojson": data}),
        lambda data: zipped({"a.geojson.gz": gzip.compress(data)}),
    ],
)
def test_what_unpacks_to_too_much_is_refused(pack):
    with pytest.raises(FormatError, match="more than 1 MiB"):
        archives.unpacked(pack(bytes(1 << 21)), most_bytes=1 << 20)


def test_all_files_of_an_archive_count_together():
    half = bytes(700_000)
    with pytest.raises(FormatError, match="more than 1 MiB"):
        archives.unpacked(zipped({"a.json": half, "b.json": half}), most_bytes=1 << 20)


def test_archives_in_archives_end_somewhere():
    data = TEXT.encode()
    for _ in range(5):
        data = gzip.compress(data)
    (part,) = archives.unpacked(data)
    assert "archive in archives" in part.problem
