"""Annotations as messages, and back."""

import pytest

from annotations.store.examples import draft
from wsisam_server.wire.annotation_from_proto import save_items
from wsisam_server.wire.annotation_to_proto import save_items as messages_of


def test_a_bad_shape_among_many_is_named():
    messages = messages_of([draft(), draft()])
    messages[1].annotation.shape.area.polygons[0].rings[0].deltas.append(1)
    with pytest.raises(Exception, match="even count") as caught:
        save_items(messages, "items")
    assert caught.value.details["field"] == "items[1].annotation.shape"
