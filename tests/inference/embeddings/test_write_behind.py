"""What is written after the answer."""

import logging
import threading
import time

from wsisam_server.inference.embeddings import WriteBehindQueue
from wsisam_server.inference.embeddings.write_behind import MOST_WAITING


def test_too_many_are_left_out_and_the_rest_is_written_in_turn():
    write_behind, gate, written = WriteBehindQueue(), threading.Event(), []
    write_behind.put(gate.wait)
    for number in range(MOST_WAITING + 5):
        write_behind.put(lambda number=number: written.append(number))
    assert write_behind.left_out == 6
    gate.set()
    write_behind.close()
    assert written == list(range(MOST_WAITING - 1))


def test_failures_are_logged_once_until_one_succeeds(caplog):
    def fail():
        raise OSError(28, "No space left on device")

    with caplog.at_level(logging.WARNING):
        write_behind = WriteBehindQueue()
        for write in (fail, fail, lambda: None, fail):
            write_behind.put(write)
        write_behind.close()
    assert write_behind.failed == 3
    assert [record.message.count("No space") for record in caplog.records] == [1, 1]


def test_a_write_that_hangs_is_not_waited_for_at_the_end(caplog):
    write_behind, gate = WriteBehindQueue(), threading.Event()
    for _ in range(3):
        write_behind.put(gate.wait)
    started = time.monotonic()
    write_behind.close(0.2)
    assert time.monotonic() - started < 5
    assert "3 are not written" in caplog.text
    write_behind.put(gate.wait)
    assert write_behind.left_out == 4
    assert all(one.daemon for one in threading.enumerate() if one.name == "wsisam-write-behind")
    gate.set()
