"""What is seen of a store within a scope, on both kinds of database."""

import pytest

from annotations.store.scope import ScopeContract


class TestSqlite(ScopeContract):
    @pytest.fixture
    def where(self, sqlite_path):
        return str(sqlite_path)


class TestPostgresql(ScopeContract):
    @pytest.fixture
    def where(self, postgres):
        return postgres()
