"""WsiSamReview.groovy in the window of a real QuPath."""

import pytest

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw."""
    folder = tmp_path_factory.mktemp("window")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_review.groovy",
        folder / "seen.json",
        **{"drive.image": server.root / "discs.png"},
    )


def test_neither_qupath_nor_the_click_tool_has_its_keys(seen, repository):
    for key in ("U", "Shift+U", "T"):
        assert seen["taken"][key] == "nobody", key
    assert seen["taken"]["Q"] != "nobody", "the key of the click tool"
    clicks = (repository / "qupath_script/src/main/groovy/WsiSamClicks.groovy").read_text(encoding="utf-8")
    assert "'U'" not in clicks


def test_they_come_line_by_line_and_fill_a_third(seen):
    assert seen["order"] == ["left", "right", "left"]
    assert 0.2 < seen["share"] < 0.4


def test_who_accepted_what_is_in_the_metadata_and_a_rejected_one_is_gone(seen):
    reviewed = {one["name"]: one for one in seen["reviewed"]}
    assert set(reviewed) == {"left", "low"}
    assert reviewed["left"]["metadata"]["wsisam.review"] == "accepted"
    assert reviewed["left"]["metadata"]["wsisam.reviewer"]
    assert reviewed["left"]["metadata"]["wsisam.reviewed"].startswith("20")
    assert "wsisam.review" not in reviewed["low"]["metadata"]
    assert reviewed["low"].get("className") is None
    assert seen["left"] == ["3 of 3 left", "2 of 3 left", "1 of 2 left"]


def test_it_can_be_left_and_gone_on_with(seen):
    assert all(one["metadata"]["wsisam.review"] == "accepted" for one in seen["atEnd"])


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
