"""A drive that hangs: its own calls end, and nobody else notices."""

import os
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from support.waiting import until
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.service.interceptors import LogContext
from wsisam_server.slides import OpenSlides, SlideAccess, drives
from wsisam_server.slides.drives import CallKind, Drives

SECONDS = 0.2
WINDOW = Window(0, 0, 1, 8)


@pytest.fixture
def stuck():
    """What hangs until it is let go; at the end of the test at the latest."""
    let_go = threading.Event()
    yield let_go
    let_go.set()


@pytest.fixture
def asked(stuck):
    """Drives whose root "slow" answers nothing, also no probe, until `stuck` is set."""
    asked = Drives(SECONDS, lambda root: root == "slow" and stuck.wait())
    yield asked
    asked.close()


def reason(future, timeout=10):
    with pytest.raises(WsiSamServerError) as caught:
        future.result(timeout)
    return caught.value.reason


def threads_left():
    """Threads that still ask a drive, waited for or not."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("wsisam-drive-")]


def answers_again(asked, root="slow"):
    return until(lambda: root not in asked.hanging(), 10)


@pytest.mark.parametrize("kind", CallKind)
def test_all_that_runs_and_waits_ends_and_what_comes_is_refused_at_once(asked, stuck, kind):
    ran = []
    calls = [asked.submit("slow", kind, stuck.wait, f"user {number % 9}") for number in range(40)]
    calls.append(asked.submit("slow", kind, lambda: ran.append(1), "user 1"))
    last = {reason(call) for call in calls[:40]}
    assert last == {Reason.SLIDE_UNAVAILABLE}
    assert asked.hanging() == {"slow"}
    late = asked.submit("slow", kind, lambda: 1)
    assert late.done()
    assert reason(late) is Reason.SLIDE_UNAVAILABLE
    assert asked.run("good", kind, lambda: 7) == 7
    stuck.set()
    assert answers_again(asked)
    assert asked.run("slow", kind, lambda: 7) == 7


def test_a_root_that_is_marked_is_refused_until_it_answers_and_the_log_names_it(asked, stuck, caplog):
    caplog.handler.addFilter(LogContext(hide_paths=True))
    asked.mark("slow")
    assert reason(asked.submit("slow", CallKind.LOOK, lambda: 1), 0) is Reason.SLIDE_UNAVAILABLE
    stuck.set()
    assert answers_again(asked)
    assert asked.run("slow", CallKind.LOOK, lambda: 7) == 7
    assert [record.message.split(record.path) for record in caplog.records] == [
        ["the drive of ", " does not answer; its slides are unavailable until it does"],
        ["the drive of ", " answers again"],
    ]


def test_others_go_on_while_it_hangs(asked, stuck):
    for number in range(8):
        asked.submit("slow", CallKind.OPEN, stuck.wait, f"user {number}")
    done = [asked.submit("good", kind, lambda: 7) for kind in CallKind for _ in range(20)]
    assert [call.result(0.15) for call in done] == [7] * 60  # before anybody knows that the drive hangs


def test_one_user_does_not_take_all_threads_of_a_drive(asked, stuck):
    for _ in range(100):
        asked.submit("good", CallKind.OPEN, stuck.wait, "anna")
    assert asked.run("good", CallKind.OPEN, lambda: 7, "ben") == 7


def test_callers_without_a_name_share_all_threads_of_a_drive(asked, stuck):
    for _ in range(drives._RUNNING[CallKind.OPEN] - 1):
        asked.submit("good", CallKind.OPEN, stuck.wait)
    assert asked.submit("good", CallKind.OPEN, lambda: 7).result(0.15) == 7


def test_users_take_turns(asked):
    order = []
    let_go = threading.Event()
    blocked = [asked.submit("good", CallKind.OPEN, let_go.wait, name) for name in ("anna", "ben", "cem", "dan") * 2]
    names = ["anna"] * 12 + ["ben"]
    calls = [asked.submit("good", CallKind.OPEN, lambda name=name: order.append(name), name) for name in names]
    let_go.set()
    for call in (*blocked, *calls):
        call.result(5)
    assert sorted(order) == sorted(names)
    # Among the first that the freed threads take, whichever of these is the first to say so; not behind all of anna's.
    assert order.index("ben") < len(blocked)


def test_what_waits_is_bounded_and_what_was_cancelled_never_runs(asked, monkeypatch):
    monkeypatch.setattr(drives, "_WAITING_PER_USER", 3)
    let_go, ran = threading.Event(), []
    running = [asked.submit("good", CallKind.OPEN, let_go.wait, "anna") for _ in range(2)]
    waiting = [asked.submit("good", CallKind.OPEN, lambda: ran.append(1), "anna") for _ in range(3)]
    assert reason(asked.submit("good", CallKind.OPEN, lambda: 1, "anna")) is Reason.SLIDE_UNAVAILABLE
    assert waiting[1].cancel()
    let_go.set()
    for call in (*running, waiting[0], waiting[2]):
        call.result(5)
    assert len(ran) == 2


def test_a_slow_read_of_a_drive_that_answers_is_waited_for(asked):
    read = asked.submit("good", CallKind.READ, lambda: time.sleep(5 * SECONDS) or 7)
    assert read.result(10) == 7
    assert not asked.hanging()


def test_a_read_that_never_ends_is_given_up_at_last(asked, stuck, monkeypatch):
    """The drive answers all else: only this file hangs."""
    monkeypatch.setattr(drives, "_TIMEOUT_FACTOR", 3)
    read = asked.submit("good", CallKind.READ, stuck.wait)
    assert reason(read) is Reason.SLIDE_UNAVAILABLE
    assert not asked.hanging()
    assert asked.run("good", CallKind.READ, lambda: 7) == 7


def test_threads_that_nobody_waits_for_are_bounded(asked, stuck, monkeypatch):
    monkeypatch.setattr(drives, "_ABANDONED", 2)
    monkeypatch.setattr(drives, "_TIMEOUT_FACTOR", 2)
    calls = [asked.submit("good", CallKind.READ, stuck.wait) for _ in range(2)]
    assert [reason(call) for call in calls] == [Reason.SLIDE_UNAVAILABLE] * 2
    assert reason(asked.submit("good", CallKind.READ, lambda: 1)) is Reason.SLIDE_UNAVAILABLE
    stuck.set()
    until(lambda: not threads_left(), 5)
    assert asked.run("good", CallKind.READ, lambda: 7) == 7


def test_closing_ends_all_and_waits_for_nothing(asked, stuck):
    calls = [asked.submit("slow", CallKind.OPEN, stuck.wait, "anna") for _ in range(5)]
    started = time.monotonic()
    asked.close()
    assert time.monotonic() - started < 1
    assert {reason(call) for call in calls} == {Reason.SHUTTING_DOWN}
    assert reason(asked.submit("good", CallKind.OPEN, lambda: 1)) is Reason.SHUTTING_DOWN
    assert len(threads_left()) >= 2
    assert all(thread.daemon for thread in threading.enumerate() if "wsisam-drive" in thread.name)


def test_errors_and_context_are_the_callers(asked):
    with pytest.raises(KeyError):
        asked.run("good", CallKind.LOOK, lambda: {}["a"])


@pytest.fixture
def roots(tmp_path):
    for name, shade in (("good", 10), ("slow", 20)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((20, 20, 3), shade, np.uint8)).save(tmp_path / name / f"{name}.png")
    return tmp_path


class _Hanging(SlideAccess):
    """Access to a drive that may stop answering."""

    def __init__(self, roots, stuck):
        super().__init__(roots, [])
        self.hangs = False
        self._stuck = stuck

    def find(self, location):
        if self.hangs and location.root.name == "slow":
            self._stuck.wait()
        return super().find(location)


def test_slides_of_other_roots_are_opened_and_read_meanwhile(roots, stuck):
    access = _Hanging([roots / "slow", roots / "good"], stuck)
    slides = OpenSlides(access, Limits(file_system_seconds=SECONDS))
    known, _ = slides.open("slow.png")
    access.hangs = True
    opening = [slides.opening(str(roots / "slow" / "slow.png"), f"user {number}") for number in range(8)]
    good, _ = slides.open(str(roots / "good" / "good.png"))
    assert slides.reader(good)(WINDOW).mean() == 10
    assert {reason(one) for one in opening} == {Reason.SLIDE_UNAVAILABLE}
    # A relative path is looked for in both; where one says nothing, the other's word counts only if it has it.
    assert slides.open("good.png")[0] == good
    for call in (slides.opening("slow.png"), slides.opening("nowhere.png"), slides.checking(known)):
        assert reason(call) is Reason.SLIDE_UNAVAILABLE
    assert reason(slides.opening("/elsewhere/secret.png")) is Reason.SLIDE_NOT_FOUND
    slides.checking(good).result(5)
    access.hangs = False
    stuck.set()
    assert answers_again(slides.drives, roots / "slow")
    assert slides.open("slow.png")[0] == known
    slides.close()


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def lowered():
    """Computes until its thread has given way."""
    before, until = niceness(), time.monotonic() + 5
    while niceness() == before and time.monotonic() < until:
        sum(range(10_000))
    return niceness() - before


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_a_call_that_takes_long_gives_way_and_those_after_it_do_not(asked):
    before = niceness()
    long = [asked.submit("good", CallKind.OPEN, lowered, "anna") for _ in range(2)]
    after = asked.submit("good", CallKind.OPEN, niceness, "anna")  # waits for its turn, until one of them has ended
    assert not after.done()
    assert all(one.result(10) > 0 for one in long)
    assert after.result(10) == before
    assert asked.run("good", CallKind.READ, niceness) == before
