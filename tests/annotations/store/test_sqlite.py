"""The contract on SQLite."""

import pytest

from annotations.store.contract import StoreContract


class TestSqlite(StoreContract):
    @pytest.fixture
    def where(self, sqlite_path):
        return str(sqlite_path)
