"""Byte strings that wait in memory or in a temporary file."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from wsisam_server.core import spool
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.spool import Spool


@pytest.mark.parametrize("in_memory", [10, 10_000])
def test_what_is_written_is_read_by_several(monkeypatch, in_memory):
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    kept, said = Spool(), [bytes([number]) * number for number in range(200)]
    for data in said:
        kept.append(data)
    assert (len(kept), kept.nbytes) == (200, sum(map(len, said)))
    with ThreadPoolExecutor(4) as threads:
        assert all(found == said for found in threads.map(lambda _: list(kept), range(8)))
    kept.append(b"more")
    assert kept.read(200) == b"more"


def test_a_full_disk_is_of_the_catalogue(monkeypatch):
    kept = Spool()
    kept.append(b"one")

    class Full:
        def seek(self, _):
            pass

        def write(self, _):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(kept, "_file", Full())
    with pytest.raises(WsiSamServerError) as caught:
        kept.append(b"two")
    assert caught.value.reason is Reason.OUT_OF_MEMORY
    assert len(kept) == 1
