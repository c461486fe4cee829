"""The decisions, over every state that they can meet."""

import itertools

import pytest

from wsisam_server.annotations.store.rules import Head, Verdict, deleting, restoring, saving

OLD, NEW = b"old", b"new"
HEADS = [None, *(Head(5, deleted, OLD) for deleted in (False, True))]
EXPECTED = [0, 4, 5, 6]


@pytest.mark.parametrize(("head", "expected", "digest"), [*itertools.product(HEADS, EXPECTED, (OLD, NEW))])
def test_saving(head, expected, digest):
    verdict = saving(head, expected, digest)
    if head is None:
        assert verdict is (Verdict.STORE if expected == 0 else Verdict.UNKNOWN)
    elif digest == OLD and not head.deleted:
        assert verdict is Verdict.UNCHANGED
    else:
        assert verdict is (Verdict.STORE if expected == 5 else Verdict.CONFLICT)


@pytest.mark.parametrize(("head", "expected"), [*itertools.product(HEADS, EXPECTED)])
def test_deleting(head, expected):
    verdict = deleting(head, expected)
    if head is None:
        assert verdict is Verdict.UNKNOWN
    elif head.deleted:
        assert verdict is Verdict.UNCHANGED
    else:
        assert verdict is (Verdict.STORE if expected == 5 else Verdict.CONFLICT)


@pytest.mark.parametrize(("head", "expected", "digest"), [*itertools.product(HEADS, EXPECTED, (None, OLD, NEW))])
def test_restoring(head, expected, digest):
    verdict = restoring(head, expected, digest)
    if head is None or digest is None:
        assert verdict is Verdict.UNKNOWN
    elif digest == OLD and not head.deleted:
        assert verdict is Verdict.UNCHANGED
    else:
        assert verdict is (Verdict.STORE if expected == 5 else Verdict.CONFLICT)
