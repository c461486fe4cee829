"""All that a store answers, to be compared with what it answers after it was damaged."""

import dataclasses

from annotations.store.contract import ALL, all_changes, everything
from annotations.store.examples import OTHER_SLIDE, SLIDE
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.core.geometry import Box

WANTED = [
    ALL,
    AnnotationFilter(slide_id=SLIDE),
    AnnotationFilter(uri="file:///a.svs"),
    AnnotationFilter(project="Colon 2026"),
    AnnotationFilter(author="anna"),
    AnnotationFilter(path_class="Tumor: Positive"),
    AnnotationFilter(region=Box(0, 0, 50, 50)),
]


def answers(where, request_id, drafts):
    """What is read by every way in, and what a repeated change is answered."""
    with open_store(str(where)) as store:
        found = [store.identity, store.head()]
        found += [_plain(everything(store, wanted)) for wanted in WANTED]
        changes = all_changes(store)
        found.append(_plain(changes))
        found += [_plain(store.history(one.id, after=0, limit=100).annotations) for one in changes]
        found += sorted(map(repr, store.slides([SLIDE, OTHER_SLIDE])))
        found.append(store.save(drafts, author="anna", request_id=request_id))
    return found


def _plain(annotations):
    return [
        repr(dataclasses.replace(one, content=dataclasses.replace(one.content, shape=one.content.shape.wkb_hex)))
        for one in annotations
    ]
