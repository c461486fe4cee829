"""The contract on PostgreSQL."""

import pytest

from annotations.store.contract import StoreContract
from annotations.store.fields import FieldsContract


class TestPostgresql(StoreContract, FieldsContract):
    @pytest.fixture
    def where(self, postgres):
        return postgres()
