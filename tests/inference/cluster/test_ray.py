"""A server on a Ray cluster of several nodes on this machine: the engines' contract, and replicas and nodes that die."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import psutil
import pytest

from support import failing_device
from support.engine_contract import EngineContract, job, slide
from support.one_window import one_window
from support.server import DISCS, around, iou, start, write_picture
from support.waiting import until
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, geometry, status_error
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB, Limits, Ray
from wsisam_server.inference.cluster import ClusterError, ClusterModels, ModelFactory
from wsisam_server.inference.scheduler import Device, LocalEngine
from wsisam_server.inference.weights import ServedModels, WeightsFolder

__all__ = ["slide"]  # a fixture of the contract

REPLICAS = 2
CORES = 1
"""Of each node, as Ray counts them: it begins with as many idle workers."""
FIELDS = [1000.0 * n for n in range(4)]
REVISIONS = 6
SLIDE = "7" * 64
NAME = f"wsisam-test-{os.getpid()}"
LIMITS = Limits(embedding_cache_bytes=512 * MIB, prefetched_fields=0)
pytestmark = [
    pytest.mark.slow,
    # Ray leaves sockets and files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

load = one_window


def started(start, times=3):
    """Starts a node again where it took longer than the half minute that Ray has fixed."""
    for _ in range(times - 1):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


@pytest.fixture(scope="module")
def cluster(ray):
    """A head that works on nothing, and two nodes of which one has room for all that these tests start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * MIB}
        cluster = started(partial(ray.cluster_utils.Cluster, initialize_head=True, head_node_args=head))
        add = partial(cluster.add_node, num_cpus=CORES, object_store_memory=100 * MIB)
        nodes = [started(add) for _ in range(2)]
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        for module in (failing_device, sys.modules[one_window.__module__]):
            ray.cloudpickle.register_pickle_by_value(module)  # replicas have no tests to import
        yield cluster, nodes
        ray.serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
        gc.collect()


@pytest.fixture(scope="module")
def running(cluster, tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    folder = WeightsFolder(root / "weights")
    (root / "flags").mkdir()
    settings = Ray(
        name=NAME, replicas=REPLICAS, cpus=0.4 * CORES, health_seconds=1.0, decode_batch=4, start_seconds=200.0
    )
    factory = ModelFactory(partial(failing_device.load, root / "flags"), partial(ServedModels, folder))
    models = ClusterModels(factory, ServedModels(folder), settings, LIMITS, store=root / "embeddings")
    running, stop = start(load, root, models=models, limits=LIMITS)
    yield running
    stop()


class Elsewhere:
    """The server's engine, asked from another loop than the server's."""

    def __init__(self, running):
        self.loop = running.loop
        self.engine = running.app.models._engine(running.app.models.info(""))
        self.missing_windows = self.engine.missing_windows

    async def predict(self, job):
        return await self._there(self.engine.predict(job))

    async def prefetch(self, job):
        return await self._there(self.engine.prefetch(job))

    async def _there(self, answering):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answering, self.loop))


@pytest.fixture
def engine(running):
    return Elsewhere(running)


@pytest.fixture
def cache(running):
    return running.app.models.device.cache


@pytest.fixture(scope="module")
def model():
    return load()


def unreadable(window):
    raise WsiSamServerError(Reason.SLIDE_UNREADABLE)


@pytest.fixture
async def reference(model):
    one_thread = Device(64 * MIB, threads=1)
    yield LocalEngine(model, one_thread)
    await one_thread.close()


@pytest.fixture(scope="module")
def expected(model):
    """A local engine's answers, by field."""

    async def answers():
        device = Device(256 * MIB, threads=1)
        engine = LocalEngine(model, device)
        asked = [job(x) for x in FIELDS]
        logits = {one.field: (await engine.predict(one)).logits for one in asked}
        await device.close()
        return logits

    return asyncio.run(answers())


