"""Whose turn it is: priorities, owners in turn, work that several want."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.inference.scheduler import Claim, Priority, Ticket, fair_queue
from wsisam_server.inference.scheduler.fair_queue import FairQueue

DECODE, ENCODE, BATCH = Priority.INTERACTIVE_DECODE, Priority.INTERACTIVE_ENCODE, Priority.BATCH


def queue_of(*entries):
    """A queue of (priority, owner), whose items are their numbers."""
    queue = FairQueue()
    for number, (priority, owner) in enumerate(entries):
        queue.put(Ticket([Claim(priority, owner)]), number)
    return queue


def test_the_most_urgent_goes_first():
    queue = queue_of((BATCH, "a"), (ENCODE, "a"), (DECODE, "b"), (BATCH, "b"))
    assert list(iter(queue.take, None)) == [2, 1, 0, 3]


def test_owners_take_turns_whoever_queued_more():
    queue = queue_of(*[(ENCODE, "a")] * 4, (ENCODE, "b"), (ENCODE, "c"), (ENCODE, "b"))
    assert list(iter(queue.take, None)) == [0, 4, 5, 1, 6, 2, 3]


def test_one_who_comes_late_waits_for_no_turn_of_one_with_thousands():
    queue = queue_of(*[(BATCH, "a")] * 10_000)
    for number in range(3):
        assert queue.take() == number
        queue.put(Ticket([Claim(BATCH, "b")]), f"b{number}")
        assert queue.take() == f"b{number}"


def test_the_second_of_two_newcomers_is_second():
    queue = queue_of((BATCH, "a"), (BATCH, "a"))
    queue.take()
    for owner in "bc":
        queue.put(Ticket([Claim(BATCH, owner)]), owner)
    assert list(iter(queue.take, None)) == ["b", "c", 1]


def test_what_is_taken_out_uses_nobodys_turn():
    queue, ticket = queue_of((BATCH, "b")), Ticket([Claim(BATCH, "a")])
    queue.put(ticket, "out")
    queue.discard(ticket, "another")
    assert len(queue) == 2
    queue.discard(ticket, "out")
    queue.put(Ticket([Claim(BATCH, "a")]), "in")
    assert list(iter(queue.take, None)) == [0, "in"]
    assert queue.take() is None


def test_work_that_a_batch_began_is_hurried_by_a_click_on_it():
    queue, ticket = queue_of(*[(BATCH, "a")] * 3), Ticket([Claim(BATCH, "a")])
    queue.put(ticket, "wanted")
    click = Claim(ENCODE, "b")
    ticket.claims.append(click)
    queue.join(ticket, click)
    assert queue.depth() == {DECODE: 0, ENCODE: 1, Priority.PREFETCH: 0, BATCH: 3}
    assert list(iter(queue.take, None)) == ["wanted", 0, 1, 2]


def test_a_claim_before_the_work_waits_counts_when_it_does():
    queue, ticket = queue_of((BATCH, "a")), Ticket([Claim(BATCH, "a")])
    click = Claim(ENCODE, "b")
    ticket.claims.append(click)
    queue.join(ticket, click)
    assert len(queue) == 1
    queue.put(ticket, "wanted")
    assert list(iter(queue.take, None)) == ["wanted", 0]


entries = st.tuples(st.sampled_from([ENCODE, BATCH]), st.sampled_from("abc"))


@given(st.lists(st.one_of(entries, st.none()), max_size=40))
def test_nobody_is_passed_twice_by_the_same_owner(steps):
    """Whatever comes and goes: while one waits, each other owner of their priority gets one turn at most."""
    queue, waiting, passed = FairQueue(), {}, {}
    for number, step in enumerate([*steps, *[None] * len(steps)]):
        if step is not None:
            queue.put(Ticket([Claim(*step)]), number)
            waiting[number] = step
            continue
        taken = queue.take()
        if taken is None:
            assert not waiting
            continue
        priority, owner = waiting.pop(taken)
        assert all(other >= priority for other, _ in waiting.values())
        # Of each line, whoever stands first has been passed by others at most once each.
        passed.pop((priority, owner), None)
        for claim in set(waiting.values()):
            if claim[0] == priority and claim[1] != owner:
                passes = passed.setdefault(claim, Counter())
                passes[owner] += 1
                assert passes[owner] == 1
    assert not waiting


def test_of_very_many_owners_those_served_last_are_remembered(monkeypatch):
    monkeypatch.setattr(fair_queue, "MOST_SERVED", 10)
    queue = queue_of(*[(BATCH, str(number)) for number in range(100)])
    assert list(iter(queue.take, None)) == list(range(100))
    assert len(queue._served) <= 11
    queue.put(Ticket([Claim(BATCH, "99")]), "late")
    queue.put(Ticket([Claim(BATCH, "0")]), "early")
    assert list(iter(queue.take, None)) == ["early", "late"]
