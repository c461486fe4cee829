"""Every revision has a digest over all that it says and over the revision before it; what may change, a checksum.

Older revisions get theirs as they are found: what was changed before the upgrade is not seen by it.
"""

import sqlalchemy as sa
from alembic import op

from wsisam_server.annotations.store import chain, tables

revision = "wsisam_0003"
down_revision = "wsisam_0002"

_AT_ONCE = 1000


def upgrade() -> None:
    """Adds the columns, and fills them."""
    op.add_column("revision", sa.Column("chain", sa.LargeBinary(32)))
    for table in ("slide", "request", "store"):
        op.add_column(table, sa.Column("checksum", sa.LargeBinary(32)))
    op.create_index("ix_slide_uri_slide", "slide_uri", ["slide"])
    connection = op.get_bind()
    _chain(connection)
    _slides(connection)
    _requests(connection)
    for identity in connection.execute(sa.select(tables.store.c.identity)).scalars().all():
        connection.execute(sa.update(tables.store).values(checksum=chain.of_store(identity)))


def _chain(connection: sa.Connection) -> None:
    column = tables.revision.c
    names = ("number", "annotation_id", "previous", "kind", "at", "author", "x0", "y0", "x1", "y1", "digest")
    query = (
        sa.select(*(column[name] for name in names), tables.slide.c.slide_id)
        .join(tables.slide, tables.slide.c.number == column.slide)
        .order_by(column.number)
        .limit(_AT_ONCE)
    )
    update = sa.update(tables.revision).where(column.number == sa.bindparam("n")).values(chain=sa.bindparam("link"))
    before, number = chain.START, 0
    while rows := connection.execute(query.where(column.number > number)).mappings().all():
        links = []
        for row in rows:
            before, number = chain.link(before, row), row["number"]
            links.append({"n": number, "link": before})
        connection.execute(update, links)


def _slides(connection: sa.Connection) -> None:
    slide, place = tables.slide.c, tables.slide_uri.c
    query = sa.select(slide.number, slide.slide_id, slide.width, slide.height)
    for row in connection.execute(query).all():
        uris = sa.select(place.uri).where(place.slide == row.number).order_by(place.number)
        checksum = chain.of_slide(*row, connection.execute(uris).scalars())
        connection.execute(sa.update(tables.slide).where(slide.number == row.number).values(checksum=checksum))


def _requests(connection: sa.Connection) -> None:
    column = tables.request.c
    query = sa.select(column.request_id, column.fingerprint, column.answer, column.at)
    found = [{"n": row.request_id, "sum": chain.of_request(*row)} for row in connection.execute(query)]
    if found:
        update = sa.update(tables.request).where(column.request_id == sa.bindparam("n"))
        connection.execute(update.values(checksum=sa.bindparam("sum")), found)
