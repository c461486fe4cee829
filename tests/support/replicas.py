"""Real replicas in this process, without Ray: what is asked of the ring goes from object to object."""

import asyncio
from functools import partial

from wsisam_server.core.settings import MIB
from wsisam_server.inference.cluster import ModelFactory
from wsisam_server.inference.cluster.errors import ReplicaLostError
from wsisam_server.inference.cluster.replica import Replica
from wsisam_server.inference.cluster.replica_config import ReplicaConfig
from wsisam_server.inference.scheduler import ModelInfo
from wsisam_server.inference.weights import ServedModels, WeightsFolder


def config(folder, model, **more):
    """Of a replica of a model, and of the models in a folder."""
    factory = ModelFactory(lambda: model, partial(ServedModels, WeightsFolder(folder)))
    values = {
        "default": ModelInfo.of(model),
        "cache_bytes": 256 * MIB,
        "model_bytes": 1024 * MIB,
        "room_seconds": 5.0,
        "threads": 1,
        "decode_batch": 1,
        "store": None,
        "store_bytes": 64 * MIB,
    }
    return ReplicaConfig(factory, **(values | more))


async def make(config):
    """As Ray Serve makes one."""
    replica = Replica.__new__(Replica)
    await replica.__init__(config)
    return replica


class InThisProcess:
    """The `Replicas` of a `RemoteDevice`: one replica at a time, which a test may lose or make forget.

    Attributes:
        failing: how many of the next calls are lost.
        calls: what was asked, and with which priority.
    """

    count = 1

    def __init__(self, replica):
        self.replica = replica
        self.failing = 0
        self.calls = []
        self._news = asyncio.Event()

    async def asked(self, count):
        """Waits until there were so many calls."""
        while len(self.calls) < count:
            self._news.clear()
            await self._news.wait()

    async def encode(self, call, pixels):
        return await self._ask("encode" if pixels else "escalate", call, self.replica.encode(call, pixels))

    async def predict(self, call):
        return await self._ask("predict", call, self.replica.predict(call))

    async def to_encode(self, call):
        return await self._ask("look", call, self.replica.to_encode(call))

    def forget(self):
        """As if the replica were a new one."""
        self.replica._pool.device.cache.clear()

    async def _ask(self, name, call, answering):
        self.calls.append((name, call.priority))
        self._news.set()
        if self.failing:
            self.failing -= 1
            answering.close()
            raise ReplicaLostError("as the test wants it")
        return await answering
