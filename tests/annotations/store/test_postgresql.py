"""The contract on PostgreSQL."""

import pytest

from annotations.store.contract import StoreContract


class TestPostgresql(StoreContract):
    @pytest.fixture
    def where(self, postgres):
        return postgres()
