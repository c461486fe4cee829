"""Manifests: what is read, and what is said about those that cannot be."""

import unicodedata

import pytest

from wsisam_server.learning.datasets import DatasetError, Row, read_manifest


def test_paths_are_relative_to_the_manifest(manifest, folder):
    rows = read_manifest(manifest("image,mask\nimage.png,sub/mask.png\n"))
    assert rows == [Row(2, folder / "image.png", folder / "sub/mask.png", None, None)]


def test_absolute_paths_stay(manifest, folder):
    rows = read_manifest(manifest("image,mask\n/a/image.png,/a/mask.png\n"))
    assert str(rows[0].image) == "/a/image.png"


@pytest.mark.parametrize(
    "text",
    [
        "image,mask,mpp,split\na.png,b.png,0.25,val\n",
        "\ufeffimage,mask,mpp,split\r\na.png,b.png,0.25,val\r\n",
        " Split , MPP ,mask,image\nval, 0.25 ,b.png, a.png\n",
        'note,image,mask,mpp,split\n"two, or\nthree",a.png,b.png,.25,val\n',
        "image,mask,mpp,split\n\n,,,\na.png,b.png,0.25,val\n\n",
        "image;mask;mpp;split\r\na.png;b.png;0,25;val\r\n",
        "sep=;\r\nimage;mask;mpp;split\r\na.png;b.png;0,25;val\r\n",
        "image\tmask\tmpp\tsplit\na.png\tb.png\t0.25\tval\n",
        'image,mask,mpp,split\na.png,b.png,"0,25",val\n',
    ],
    ids=["plain", "Excel's", "order", "a cell of two lines", "blank", "of Europe", "with sep", "tabs", "decimal comma"],
)
def test_the_same_row_however_it_is_written(manifest, folder, text):
    (row,) = read_manifest(manifest(text))
    assert (row.image, row.mask, row.mpp, row.split) == (folder / "a.png", folder / "b.png", 0.25, "val")


def test_backslashes_and_other_spellings_of_what_is_there(manifest, folder):
    """Made on Windows or a Mac, and read here."""
    (folder / "Färbung").mkdir()
    (folder / "Färbung" / "a.png").write_bytes(b"")
    name = unicodedata.normalize("NFD", "Färbung")
    (row,) = read_manifest(manifest(f"image,mask\n{name}\\a.png,masks\\missing.png\n"))
    assert (row.image, row.mask) == (folder / "Färbung" / "a.png", folder / "masks" / "missing.png")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_of_windows(manifest, folder, encoding):
    (row,) = read_manifest(manifest("image,mask\nä.png,b.png\n", encoding))
    assert row.image == folder / "ä.png"


def test_lines_are_those_of_the_file(manifest):
    rows = read_manifest(manifest("image,mask\n\na,b\n\nc,d\n"))
    assert [row.line for row in rows] == [3, 5]


def test_a_white_is_one_number_or_three(manifest):
    rows = read_manifest(manifest("image,mask,white\na,a,165 152 157\nb,b,170.5\nc,c,\n"))
    assert [row.white for row in rows] == [(165, 152, 157), (170.5, 170.5, 170.5), None]


def test_a_split(manifest):
    path = manifest("image,mask,split\na,a,train\nb,b,val\nc,c,\n")
    assert [row.image.name for row in read_manifest(path, split="val")] == ["b"]
    assert len(read_manifest(path)) == 3


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "is empty"),
        ("image,mask\n", None, "no rows"),
        ("image,label\na,b\n", 1, "no column 'mask'"),
        ("mask\nb\n", 1, "no column 'image'"),
        ("image,mask,mask\na,b,c\n", 1, "2 times"),
        ("image,mask\na,b\nc\n", 3, "1 cells for 2 columns"),
        ("image,mask\na,b,c\n", 2, "must be quoted"),
        ("image,mask\na,\n", 2, "'mask' is empty"),
        ('image,mask\n"a"x,b\n', 2, "not CSV"),
        ("image,mask,mpp\na,b,fine\n", 2, "'fine'"),
        ("image,mask,mpp\na,b,0\n", 2, "above 0"),
        ("image,mask,mpp\na,b,-1\n", 2, "above 0"),
        ("image,mask,mpp\na,b,nan\n", 2, "above 0"),
        ("image,mask,mpp\na,b,inf\n", 2, "above 0"),
        ("image,mask,white\na,b,grey\n", 2, "'grey'"),
        ("image,mask,white\na,b,165 152\n", 2, "three numbers"),
        ("image,mask,white\na,b,165 0 157\n", 2, "above 0"),
        ("image,mask,white\na,b,256\n", 2, "up to 255"),
        ("image,mask,white\na,b,nan\n", 2, "above 0"),
    ],
)
def test_errors_name_the_line_and_say_what_to_do(manifest, text, line, says):
    path = manifest(text)
    with pytest.raises(DatasetError) as caught:
        read_manifest(path)
    assert caught.value.line == line
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert line is None or f"line {line}" in str(caught.value)


def test_a_split_that_is_not_there_names_those_that_are(manifest):
    with pytest.raises(DatasetError, match=r"'test'.*train, val"):
        read_manifest(manifest("image,mask,split\na,a,train\nb,b,val\n"), split="test")


def test_no_file(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        read_manifest(tmp_path / "none.csv")


def test_a_folder(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_manifest(tmp_path)


def test_another_encoding(manifest):
    with pytest.raises(DatasetError, match="UTF-8"):
        read_manifest(manifest("image,mask\nmüller.png,b\n", encoding="latin-1"))
