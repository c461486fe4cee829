"""Ray, imported for tests: without it they are listed as not run. Its own warnings while it is imported are not ours."""

import importlib
import os
import warnings

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Tests wait for replicas; what else runs on this machine shall not go before them.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ray = pytest.importorskip("ray", reason='needs Ray Serve: pip install ".[ray]"', exc_type=ImportError)
    for part in ("cluster_utils", "serve"):
        importlib.import_module(f"ray.{part}")

__all__ = ["ray"]
