"""Replicas that come and go: with the load, and when the device of one fails.

    python benchmarks/ray_autoscaling.py [--upscale 5] [--downscale 20] [--health 1]

Starts Ray on this machine for as long as it runs (extra: ray), with one replica that may become two. One prompt after
the other is asked all the time; for a while, eight more at once. Then a device fails, as GPUs do: its process goes on,
each step raises. First while nobody asks, so that only Ray's look at its health can find it; then under prompts. The
failure is a double: the model's step in the replica. How many prompts each replica answered, it counts itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsisam_model import WsiSam
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, Window
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import MIB, Limits, Ray
from wsisam_server.inference.cluster import ClusterModels, ModelFactory
from wsisam_server.inference.cluster.engine import ClusterEngine
from wsisam_server.inference.scheduler import Device, Job
from wsisam_server.inference.weights import ServedModels, WeightsFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.inference.scheduler import WorkItem

LOAD = partial(WsiSam.from_name, "wsisam-lite")
SOURCE = partial(ServedModels, WeightsFolder(Path("models-beside-the-default-one")))
AT_ONCE = 8
FIELDS = 16
LIMIT_SECONDS = 150


class Load:
    """Asks, and counts what came of it.

    Args:
        engine: is asked.
    """

    def __init__(self, engine: ClusterEngine) -> None:
        self._engine = engine
        self._number = 0
        self.answered = 0
        self.failed: list[str] = []
        self.slowest = 0.0

    async def ask(self) -> None:
        """One prompt, in the next of the fields."""
        self._number += 1
        started = time.perf_counter()
        try:
            await self._engine.predict(job(self._number % FIELDS))
        except (WsiSamServerError, RuntimeError) as error:
            self.failed.append(repr(error))
        else:
            self.answered += 1
        self.slowest = max(self.slowest, time.perf_counter() - started)

    async def forever(self, pause: float = 0.0) -> None:
        """One after the other, until it is cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(pause)

    def said(self) -> str:
        """What happened since it was asked last."""
        text = f"{self.answered} prompts answered, {len(self.failed)} failed, the slowest took {self.slowest:.1f} s"
        text += "".join(f"\n    {error}" for error in dict.fromkeys(self.failed))
        self.answered, self.failed, self.slowest = 0, [], 0.0
        return text


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--upscale", type=float, default=5.0)
    arguments.add_argument("--downscale", type=float, default=20.0)
    arguments.add_argument("--health", type=float, default=1.0)
    options = arguments.parse_args()
    settings = Ray(
        name="wsisam-autoscaling",
        replicas=1,
        max_replicas=2,
        cpus=0.5,
        upscale_seconds=options.upscale,
        downscale_seconds=options.downscale,
        health_seconds=options.health,
    )
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(settings, Path(folder)))


async def measure(settings: Ray, folder: Path) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    print(f"upscale {settings.upscale_seconds:g} s, downscale {settings.downscale_seconds:g} s")
    limits = Limits(embedding_cache_bytes=2048 * MIB)
    models = ClusterModels(ModelFactory(partial(load, folder), SOURCE), SOURCE(), settings, limits, threads=1)
    try:
        await models.start(LOAD)
        await scaled(models, folder)
        await failing(models, folder, settings)
    finally:
        await models.close()


async def scaled(models: ClusterModels, folder: Path) -> None:
    """More load, and less."""
    asks = Load(ClusterEngine(models.info(""), models.device))
    always = asyncio.ensure_future(asks.forever(pause=0.5))
    await asyncio.sleep(5)
    assert models._replicas.count == 1  # noqa: SLF001 - how many run is nobody's but this script's
    print(f"one at a time, one replica: {asks.said()}")
    more = [asyncio.ensure_future(asks.forever()) for _ in range(AT_ONCE)]
    spent = await until(lambda: models._replicas.count == 2)  # noqa: SLF001
    print(f"{AT_ONCE} more at once: the second replica runs after {spent:.1f} s: {asks.said()}")
    before = counted(folder)
    await asyncio.sleep(20)
    shares = {process: count - before.get(process, 0) for process, count in counted(folder).items()}
    print(f"then for 20 s, answered by each replica {sorted(shares.values())}: {asks.said()}")
    await ended(more)
    spent = await until(lambda: models._replicas.count == 1)  # noqa: SLF001
    print(f"one at a time again: one replica runs after {spent:.1f} s: {asks.said()}")
    await asyncio.sleep(5)
    print(f"and for 5 s more: {asks.said()}")
    await ended([always])


async def failing(models: ClusterModels, folder: Path, settings: Ray) -> None:
    """A device that fails: while nobody asks, and under prompts."""
    asks = Load(ClusterEngine(models.info(""), models.device))
    await asks.ask()  # nothing is running that has answered nothing
    asks.said()
    first = running(folder)
    for process in first:
        (folder / f"{process}.fails").touch()
    gone = await until(lambda: not set(first) & set(running(folder)))
    back = await until(lambda: models._replicas.count == 1 and bool(running(folder)))  # noqa: SLF001
    print(
        f"a device fails, nobody asks, a look every {settings.health_seconds:g} s: its process has ended after "
        f"{gone:.1f} s, another one runs {back:.1f} s later"
    )
    await asks.ask()
    print(f"a prompt then: {asks.said()}")
    for process in running(folder):
        (folder / f"{process}.fails").touch()
    await asyncio.gather(*(asks.ask() for _ in range(AT_ONCE)))
    print(f"the only device fails, {AT_ONCE} prompts at that moment: {asks.said()}")


def load(folder: Path) -> WsiSam:
    """The default model, in a process that counts what it answers and whose device may fail."""
    real, model = Device.run, LOAD()
    decode = model.decode
    here = os.getpid()

    async def run(device: Device, ticket: WorkItem, call: Callable[[], Any]) -> tuple[Any, float]:
        def step() -> Any:
            if (folder / f"{here}.fails").exists():
                raise RuntimeError("CUDA error: unspecified launch failure")
            return call()

        return await real(device, ticket, step)

    def counting(*arguments: Any, **more: Any) -> Any:
        with (folder / f"{here}.answers").open("ab") as file:
            file.write(b".")
        return decode(*arguments, **more)

    Device.run = run  # type: ignore[assignment, method-assign]
    model.decode = counting  # type: ignore[method-assign]
    return model


def counted(folder: Path) -> dict[int, int]:
    """Prompts that each replica has answered, by process."""
    return {int(file.stem): file.stat().st_size for file in folder.glob("*.answers")}


def running(folder: Path) -> list[int]:
    """The replicas' processes."""
    return [process for process in counted(folder) if Path(f"/proc/{process}").exists()]


async def until(happened: Callable[[], bool]) -> float:
    """Seconds until something has happened."""
    started = time.perf_counter()
    while not happened():
        if time.perf_counter() - started > LIMIT_SECONDS:
            raise TimeoutError(f"not in {LIMIT_SECONDS} s")
        await asyncio.sleep(0.2)
    return time.perf_counter() - started


async def ended(tasks: list[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def job(number: int) -> Job:
    """A box about a dark square, in a field of its own."""
    x = 1000.0 * number
    image = np.full((256, 256, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 130)
    prompt = SlidePrompt(box=Box(x + 60, 60, x + 190, 190))
    return Job("slide", lambda _: image, FieldPair(Window(x, 0.0, 1.0, 256)), prompt)


if __name__ == "__main__":
    main()
