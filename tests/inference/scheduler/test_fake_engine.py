"""The double on which the rooms above are tested, held to what every engine must do."""

import pytest

from support.engine_contract import EngineContract, slide
from support.fake_engine import FakeEngine

__all__ = ["slide"]


class TestFakeEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return FakeEngine()

    @pytest.fixture
    def reference(self):
        return FakeEngine()

    @pytest.fixture
    def cache(self, engine):
        return engine
