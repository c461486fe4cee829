"""Areas that it would take minutes to look at are refused before that, others are not."""

import numpy as np
import pytest
import shapely

from store.examples import draft
from support.tangles import comb, nested, zigzags
from wsisam_server.config import Limits
from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.store import checks


@pytest.mark.parametrize(
    "shape", [comb(100_000), nested(20_000), zigzags(700, 900, 700)], ids=["comb", "nested", "zigzags"]
)
def test_an_area_of_which_it_could_not_be_told_for_minutes_whether_it_is_valid_is_refused(shape):
    with pytest.raises(WsiSamServerError) as caught:
        checks.drafts([draft(), draft(shape=shape)], Limits())
    assert caught.value.reason is Reason.INVALID_SHAPE
    assert "simplify it" in caught.value.details["problem"]


def test_a_long_border_and_many_parts_are_no_tangle():
    turn = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 900 + 80 * np.sin(60 * turn)
    lobed = shapely.Polygon(np.column_stack([2000 + radius * np.cos(turn), 2000 + radius * np.sin(turn)]))
    tiles = shapely.MultiPolygon([shapely.box(x, y, x + 1, y + 1) for x in range(0, 400, 2) for y in range(0, 400, 2)])
    assert len(checks.drafts([draft(shape=lobed), draft(shape=tiles)], Limits())) == 2
