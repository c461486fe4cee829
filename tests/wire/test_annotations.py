"""Annotations as messages, and back."""

import pytest

from annotations.store.examples import PICKED, draft
from wsisam_server.wire.annotation_from_proto import save_items
from wsisam_server.wire.annotation_to_proto import save_items as messages_of


def test_a_bad_shape_among_many_is_named():
    messages = messages_of([draft(), draft()])
    messages[1].annotation.shape.area.polygons[0].rings[0].deltas.append(1)
    with pytest.raises(Exception, match="even count") as caught:
        save_items(messages, "items")
    assert caught.value.details["field"] == "items[1].annotation.shape"


def test_what_an_annotator_chose_and_drew_roughly_is_said():
    picked = draft(provenance=PICKED)
    (read,) = save_items(messages_of([picked]), "items")
    assert read.content.provenance == PICKED
