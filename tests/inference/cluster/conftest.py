"""Ray, for the tests that need it."""

import pytest


@pytest.fixture(scope="session")
def ray():
    """Imported when a test wants it: that takes seconds, also of a run of other tests."""
    from support.with_ray import ray

    return ray