def replicas(of=None):
    """The processes of this test's replicas, below a node's own if one is given."""
    below = psutil.Process(of.all_processes["raylet"][0].process.pid if of else os.getpid()).children(recursive=True)
    return [process for process in below if NAME in " ".join(process.cmdline())]


def until_all_run(running):
    """Waits until Ray has replaced what was lost."""
    until(lambda: running.app.models._replicas.count == len(replicas()) == REPLICAS, 120, pause=0.2)


async def answered_while(engine, expected, slide, something, **more):
    """Asks 16 prompts in four fields while something is lost, and the fields again."""
    asked = [job(x, slide, interactive=n % 2 == 0, principal=str(n % 3), **more) for n in range(4) for x in FIELDS]
    await asyncio.gather(*(engine.predict(one) for one in asked[:2]))
    answering = [asyncio.ensure_future(engine.predict(one)) for one in asked]
    await asyncio.sleep(0.3)
    something()
    outcomes = await asyncio.gather(*answering, return_exceptions=True)
    answered = 0
    for one, outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, WsiSamServerError), repr(outcome)
            assert outcome.reason is Reason.ENGINE_UNAVAILABLE
            assert outcome.retry_seconds
        else:
            assert np.array_equal(outcome.logits, expected[one.field])
            answered += 1
    assert answered >= 8
    # What was lost is computed again by those who are left.
    for one in asked[: len(FIELDS)]:
        assert np.array_equal((await engine.predict(one)).logits, expected[one.field])


async def at_last(engine, asked):
    """The answer, asked for as a client does: again, when it is told to."""
    while True:
        try:
            return await engine.predict(asked)
        except WsiSamServerError as error:
            if error.reason is not Reason.ENGINE_UNAVAILABLE:
                raise
        await asyncio.sleep(1)


def annotate(running):
    """Prompts on three objects, again and again, in one session: answers by object and revision, and errors."""
    with Client(running.target, timeout=120) as client:
        opened = client.open_slide(str(running.root / "discs.png"))

        def prompts():
            for revision in range(1, REVISIONS + 1):
                for name in DISCS:
                    prompt = around(name, margin=6 + revision)
                    yield pb.InteractRequest(prompt=pb.PromptRevision(object_id=name, revision=revision, prompt=prompt))
                time.sleep(0.5)

        heard = list(client.interact(pb.Start(slide_id=opened.slide_id), prompts()))
    answers = {(one.outline.object_id, one.outline.revision): one.outline for one in heard if one.HasField("outline")}
    return answers, [status_error(one.error.error).reason for one in heard if one.HasField("error")]


class TestContract(EngineContract):
    pass


async def test_windows_stay_with_the_replica_that_has_them(engine, cache, slide):
    before = cache.counters.evicted
    first = await asyncio.gather(*(engine.predict(job(1000.0 * n, slide)) for n in range(4)))
    second = await asyncio.gather(*(engine.predict(job(1000.0 * n, slide)) for n in range(4)))
    assert [answer.times.encoder_runs for answer in first] == [1] * 4
    assert [answer.times.encoder_runs for answer in second] == [0] * 4
    assert cache.counters.evicted == before  # no replica lacked what it was believed to have


async def test_a_replica_dies_under_load_and_takes_no_answer_and_no_session_with_it(running, engine, expected, slide):
    until_all_run(running)
    with ThreadPoolExecutor(1) as annotator:
        annotating = annotator.submit(annotate, running)
        await answered_while(engine, expected, slide, lambda: os.kill(replicas()[0].pid, signal.SIGKILL))
        answers, errors = await asyncio.wrap_future(annotating)
    assert set(errors) <= {"SUPERSEDED", "ENGINE_UNAVAILABLE"}
    for name in DISCS:  # the last of each, when all was well again
        assert iou(geometry(answers[name, REVISIONS].outline.geometry), name) > 0.7


