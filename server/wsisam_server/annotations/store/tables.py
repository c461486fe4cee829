"""The tables. The same on SQLite and PostgreSQL; `migrations` makes them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

store = sa.Table(
    "store",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("identity", sa.String(36), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("checksum", sa.LargeBinary(32)),
    sa.CheckConstraint("id = 1", name="only_row"),
)
"""One row. Whoever writes locks it first: numbers are given out, and become visible, one writer after the other."""

slide = sa.Table(
    "slide",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("slide_id", sa.String(512), nullable=False, unique=True),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("checksum", sa.LargeBinary(32)),
)
"""What is known of slides. `checksum` is of a row and the slide's URIs, see `chain`."""

slide_uri = sa.Table(
    "slide_uri",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("slide", sa.ForeignKey("slide.number"), nullable=False, index=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.UniqueConstraint("digest", "slide"),
)
"""Where slides were seen. URIs are too long for an index; their SHA-256 is in it."""


revision = sa.Table(
    "revision",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("annotation_id", sa.Uuid, nullable=False),
    sa.Column("previous", sa.ForeignKey("revision.number")),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),  # microseconds since 1970, UTC
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("slide", sa.ForeignKey("slide.number"), nullable=False),
    sa.Column("x0", sa.Double, nullable=False),
    sa.Column("y0", sa.Double, nullable=False),
    sa.Column("x1", sa.Double, nullable=False),
    sa.Column("y1", sa.Double, nullable=False),
    sa.Column("class_name", sa.String(512)),
    sa.Column("class_rgb", sa.Integer),
    sa.Column("rgb", sa.Integer),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("project", sa.String(512), nullable=False),
    sa.Column("locked", sa.Boolean, nullable=False),
    sa.Column("shape", sa.LargeBinary, nullable=False),
    sa.Column("measurements", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("weights_hash", sa.Text),
    sa.Column("score", sa.Double),
    sa.Column("prompt", sa.Text),
    sa.Column("field", sa.Text),
    sa.Column("levels", sa.Text),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("chain", sa.LargeBinary(32)),
    sa.Index(None, "annotation_id", "number"),
)
"""Every revision, whole. Rows are added and never touched again. `digest` is of the content, `chain` of all that a row
says and of the chain up to the revision before it, see `chain`."""

annotation = sa.Table(
    "annotation",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("revision", sa.ForeignKey("revision.number"), nullable=False, unique=True),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("creator", sa.String(128), nullable=False),
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("slide", sa.ForeignKey("slide.number"), nullable=False),
    sa.Column("project", sa.String(512), nullable=False),
    sa.Column("class_name", sa.String(512)),
    sa.Column("x0", sa.Double, nullable=False),
    sa.Column("y0", sa.Double, nullable=False),
    sa.Column("x1", sa.Double, nullable=False),
    sa.Column("y1", sa.Double, nullable=False),
    # By slide and by project in the order of revisions, page by page; and by region. A bounding-box index over b-tree
    # columns is scanned for one slide: 7 ms for 100,000 annotations. An R-tree would take under one, costs each
    # insertion five times as much, and exists in one of the two databases only.
    sa.Index(None, "slide", "revision"),
    sa.Index(None, "project", "revision"),
    sa.Index(None, "slide", "x0", "x1", "y0", "y1"),
)
"""Every annotation as it is: which revision that is, and what it is looked for by. Follows from `revision`."""

request = sa.Table(
    "request",
    metadata,
    sa.Column("request_id", sa.String(128), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
    sa.Column("checksum", sa.LargeBinary(32)),
)
"""What calls with a request id were answered, for their repetition."""
