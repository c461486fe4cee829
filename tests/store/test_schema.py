"""The form of a store: made once, upgraded on request, refused when it is newer."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from store.examples import EVERYTHING, draft, request, same
from wsisam_server.store import Draft, StoreError, open_store, tables, upkeep
from wsisam_server.store.database import Database
from wsisam_server.store.location import parse
from wsisam_server.store.schema import MIGRATIONS, VERSION_TABLE, Schema

NEXT = '''
"""A form that does not exist yet."""
import sqlalchemy as sa
from alembic import op
revision = "wsisam_test"
down_revision = {before!r}
def upgrade():
    op.add_column("slide", sa.Column("stain", sa.Text))
    {more}
'''


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    return str(tmp_path / "a.sqlite") if request.param == "sqlite" else request.getfixturevalue("postgres")()


@pytest.fixture
def make_next(tmp_path):
    """Makes the schema of a program that is one version ahead."""

    def make(more="pass"):
        folder = tmp_path / f"migrations {len(list(tmp_path.iterdir()))} 100%"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "next.py").write_text(NEXT.format(before=Schema().version, more=more))
        return Schema(folder)

    return make


def columns(where, table):
    database = Database(parse(where))
    with database.reading() as connection:
        found = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    database.close()
    return found


def test_the_migrations_make_the_tables_that_the_program_uses(where):
    open_store(where).close()
    database = Database(parse(where))
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    database.close()


def test_an_older_store_is_refused_until_it_is_upgraded_and_then_all_is_there(where, make_next):
    new = Draft(draft().id, EVERYTHING)
    with open_store(where) as store:
        store.save([new], author="a", request_id=request())
        identity = store.identity
    ahead = make_next()
    with pytest.raises(StoreError, match="wsisam db upgrade"):
        open_store(where, schema=ahead)
    assert upkeep.upgrade(where, ahead) == (Schema().version, "wsisam_test")
    assert upkeep.upgrade(where, ahead) == ("wsisam_test", "wsisam_test")
    assert "stain" in columns(where, "slide")
    with open_store(where, schema=ahead) as store:
        assert same(store.get(new.id).content, EVERYTHING)
        assert store.identity == identity
        store.save([draft()], author="a", request_id=request())


def test_a_newer_store_is_refused_with_what_to_do(where, make_next):
    open_store(where, schema=make_next()).close()
    for call in (open_store, upkeep.upgrade):
        with pytest.raises(StoreError, match="newer wsisam") as caught:
            call(where)
        assert "--upgrade" in str(caught.value)
    with pytest.raises(StoreError, match="newer"):
        upkeep.check(where)


def test_an_upgrade_that_fails_changes_nothing(where, make_next):
    open_store(where).close()
    with pytest.raises(ZeroDivisionError):
        upkeep.upgrade(where, make_next("1 / 0"))
    assert "stain" not in columns(where, "slide")
    open_store(where).close()


def test_what_is_no_store_cannot_be_upgraded(where):
    with pytest.raises(StoreError, match="'wsisam serve' makes one"):
        upkeep.upgrade(where)


def test_several_who_make_a_store_at_once_make_one(where):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(where), range(4)))
    assert len({store.identity for store in stores}) == 1
    for store in stores:
        store.close()


def test_several_programs_that_make_a_store_at_once_make_one(where):
    code = "import sys; from wsisam_server.store import open_store; print(open_store(sys.argv[1]).identity)"
    programs = [
        subprocess.Popen([sys.executable, "-c", code, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [program.communicate() for program in programs]
    assert [program.returncode for program in programs] == [0] * 3, outputs
    assert len({out for out, _ in outputs}) == 1
