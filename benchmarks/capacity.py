"""How many replicas a number of annotators needs: a queueing simulation, and a local run that it is held to.

    python benchmarks/capacity.py --annotators 1000 --encode-ms 60 --decode-ms 8     # service times of your device
    python benchmarks/capacity.py --check                                            # against this machine's engine

Annotators click at random times (Poisson). A click falls into a field that was encoded before, or, with the share
`--new`, into a new one, which costs an encoding first. Fields are spread over the replicas by a hash, as the engine's
router does it, and stay there. A replica does one step at a time: decodes first, then encodings, and a step that runs
is not interrupted. What the server itself takes for a click (reading, outline, Ray) is added, and is its limit, too.

Left out, so that the result is on the safe side: fields that are encoded ahead, which make most first clicks warm.
Left out, so that it is not: batches (they wait behind clicks, but a step of theirs that runs is waited for), replicas
that die, networks that are slow.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import statistics
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.inference.scheduler import Job

PIXEL_BYTES = (256 * 256 + 112 * 112) * 3
"""Of a field: the high-resolution window, and the middle of the low-resolution one."""

LOGIT_BYTES = 256 * 256 * 4
EMBEDDING_MIB = 35
"""Of one field of wsisam-lite, with all that is kept of it (counted)."""


@dataclass(frozen=True)
class Load:
    """What annotators do: clicks a minute of each, the share of them in new fields, and fields of an open slide."""

    annotators: int
    clicks_per_minute: float = 6.0
    new: float = 0.2
    windows_per_slide: int = 40

    @property
    def clicks_per_second(self) -> float:
        """Of all of them together."""
        return self.annotators * self.clicks_per_minute / 60


@dataclass(frozen=True)
class Service:
    """Milliseconds of one encoding, of one decoding, and of all else in a click's way (reading, Ray, outline)."""

    encode: float
    decode: float
    around: float


@dataclass(frozen=True)
class Click:
    """A click: when, in seconds, and in which field; whether that field must be encoded for it."""

    at: float
    field: int
    new: bool


@dataclass(frozen=True)
class Report:
    """Milliseconds from click to answer, and the share of time in which replicas work."""

    median: float
    p95: float
    p99: float
    busy: float


def clicks(load: Load, seconds: float, seed: int) -> Iterator[Click]:
    """Clicks in the order of time. Each annotator stays in one field until the next click in a new one."""
    dice, now, fields = random.Random(seed), 0.0, 0  # noqa: S311 - no secret
    at_work: dict[int, int] = {}
    while (now := now + dice.expovariate(load.clicks_per_second)) < seconds:
        annotator = dice.randrange(load.annotators)
        new = annotator not in at_work or dice.random() < load.new
        if new:
            at_work[annotator] = fields
            fields += 1
        yield Click(now, at_work[annotator], new)


def simulate(
    arrivals: list[Click], service: Service, replicas: int, own: dict[int, Service] | None = None
) -> list[float]:
    """Milliseconds of each click, in the order of arrival. `own`: what single clicks' steps take, where it differs."""
    own = own or {}
    places = random.Random(0)  # noqa: S311 - no secret
    home: dict[int, int] = {}
    waiting: list[tuple[deque[tuple[int, bool]], deque[tuple[int, bool]]]] = [
        (deque(), deque()) for _ in range(replicas)
    ]
    running: list[tuple[int, bool] | None] = [None] * replicas
    ready: dict[int, bool] = {}
    held: dict[int, list[int]] = {}
    answered = [0.0] * len(arrivals)
    events: list[tuple[float, int, int]] = [(click.at, index, -1) for index, click in enumerate(arrivals)]
    heapq.heapify(events)

    def begin(replica: int, now: float) -> None:
        decodes, encodes = waiting[replica]
        queue = decodes or encodes
        if running[replica] is None and queue:
            step = running[replica] = queue.popleft()
            times = own.get(step[0], service)
            spent = (times.encode if step[1] else times.decode) / 1000
            heapq.heappush(events, (now + spent, step[0], replica))

    while events:
        now, index, replica = heapq.heappop(events)
        field = arrivals[index].field
        if replica < 0:
            replica = home.setdefault(field, places.randrange(replicas))
            if field not in ready:
                ready[field] = False
                held[field] = []
                waiting[replica][1].append((index, True))
            if ready[field]:
                waiting[replica][0].append((index, False))
            else:
                held[field].append(index)
        else:
            step = running[replica]
            assert step is not None
            running[replica] = None
            if step[1]:
                ready[field] = True
                waiting[replica][0].extend((waiter, False) for waiter in held.pop(field))
            else:
                answered[index] = (now - arrivals[index].at) * 1000 + service.around
        begin(replica, now)
    return answered


