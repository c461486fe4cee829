"""The form of a store: made once, upgraded on request, refused when it is newer."""

import hashlib
import shutil
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from annotations.store.examples import EVERYTHING, SLIDE, draft, request, same
from wsisam_server.annotations.store import Draft, Level, StoreError, open_store, record, shape, tables, upkeep
from wsisam_server.annotations.store.database import Database
from wsisam_server.annotations.store.location import parse
from wsisam_server.annotations.store.schema import MIGRATIONS, VERSION_TABLE, Schema

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


FIRST = replace(EVERYTHING, provenance=replace(EVERYTHING.provenance, levels=()))
"""What the first form could hold."""

DIGEST_OF_FIRST = bytes.fromhex("472e9dba1672d12c4133a8fece5eb5d137b052db092f40634059b2ac94ec9042")
"""As the program with that form computed it."""


@pytest.fixture
def first_form(where, tmp_path):
    """A store of the first form with one annotation, and the annotation's id."""
    folder = tmp_path / "first"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__", "v000[2-9]*"))
    database = Database(parse(where))
    with database.writing() as connection:
        Schema(folder)._migrate(connection)
        connection.execute(sa.insert(tables.store).values(id=1, identity=str(uuid.uuid4()), revision=0))
    (wkb,) = shape.to_wkb([FIRST.shape])
    x0, y0, x1, y1 = FIRST.shape.bounds
    said = record.to_row(record.columns(FIRST, wkb))
    del said["levels"]
    new = uuid.uuid4()
    bounds = {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "slide": 1, "author": "a"}
    row = {**said, **bounds, "number": 1, "annotation_id": new, "kind": 1, "at": 0, "digest": DIGEST_OF_FIRST}
    now = {"id": new, "revision": 1, "deleted": False, "created": 0, "creator": "a"}
    with database.writing() as connection:
        connection.execute(sa.insert(tables.slide), {"number": 1, "slide_id": SLIDE})
        place = {"slide": 1, "uri": "file:///s.svs", "digest": hashlib.sha256(b"file:///s.svs").digest()}
        connection.execute(sa.insert(tables.slide_uri), place)
        answered = {"request_id": "r", "fingerprint": b"f", "answer": "[[1,0]]", "at": 0}
        connection.execute(sa.insert(tables.request), answered)
        connection.execute(sa.insert(tables.revision), row)
        connection.execute(
            sa.insert(tables.annotation),
            {**now, **bounds, "project": said["project"], "class_name": said["class_name"]},
        )
        connection.execute(sa.update(tables.store).values(revision=1))
    database.close()
    return new


def test_a_store_of_the_first_form_keeps_its_revisions_and_takes_levels(where, first_form):
    assert "levels" not in columns(where, "revision")
    with pytest.raises(StoreError, match="wsisam db upgrade"):
        open_store(where)
    with pytest.raises(StoreError, match="older"):
        upkeep.check(where)
    assert upkeep.upgrade(where) == ("wsisam_0001", Schema().version)
    with open_store(where) as store:
        assert same(store.get(first_form).content, FIRST)
        # Its digest is the one of then: the same again is no change.
        (saved,) = store.save([Draft(first_form, FIRST, 1)], author="a", request_id=request())
        assert (saved.revision, saved.unchanged) == (1, True)
        store.save([Draft(first_form, EVERYTHING, 1)], author="a", request_id=request())
        assert same(store.get(first_form).content, EVERYTHING)
        assert same(store.get(first_form, 1).content, FIRST)
    found = upkeep.check(where)
    assert (found.problems, found.revisions) == ((), 2)


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_an_older_store_is_backed_up_before_its_upgrade(where, first_form, tmp_path):
    upkeep.backup(where, tmp_path / "before.sqlite")
    upkeep.upgrade(where)
    assert upkeep.upgrade(str(tmp_path / "before.sqlite")) == ("wsisam_0001", Schema().version)
    with open_store(str(tmp_path / "before.sqlite")) as store:
        assert same(store.get(first_form).content, FIRST)


def test_levels_count_in_the_digest_and_damaged_ones_are_noticed(where):
    new = Draft(uuid.uuid4(), EVERYTHING)
    with open_store(where) as store:
        store.save([new], author="a", request_id=request())
    database = Database(parse(where))
    with database.writing() as connection:
        connection.execute(sa.update(tables.revision).values(levels="[[1.0,1]]"))
    database.close()
    assert len(upkeep.check(where).problems) == 1


@pytest.mark.parametrize(
    ("downsample", "windows"), [(0, 1), (-2, 1), (float("nan"), 1), (float("inf"), 1), (1, -1), (1, 2**31)]
)
def test_scales_that_cannot_be(downsample, windows):
    with pytest.raises(ValueError, match="Level needs"):
        Level(downsample, windows)


def test_a_newer_store_is_refused_with_what_to_do(where, make_next):
    open_store(where, schema=make_next()).close()
    for call in (open_store, upkeep.upgrade):
        with pytest.raises(StoreError, match="newer wsisam") as caught:
            call(where)
            assert "Install that release" in str(caught.value)
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
    code = "import sys; from wsisam_server.annotations.store import open_store; print(open_store(sys.argv[1]).identity)"
    programs = [
        subprocess.Popen([sys.executable, "-c", code, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [program.communicate() for program in programs]
    assert [program.returncode for program in programs] == [0] * 3, outputs
    assert len({out for out, _ in outputs}) == 1
