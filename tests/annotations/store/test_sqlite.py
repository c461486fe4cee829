"""The contract on SQLite."""

import pytest

from annotations.store.contract import StoreContract
from annotations.store.fields import FieldsContract


class TestSqlite(StoreContract, FieldsContract):
    @pytest.fixture
    def where(self, sqlite_path):
        return str(sqlite_path)
