"""Annotations as messages, and back."""

import pytest

from annotations.store.examples import draft
from wsisam_server.wire.annotation_from_proto import draft_list
from wsisam_server.wire.annotation_to_proto import draft_list as messages_of


def test_a_bad_shape_among_many_is_named():
    messages = messages_of([draft(), draft()])
    messages[1].shape.area.polygons[0].rings[0].deltas.append(1)
    with pytest.raises(Exception, match="even count") as caught:
        draft_list(messages, ["annotations[0]", "annotations[1]"])
    assert caught.value.details["field"] == "annotations[1].shape"
