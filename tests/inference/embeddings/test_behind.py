"""What is written after the answer."""

import logging
import threading
import time

from wsisam_server.inference.embeddings import Behind
from wsisam_server.inference.embeddings.behind import MOST_WAITING


def test_too_many_are_left_out_and_the_rest_is_written_in_turn():
    behind, gate, written = Behind(), threading.Event(), []
    behind.later(gate.wait)
    for number in range(MOST_WAITING + 5):
        behind.later(lambda number=number: written.append(number))
    assert behind.left_out == 6
    gate.set()
    behind.close()
    assert written == list(range(MOST_WAITING - 1))


def test_failures_are_logged_once_until_one_succeeds(caplog):
    def fail():
        raise OSError(28, "No space left on device")

    with caplog.at_level(logging.WARNING):
        behind = Behind()
        for write in (fail, fail, lambda: None, fail):
            behind.later(write)
        behind.close()
    assert behind.failed == 3
    assert [record.message.count("No space") for record in caplog.records] == [1, 1]


def test_a_write_that_hangs_is_not_waited_for_at_the_end(caplog):
    behind, gate = Behind(), threading.Event()
    for _ in range(3):
        behind.later(gate.wait)
    started = time.monotonic()
    behind.close(0.2)
    assert time.monotonic() - started < 5
    assert "3 are not written" in caplog.text
    behind.later(gate.wait)
    assert behind.left_out == 4
    assert all(one.daemon for one in threading.enumerate() if one.name == "wsisam-behind")
    gate.set()