async def test_a_node_dies_under_load_and_takes_no_answer_with_it(cluster, running, engine, expected):
    until_all_run(running)

    def die():
        nodes = cluster[1]
        (lost,) = [node for node in nodes if replicas(node)][:1]
        cluster[0].remove_node(lost, allow_graceful=False)
        nodes.remove(lost)

    await answered_while(engine, expected, SLIDE, die, is_lasting=True)


async def test_all_devices_fail_and_what_lies_on_the_disk_is_not_encoded_again(running, engine, expected):
    """Follows the one before, whose slide it goes on with."""
    stored = running.root / "embeddings" / SLIDE
    until(lambda: len(list(stored.glob("*.embedding"))) == len(FIELDS), 120)
    failed = replicas()
    for process in failed:
        failing_device.fail(running.root / "flags", process.pid)
    for x in FIELDS:
        answer = await at_last(engine, job(x, SLIDE, read=unreadable, is_lasting=True))
        assert np.array_equal(answer.logits, expected[job(x).field])
        assert (answer.times.encoder_runs, answer.times.encode) == (0, 0)
    assert not set(failed) & set(replicas())


def test_a_second_server_of_the_same_name_is_refused(running, monkeypatch):
    until_all_run(running)  # Ray still replaces those whose devices failed
    monkeypatch.setattr("wsisam_server.inference.cluster.deploy.SECONDS_TO_TAKE_OVER", 1.0)
    before = set(replicas())
    models = ClusterModels(ModelFactory(load, None), None, Ray(name=NAME), LIMITS)

    async def begin():
        try:
            await models.start(load)
        finally:
            await models.close()

    with pytest.raises(ClusterError, match=f"application name '{NAME}'"):
        asyncio.run(begin())
    assert before <= set(replicas()), "the first one's replicas run"


async def test_replicas_that_may_not_start_are_said_quickly(running, engine, caplog):
    """The last one with these replicas: none comes back."""
    failing_device.change_model(running.root / "flags")
    for process in replicas():
        process.kill()
    until(lambda: "this machine has the model" in caplog.text, 120)
    began = time.monotonic()
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job(99_000.0, SLIDE))
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert "this machine has the model" in caught.value.private
    assert time.monotonic() - began < 30, "not the two minutes that a call may take"


def test_the_program_serves_as_it_is_told_to_and_stops(ray, cluster, tmp_path):
    slide = tmp_path / "discs.png"
    write_picture(slide)
    options = ["--engine", "ray", "--ray-address", cluster[0].address, "--ray-cpus", "0.1", "--port", "0"]
    options += ["--slides", tmp_path, "--store", "none", "--low-resolution", "middle"]
    command = [sys.executable, "-m", "wsisam_server", "serve", *options]
    environment = os.environ | {"WSISAM_RAY__NAME": f"{NAME}-program", "WSISAM_RAY__START_SECONDS": "100"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            while "serving wsisam-lite on " not in (line := server.stdout.readline()):
                assert line or server.poll() is None, server.stderr.read()
            with Client(line.split()[-1], timeout=120) as client:
                opened = client.open_slide(str(slide))
                answer = client.segment(pb.SegmentRequest(slide_id=opened.slide_id, prompt=around("a")))
            server.send_signal(signal.SIGTERM)
            said, errors = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0, errors
    assert "wsisam: stopping" in said
    assert f"{NAME}-program" not in ray.serve.status().applications
    # The replica read the low-resolution image, too.
    assert answer.timings.encoder_runs == 2
    assert iou(geometry(answer.geometry), "a") > 0.7


def test_a_replica_that_cannot_be_placed_is_said(cluster):
    settings = Ray(name=f"{NAME}-large", cpus=99.0, start_seconds=1.0)
    models = ClusterModels(ModelFactory(load, None), None, settings, LIMITS)

    async def begin():
        try:
            await models.start(load)
        finally:
            await models.close()

    with pytest.raises(ClusterError, match="99 free CPU cores"):
        asyncio.run(begin())
