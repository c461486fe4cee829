"""The replicas as a Ray Serve application. The only module that imports Ray, beside `batching`."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

# Before Ray is imported: it would tell its makers that it was started.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import grpc
import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.exceptions import RayServeException

from wsisam_server.inference.cluster.errors import ClusterError, ReplicaLostError
from wsisam_server.inference.cluster.head_check import JOIN_SECONDS, within
from wsisam_server.inference.cluster.replica import Replica

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

    from wsisam_server.core.geometry import Window
    from wsisam_server.core.settings import Ray
    from wsisam_server.inference.cluster.calls import Pixels, Refused, ReplicaCall, Reply
    from wsisam_server.inference.cluster.replica_config import ReplicaConfig

_log = logging.getLogger(__name__)

ROUTER: Final = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
"""A hash ring over the replicas: asked for the same place, it names the same replica while there is that one."""

NEXT_ON_THE_RING: Final = 2
"""Replicas that the router tries when the one it named does not answer."""

NO_LIMIT: Final = 10_000
"""Calls at one replica, as Ray counts them. Never reached: this server sends few, and orders them itself."""

DEPLOYMENT: Final = "replica"
POLL_SECONDS: Final = 0.5
SHUTDOWN_SECONDS: Final = 5.0

SECONDS_TO_TAKE_OVER: Final = 10.0
"""How long Ray may take to notice that a server has ended whose name another wants."""

FAILED: Final = "failed to start"
"""What Ray says of a deployment whose replicas raise as they are made."""


class RayReplicas:
    """Starts, calls and ends the replicas.

    Args:
        settings: where they run, and how many.
    """

    def __init__(self, settings: Ray) -> None:
        self._settings = settings
        self._handle: DeploymentHandle[Any] | None = None
        self._count = 0
        self._failed = ""
        self._owner: Any = None
        self._connected = False

    @property
    def count(self) -> int:
        """Replicas that ran at the last poll."""
        return self._count

    def connect(self) -> None:
        """Joins or starts Ray. Blocks. Ray then handles SIGTERM, by aborting this process.

        Raises:
            ClusterError: there is no cluster, or this machine is none of its nodes.
        """
        if ray.is_initialized():
            return
        alone = self._settings.address is None
        if alone:
            # Ray has its workers give way to all else on a machine; here people wait for them.
            os.environ.setdefault("RAY_worker_niceness", "0")
        join = partial(
            ray.init,
            self._settings.address or "local",
            include_dashboard=False if alone else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            if alone:
                join()  # on this thread: what Ray starts ends with the thread that started it
            else:
                within(JOIN_SECONDS, join)
        except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"no Ray cluster at {self._settings.address}: {error}. This machine must be one of its nodes "
                "('ray start --address=HEAD:6379 --num-cpus=0' lets it join without working), and have the cluster's "
                "token if that asks for one (RAY_AUTH_MODE=token; docs/scale.md)"
            ) from error
        self._connected = True

    def start(self, config: ReplicaConfig) -> None:
        """Waits until the replicas run. Blocks.

        Raises:
            ClusterError: there is no room for them, or one cannot start.
        """
        settings = self._settings
        self._take_name()
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        # No port for HTTP: prompts come in through this server alone.
        serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
        application = self._deployment().bind(config)
        targets = [serve.RunTarget(application, name=settings.name, route_prefix=None)]
        self._handle = serve.run_many(targets, wait_for_applications_running=False)[0]
        deadline = time.monotonic() + settings.start_seconds
        while not self._running():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"after {settings.start_seconds:g} s, {self._count} of {settings.replicas} replicas run. Each "
                    f"needs a node with {settings.cpus:g} free CPU cores and {settings.gpus:g} GPUs ('ray status' says "
                    "what there is); a large model may also need more time (start_seconds)"
                )
            time.sleep(POLL_SECONDS)

    async def encode(self, call: ReplicaCall, pixels: Pixels) -> Reply:
        """See `Replicas.encode`. The pixels go through Ray's object store."""
        reply: Reply = await self._ask("encode", call, pixels, by_reference=bool(pixels))
        return reply

    async def predict(self, call: ReplicaCall) -> Reply:
        """See `Replicas.predict`. Prompt and logits go from process to process, past the object store."""
        reply: Reply = await self._ask("predict", call, by_reference=False)
        return reply

    async def to_encode(self, call: ReplicaCall) -> list[Window] | Refused:
        """See `Replicas.to_encode`."""
        windows: list[Window] | Refused = await self._ask("to_encode", call, by_reference=False)
        return windows

    def look(self) -> None:
        """Asks Ray how many replicas run, and why no other does. Blocks."""
        try:
            _, why = self._status()
        except Exception as error:  # noqa: BLE001 - whatever fails in Ray, the last known state stays in use
            _log.warning("Ray does not say how many replicas run: %s", error)
            return
        failed = _last_words(why) if FAILED in why else ""
        if failed and failed != self._failed:
            _log.error("a replica could not be started: %s", why)
        self._failed = failed

    def close(self) -> None:
        """Ends the replicas, and Ray if it was started here. Blocks."""
        if self._handle is not None:
            try:
                serve.delete(self._settings.name)
            except (RayError, RayServeException) as error:
                _log.warning("the replicas could not be ended: %s", error)
        if self._owner is not None:
            try:
                ray.kill(self._owner)
            except RayError as error:
                _log.warning("the application's name is given up with this process only: %s", error)
            self._owner = None
        if self._connected:
            ray.shutdown()
            self._connected = False

    def _take_name(self) -> None:
        """Makes the application's name this server's: Ray would put the replicas of a second in the place of ours.

        The name is that of an actor which does nothing, and which Ray ends with this process, however that ends.

        Raises:
            ClusterError: another server has it, and runs.
        """

        class Owner:  # in here, so that no node has to import this module
            pass

        options = {"name": f"server of {self._settings.name}", "namespace": "wsisam", "num_cpus": 0}
        deadline = time.monotonic() + SECONDS_TO_TAKE_OVER
        while True:
            try:
                self._owner = ray.remote(Owner).options(**options).remote()
            except ValueError as error:
                if time.monotonic() < deadline:  # of a server that has just ended, perhaps
                    time.sleep(POLL_SECONDS)
                    continue
                raise ClusterError(
                    f"another server on this cluster has the application name {self._settings.name!r}, and would lose "
                    "its replicas to this one. Give this one another name (name in the configuration's part 'ray', or "
                    "WSISAM_RAY__NAME)"
                ) from error
            return

    def _deployment(self) -> serve.Deployment:
        settings = self._settings
        most = max(settings.replicas, settings.max_replicas or 0)
        number: dict[str, Any] = {"num_replicas": settings.replicas}
        if most > settings.replicas:
            number = {
                "autoscaling_config": AutoscalingConfig(
                    min_replicas=settings.replicas,
                    max_replicas=most,
                    target_ongoing_requests=settings.ongoing_per_replica,
                    upscale_delay_s=settings.upscale_seconds,
                    downscale_delay_s=settings.downscale_seconds,
                )
            }
        return serve.deployment(
            name=DEPLOYMENT,
            ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
            max_ongoing_requests=NO_LIMIT,
            health_check_period_s=settings.health_seconds,
            graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
            graceful_shutdown_wait_loop_s=POLL_SECONDS,
            request_router_config=RequestRouterConfig(
                request_router_class=ROUTER,  # type: ignore[arg-type]
                request_router_kwargs={"num_fallback_replicas": NEXT_ON_THE_RING},
            ),
            **number,
        )(Replica)

    def _running(self) -> bool:
        """Whether all replicas run that always shall.

        Raises:
            ClusterError: they cannot.
        """
        status, problem = self._status()
        if status == "DEPLOY_FAILED":
            _log.error("a replica could not be started: %s", problem)
            raise ClusterError(f"a replica could not be started: {_last_words(problem)}")
        return status == "RUNNING" and self._count >= self._settings.replicas

    def _status(self) -> tuple[str, str]:
        application = serve.status().applications.get(self._settings.name)
        if application is None:
            self._count = 0
            return "NOT_STARTED", ""
        deployment = application.deployments.get(DEPLOYMENT)
        states = {} if deployment is None else deployment.replica_states
        self._count = sum(number for state, number in states.items() if state == "RUNNING")
        # The application says that a deployment failed; only the deployment says why.
        why = "" if deployment is None else deployment.message
        return application.status.name, why or application.message

    @property
    def _hopeless(self) -> str:
        """Why no replica will answer; empty while one may."""
        return f"no replica runs, and none can be started: {self._failed}" if self._failed and not self._count else ""

    async def _ask(self, method: str, call: ReplicaCall, *payload: object, by_reference: bool) -> Any:
        assert self._handle is not None
        handle = self._handle.options(method_name=method, session_id=call.ring_key, _by_reference=by_reference)
        response = handle.remote(call, *payload)
        # A task of its own tells a call that was cancelled here from one that Ray has cancelled.
        answer = asyncio.ensure_future(_result(response))
        # Retrieves its error, as a cancelled caller does not.
        answer.add_done_callback(lambda task: task.cancelled() or task.exception())
        deadline = time.monotonic() + self._settings.answer_seconds
        try:
            while not answer.done() and (left := deadline - time.monotonic()) > 0 and not self._hopeless:
                await asyncio.wait({answer}, timeout=min(left, POLL_SECONDS))
        finally:
            if not answer.done():
                response.cancel()  # type: ignore[no-untyped-call]
                answer.cancel()
        if not answer.done():
            why = self._hopeless or f"no answer in {self._settings.answer_seconds:g} s"
            raise ReplicaLostError(f"{method}: {why}")
        if answer.cancelled():
            raise ReplicaLostError(f"{method}: cancelled by Ray")
        try:
            return answer.result()
        except RayTaskError:  # raised by our own code there: a bug
            raise
        except (RayError, RayServeException, grpc.RpcError) as error:
            raise ReplicaLostError(f"{method}: {type(error).__name__}: {error}") from error


def _last_words(problem: str) -> str:
    """The line of a traceback that says what is wrong."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    return lines[-1] if lines else "Ray does not say why"


async def _result(response: Any) -> Any:
    return await response