def report(load: Load, service: Service, replicas: int, seconds: float = 900, seed: int = 1) -> Report:
    """What annotators feel once all goes its way: the first tenth of the time is left out."""
    arrivals = list(clicks(load, seconds, seed))
    times = simulate(arrivals, service, replicas)[len(arrivals) // 10 :]
    percentiles = statistics.quantiles(times, n=100)
    work = sum(service.decode + (service.encode if click.new else 0) for click in arrivals) / 1000
    return Report(statistics.median(times), percentiles[94], percentiles[98], work / seconds / replicas)


def needed(load: Load, service: Service, p95: float) -> tuple[int, Report]:
    """The fewest replicas with which 95 of 100 clicks are answered in so many milliseconds."""
    work = load.clicks_per_second * (service.decode + load.new * service.encode) / 1000
    replicas = max(int(work) + 1, 1)
    while (found := report(load, service, replicas)).p95 > p95:
        if replicas > 4 * work + 64:
            raise SystemExit(f"no number of replicas answers 95 of 100 clicks in {p95:g} ms: one alone takes longer")
        replicas += max(replicas // 20, 1)
    return replicas, found


def formula(load: Load, service: Service) -> float:
    """Mean milliseconds of a click where all are warm and one replica answers them (M/D/1, Pollaczek-Khinchine)."""
    busy = load.clicks_per_second * service.decode / 1000
    return service.decode * (1 + busy / (2 * (1 - busy))) + service.around


def show(load: Load, service: Service, p95: float, server_ms: float) -> None:
    replicas, found = needed(load, service, p95)
    rate, encodings = load.clicks_per_second, load.clicks_per_second * load.new
    fields = load.annotators * load.windows_per_slide
    print(
        f"{load.annotators:6d} annotators, {rate:6.1f} clicks/s, {encodings:5.1f} encodings/s: {replicas:4d} replicas"
    )
    print(
        f"       click: median {found.median:.0f}, p95 {found.p95:.0f}, p99 {found.p99:.0f} ms; busy {found.busy:.0%}"
    )
    cache = fields * EMBEDDING_MIB / 1024
    print(f"       to forget nothing: {cache:.0f} GiB of embeddings, {cache / replicas:.1f} GiB a replica")
    network = (rate * 2 * LOGIT_BYTES + encodings * PIXEL_BYTES) * 8 / 1e6
    print(f"       between server and replicas: {network:.0f} Mbit/s")
    print(f"       servers, each a Python process: {rate * server_ms / 1000:.1f} cores of theirs")


async def check(minutes: float, annotators: int, per_minute: float) -> None:
    """The same clicks asked of the local engine (one replica, one thread) and of the simulation."""
    from wsisam_model import WsiSam  # noqa: PLC0415 - the simulation needs nothing of wsisam
    from wsisam_server.core.settings import MIB  # noqa: PLC0415
    from wsisam_server.inference.scheduler import Device, LocalEngine  # noqa: PLC0415

    device = Device(8192 * MIB, threads=1)
    engine = LocalEngine(await device.load(lambda: WsiSam.from_name("wsisam-lite")), device)
    await engine.warm_up()
    load = Load(annotators, per_minute)
    arrivals = list(clicks(load, minutes * 60, 7))
    encodes, decodes = [], []
    own: dict[int, Service] = {}
    started = time.perf_counter()

    async def ask(number: int, click: Click) -> float:
        await asyncio.sleep(max(started + click.at - time.perf_counter(), 0))
        asked = time.perf_counter()
        answer = await engine.predict(job(click.field))
        if answer.times.encode:
            encodes.append(answer.times.encode)
        decodes.append(answer.times.decode)
        own[number] = Service(answer.times.encode, answer.times.decode, 0.0)
        return (time.perf_counter() - asked) * 1000

    measured = await asyncio.gather(*(ask(number, click) for number, click in enumerate(arrivals)))
    await device.close()
    service = Service(statistics.mean(encodes), statistics.mean(decodes), 1.0)  # reading costs nothing here
    with_means, with_own = simulate(arrivals, service, 1), simulate(arrivals, service, 1, own)
    print(f"{len(arrivals)} clicks in {minutes:g} min, {len(encodes)} fields")
    print(f"an encoding takes {service.encode:.0f} ms, a decoding {service.decode:.0f} ms")
    for name, times in (("measured", measured), ("each step's own time", with_own), ("mean of the steps", with_means)):
        percentiles = statistics.quantiles(times, n=100)
        print(
            f"{name:>20}: median {statistics.median(times):6.0f}, mean {statistics.mean(times):6.0f}, "
            f"p75 {percentiles[74]:6.0f}, p95 {percentiles[94]:6.0f} ms"
        )
    warm = Load(1, 60 * 10, 0.0)
    one = Service(0.0, 50.0, 0.0)
    mean = statistics.mean(simulate(list(clicks(warm, 3000, 3)), one, 1))
    print(f"all warm, 10 clicks/s of 50 ms: simulated mean {mean:.1f} ms, by the formula {formula(warm, one):.1f} ms")


def job(field: int) -> Job:
    """A box in a field of its own."""
    import numpy as np  # noqa: PLC0415

    from wsisam_server.core.geometry import Box, FieldPair, Window  # noqa: PLC0415
    from wsisam_server.core.prompt import SlidePrompt  # noqa: PLC0415
    from wsisam_server.inference.scheduler import Job  # noqa: PLC0415

    x = 1000.0 * field
    image = np.full((256, 256, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 130)
    box = SlidePrompt(box=Box(x + 60, 60, x + 190, 190))
    return Job("slide", lambda _: image, FieldPair(Window(x, 0.0, 1.0, 256)), box)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--annotators", type=int, nargs="*", default=[10, 100, 1000])
    arguments.add_argument("--clicks-per-minute", type=float, default=6.0)
    arguments.add_argument("--new", type=float, default=0.2, help="Share of clicks that need a new field.")
    arguments.add_argument("--windows", type=int, default=40, help="Fields that are worked on in an open slide.")
    arguments.add_argument("--encode-ms", type=float, default=931.0)
    arguments.add_argument("--decode-ms", type=float, default=83.0)
    arguments.add_argument("--around-ms", type=float, default=25.0)
    arguments.add_argument("--server-ms", type=float, default=15.0, help="That the server computes for a click.")
    arguments.add_argument("--p95-ms", type=float, default=2500.0)
    arguments.add_argument("--check", action="store_true", help="Compare with this machine's engine, one thread.")
    arguments.add_argument("--minutes", type=float, default=3.0)
    options = arguments.parse_args()
    if options.check:
        asyncio.run(check(options.minutes, 3, options.clicks_per_minute))
        return
    service = Service(options.encode_ms, options.decode_ms, options.around_ms)
    load = Load(1, options.clicks_per_minute, options.new, options.windows)
    for annotators in options.annotators:
        show(replace(load, annotators=annotators), service, options.p95_ms, options.server_ms)


if __name__ == "__main__":
    main()
