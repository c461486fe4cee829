"""Calls to replicas of which none runs and none can be started: refused at once, with Ray's reason in the log."""

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest

from support.waiting import turns
from wsisam_server.core.settings import Ray
from wsisam_server.inference.cluster.errors import ReplicaLostError

WORDS = "wsisam_server.inference.cluster.errors.ClusterError: this machine has the model other"
FAILURE = f"A replica failed to start with exception. Retrying. Error:\nTraceback (most recent call last):\n{WORDS}\n"


CALL = SimpleNamespace(ring_key="")
"""All that the replicas look at of a call that they pass on."""


class Silent:
    """A handle of a deployment that answers nothing."""

    def options(self, **_):
        return self

    def remote(self, *_):
        return self

    def __await__(self):
        return asyncio.Event().wait().__await__()

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def replicas(ray, monkeypatch):
    """Replicas of which Ray says what the test tells it to."""
    from wsisam_server.inference.cluster import deploy

    monkeypatch.setattr(deploy, "POLL_SECONDS", 0.01)
    replicas = deploy.RayReplicas(Ray(answer_seconds=60.0))
    replicas._handle = Silent()

    def say(running, message):
        deployment = SimpleNamespace(replica_states={"RUNNING": running}, message=message)
        status = SimpleNamespace(name="RUNNING")
        application = SimpleNamespace(deployments={deploy.DEPLOYMENT: deployment}, status=status, message="")
        found = SimpleNamespace(applications={"wsisam": application})
        monkeypatch.setattr(ray.serve, "status", lambda: found)
        replicas.look()

    replicas.say = say
    return replicas


async def test_a_call_ends_when_no_replica_can_be_started(replicas, caplog):
    replicas.say(1, "")
    waiting = asyncio.ensure_future(replicas.predict(CALL))
    await turns()
    replicas.say(1, FAILURE)
    await asyncio.sleep(0.1)
    assert not waiting.done(), "another replica runs"
    replicas.say(0, FAILURE)
    began = time.monotonic()
    with pytest.raises(ReplicaLostError, match="this machine has the model other"):
        await waiting
    with pytest.raises(ReplicaLostError, match="this machine has the model other"):
        await replicas.predict(CALL)
    assert time.monotonic() - began < 10
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1, "once for each reason"
    assert WORDS in said[0].getMessage()


async def test_a_call_waits_while_a_replica_may_come(replicas):
    replicas.say(0, "")
    waiting = asyncio.ensure_future(replicas.predict(CALL))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    waiting.cancel()


async def test_a_replica_that_comes_after_all_is_asked(replicas):
    replicas.say(0, FAILURE)
    replicas.say(2, "")
    waiting = asyncio.ensure_future(replicas.predict(CALL))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    waiting.cancel()
