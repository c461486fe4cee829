"""What Ray costs and brings: a warm click against the local engine, and fields a second on one and two replicas.

    python benchmarks/ray_engine.py [--pairs 60] [--fields 24]

Starts Ray on this machine for as long as it runs (extra: ray). Every model step has one thread, so that two replicas
can be twice as fast on two cores. Local and remote clicks take turns, so that other work on the machine meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil
from claims import Claim, note

from wsisam_model import WsiSam
from wsisam_server.core.geometry import Box, FieldPair, Window
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import MIB, Limits, Ray
from wsisam_server.inference.cluster import ClusterModels, ModelFactory
from wsisam_server.inference.cluster.engine import ClusterEngine
from wsisam_server.inference.scheduler import Device, Job, LocalEngine
from wsisam_server.inference.weights import ServedModels, WeightsFolder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from wsisam_server.inference.scheduler import Answer

LOAD = partial(WsiSam.from_name, "wsisam-lite")
FOLDER = WeightsFolder(Path("models-beside-the-default-one"))
AT_ONCE = 8


class Run(NamedTuple):
    """One pass over all fields.

    Attributes:
        seconds: by the clock.
        encode: mean milliseconds of an encoding.
        steps: seconds of all model steps together.
        replicas: processor seconds of each replica, the busiest first.
        server: processor seconds of this process.
    """

    seconds: float
    encode: float
    steps: float
    replicas: list[float]
    server: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=60)
    arguments.add_argument("--fields", type=int, default=24)
    options = arguments.parse_args()
    asyncio.run(measure(options.pairs, options.fields))


async def measure(pairs: int, fields: int) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    runs, slower = {}, 0.0
    for replicas in (1, 2):
        async for engine in remote(replicas):
            if replicas == 1:
                slower = await clicks(engine, pairs)
            runs[replicas] = await throughput(engine, fields)
    for replicas, run in runs.items():
        rest = 1 - run.steps / (run.seconds * replicas)
        shares = " and ".join(f"{spent:.1f}" for spent in run.replicas)
        print(
            f"{replicas} replica(s): {fields} fields in {run.seconds:.1f} s, {fields / run.seconds:.2f} a second; an "
            f"encoding takes {run.encode:.0f} ms; {rest:.0%} of the replicas' time is no model step; processor "
            f"seconds: replicas {shares}, this process {run.server:.1f}"
        )
    one, two = runs[1], runs[2]
    print(
        f"two replicas are {one.seconds / two.seconds:.2f} times as fast as one; an encoding beside another takes "
        f"{two.encode / one.encode:.2f} times as long; the busier replica did {two.replicas[0] / sum(two.replicas):.0%}"
    )
    note(
        [
            Claim("a warm click of the local engine to one through Ray", 1 / slower),
            Claim("fields a second of two replicas to those of one", one.seconds / two.seconds),
        ]
    )


async def clicks(engine: ClusterEngine, pairs: int) -> float:
    """Warm clicks, in turn. Returns how many times as long they take through Ray."""
    device = Device(512 * MIB, threads=1)
    local = LocalEngine(await device.load(LOAD), device)
    for one in (engine, local):
        for _ in range(5):
            await one.predict(job(0))
    spent: dict[str, list[float]] = {"local": [], "ray": [], "store": []}
    outside, processor = [], 0.0
    replicas = engine._device._replicas  # noqa: SLF001 - the other way to send is nobody's but this script's
    for _ in range(pairs):
        spent["local"].append((await timed(local.predict(job(0))))[0])
        before = time.process_time()
        milliseconds, answer = await timed(engine.predict(job(0)))
        processor += time.process_time() - before
        spent["ray"].append(milliseconds)
        outside.append(milliseconds - answer.times.decode)
        replicas.predict = partial(replicas._ask, "predict", by_reference=True)  # noqa: SLF001
        spent["store"].append((await timed(engine.predict(job(0))))[0])
        del replicas.predict
    await device.close()
    median = {name: statistics.median(values) for name, values in spent.items()}
    added = [ray - here for ray, here in zip(spent["ray"], spent["local"], strict=True)]
    print(
        f"warm click, {pairs} pairs: local {median['local']:.1f} ms, Ray {median['ray']:.1f} ms, ratio "
        f"{median['ray'] / median['local']:.2f}, added {statistics.median(added):.1f} ms; beside the decode Ray's way "
        f"takes {statistics.median(outside):.1f} ms; this process computes {1000 * processor / pairs:.1f} ms for it"
    )
    through = [store - ray for store, ray in zip(spent["store"], spent["ray"], strict=True)]
    print(f"the same through the object store: {median['store']:.1f} ms, {statistics.median(through):.1f} ms more")
    return median["ray"] / median["local"]


async def throughput(engine: ClusterEngine, fields: int) -> Run:
    """Boxes in fields that are all new, so many at once."""
    await asyncio.gather(*(engine.predict(job(10_000 + number)) for number in range(4)))  # every thread has begun
    gate = asyncio.Semaphore(AT_ONCE)
    processes = replica_processes()
    before = [processor_seconds(process) for process in processes]
    own, started = time.process_time(), time.perf_counter()

    async def ask(number: int) -> Answer:
        async with gate:
            return await engine.predict(job(100 + number))

    answers = await asyncio.gather(*(ask(number) for number in range(fields)))
    return Run(
        time.perf_counter() - started,
        statistics.mean(answer.times.encode for answer in answers),
        sum(answer.times.encode + answer.times.decode for answer in answers) / 1000,
        sorted((processor_seconds(one) - then for one, then in zip(processes, before, strict=True)), reverse=True),
        time.process_time() - own,
    )


async def remote(replicas: int) -> AsyncIterator[ClusterEngine]:
    """The Ray engine, with so many replicas of half a core each: Ray then finds room for both on two cores."""
    limits = Limits(embedding_cache_bytes=4096 * MIB)
    settings = Ray(name="wsisam-benchmark", replicas=replicas, cpus=0.5)
    source = partial(ServedModels, FOLDER)
    models = ClusterModels(ModelFactory(LOAD, source), source(), settings, limits, threads=1)
    try:
        await models.start(LOAD)
        yield ClusterEngine(models.info(""), models.device)
    finally:
        await models.close()


def replica_processes() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "ServeReplica:wsisam-benchmark" in " ".join(process.cmdline())]


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def timed(answering: Awaitable[Answer]) -> tuple[float, Answer]:
    started = time.perf_counter()
    answer = await answering
    return (time.perf_counter() - started) * 1000, answer


def job(number: int) -> Job:
    """A box about a dark square, in a field of its own."""
    x = 1000.0 * number
    image = np.full((256, 256, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 130)
    prompt = SlidePrompt(box=Box(x + 60, 60, x + 190, 190))
    return Job("slide", lambda _: image, FieldPair(Window(x, 0.0, 1.0, 256)), prompt)


if __name__ == "__main__":
    main()
