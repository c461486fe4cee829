"""Whose turn it is: priorities, owners in turn, work that several want."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem, fair_queue
from wsisam_server.inference.scheduler.fair_queue import FairQueue

DECODE, ENCODE, BATCH = Priority.INTERACTIVE_DECODE, Priority.INTERACTIVE_ENCODE, Priority.BATCH


def queue_of(*entries):
    """A queue of (priority, owner), whose items are their numbers."""
    queue = FairQueue()
    for number, (priority, principal) in enumerate(entries):
        queue.put(WorkItem([QueueEntry(priority, principal)]), number)
    return queue


def test_the_most_urgent_goes_first():
    queue = queue_of((BATCH, "a"), (ENCODE, "a"), (DECODE, "b"), (BATCH, "b"))
    assert list(iter(queue.take, None)) == [2, 1, 0, 3]


def test_principals_take_turns_whoever_queued_more():
    queue = queue_of(*[(ENCODE, "a")] * 4, (ENCODE, "b"), (ENCODE, "c"), (ENCODE, "b"))
    assert list(iter(queue.take, None)) == [0, 4, 5, 1, 6, 2, 3]


def test_one_who_comes_late_waits_for_no_turn_of_one_with_thousands():
    queue = queue_of(*[(BATCH, "a")] * 10_000)
    for number in range(3):
        assert queue.take() == number
        queue.put(WorkItem([QueueEntry(BATCH, "b")]), f"b{number}")
        assert queue.take() == f"b{number}"


def test_the_second_of_two_newcomers_is_second():
    queue = queue_of((BATCH, "a"), (BATCH, "a"))
    queue.take()
    for principal in "bc":
        queue.put(WorkItem([QueueEntry(BATCH, principal)]), principal)
    assert list(iter(queue.take, None)) == ["b", "c", 1]


def test_what_is_discarded_counts_as_service_for_nobody():
    queue, work_item = queue_of((BATCH, "b")), WorkItem([QueueEntry(BATCH, "a")])
    queue.put(work_item, "out")
    queue.discard(work_item, "another")
    assert len(queue) == 2
    queue.discard(work_item, "out")
    queue.put(WorkItem([QueueEntry(BATCH, "a")]), "in")
    assert list(iter(queue.take, None)) == [0, "in"]
    assert queue.take() is None


def test_a_click_raises_the_priority_of_work_that_a_batch_began():
    queue, work_item = queue_of(*[(BATCH, "a")] * 3), WorkItem([QueueEntry(BATCH, "a")])
    queue.put(work_item, "wanted")
    click = QueueEntry(ENCODE, "b")
    work_item.entries.append(click)
    queue.join(work_item, click)
    assert queue.depth() == {DECODE: 0, ENCODE: 1, Priority.PREFETCH: 0, BATCH: 3}
    assert list(iter(queue.take, None)) == ["wanted", 0, 1, 2]


def test_an_entry_before_the_work_waits_counts_when_it_does():
    queue, work_item = queue_of((BATCH, "a")), WorkItem([QueueEntry(BATCH, "a")])
    click = QueueEntry(ENCODE, "b")
    work_item.entries.append(click)
    queue.join(work_item, click)
    assert len(queue) == 1
    queue.put(work_item, "wanted")
    assert list(iter(queue.take, None)) == ["wanted", 0]


entries = st.tuples(st.sampled_from([ENCODE, BATCH]), st.sampled_from("abc"))


@given(st.lists(st.one_of(entries, st.none()), max_size=40))
def test_nobody_is_overtaken_twice_by_the_same_principal(steps):
    """Whatever comes and goes: while one waits, each other owner of their priority gets one turn at most."""
    queue, waiting, passed = FairQueue(), {}, {}
    for number, step in enumerate([*steps, *[None] * len(steps)]):
        if step is not None:
            queue.put(WorkItem([QueueEntry(*step)]), number)
            waiting[number] = step
            continue
        taken = queue.take()
        if taken is None:
            assert not waiting
            continue
        priority, principal = waiting.pop(taken)
        assert all(other >= priority for other, _ in waiting.values())
        # Of each line, whoever stands first has been passed by others at most once each.
        passed.pop((priority, principal), None)
        for entry in set(waiting.values()):
            if entry[0] == priority and entry[1] != principal:
                is_background = passed.setdefault(entry, Counter())
                is_background[principal] += 1
                assert is_background[principal] == 1
    assert not waiting


def test_of_very_many_principals_those_served_last_are_remembered(monkeypatch):
    monkeypatch.setattr(fair_queue, "MOST_SERVED", 10)
    queue = queue_of(*[(BATCH, str(number)) for number in range(100)])
    assert list(iter(queue.take, None)) == list(range(100))
    assert len(queue._served) <= 11
    queue.put(WorkItem([QueueEntry(BATCH, "99")]), "late")
    queue.put(WorkItem([QueueEntry(BATCH, "0")]), "early")
    assert list(iter(queue.take, None)) == ["early", "late"]


def test_last_steps_go_before_what_else_waits_of_the_same_principal_and_no_other():
    queue = queue_of((BATCH, "a"), (BATCH, "a"), (BATCH, "b"), (ENCODE, "a"))
    for name in ("last", "also last"):
        queue.put(WorkItem([QueueEntry(BATCH, "a")], finishes=True), name)
    assert list(iter(queue.take, None)) == [3, 2, "last", "also last", 0, 1]
