"""Whose share of the server a call takes."""

import pytest

from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.service.identity import RateLimiter, current_user
from wsisam_server.service.interceptors import Access
from wsisam_server.service.interceptors.access import MIB, caller_address

METHOD = "/wsisam.v1.Segmentation/Interact"


@pytest.mark.parametrize(
    ("peer", "place"),
    [
        ("ipv4:10.0.0.7:50431", "10.0.0.7"),
        ("ipv6:%5Bfd00::7%5D:50431", "[fd00::7]"),
        ("ipv4:127.0.0.1:50431", "ipv4:127.0.0.1:50431"),
        ("ipv6:%5B::1%5D:50431", "ipv6:%5B::1%5D:50431"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_a_computer_is_one_caller_and_of_this_one_each_connection(peer, place):
    assert caller_address(peer) == place


def access(byte_limiter=None, streams=1):
    return Access(
        None, required=False, streams=streams, rate_limiter=RateLimiter(1000, 1000), byte_limiter=byte_limiter
    )


def test_callers_without_a_token_do_not_take_each_others_streams():
    gate = access()
    call = gate.admit(METHOD, (), stream=True, peer="ipv4:127.0.0.1:1")
    assert current_user().principal == "ipv4:127.0.0.1:1"
    assert current_user().name == ""
    gate._active_calls.add(call)
    with pytest.raises(WsiSamServerError, match="TOO_MANY_STREAMS"):
        gate.admit(METHOD, (), stream=True, peer="ipv4:127.0.0.1:1")
    assert gate.admit(METHOD, (), stream=True, peer="ipv4:127.0.0.1:2")


async def test_the_bytes_of_a_user_are_weighed_not_those_of_others(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    gate = access(RateLimiter(1, 10, lambda: 1000.0))
    one, other = (gate.admit(METHOD, (), peer=f"ipv4:127.0.0.1:{port}") for port in (1, 2))
    for _ in range(3):
        await gate.charge_bytes(one, 5 * MIB)
    assert slept == pytest.approx([5])
    await gate.charge_bytes(other, 5 * MIB)
    assert len(slept) == 1
