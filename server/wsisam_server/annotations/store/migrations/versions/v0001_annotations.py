"""Annotations with their revisions: the first form of the store."""

import sqlalchemy as sa
from alembic import op

revision = "wsisam_0001"
down_revision = None


def upgrade() -> None:
    """Makes all tables."""
    op.create_table(
        "store",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(36), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
        sa.CheckConstraint("id = 1", name="ck_store_only_row"),
    )
    op.create_table(
        "slide",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("slide_id", sa.String(512), nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.PrimaryKeyConstraint("number", name="pk_slide"),
        sa.UniqueConstraint("slide_id", name="uq_slide_slide_id"),
    )
    op.create_table(
        "slide_uri",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("slide", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_slide_uri"),
        sa.ForeignKeyConstraint(["slide"], ["slide.number"], name="fk_slide_uri_slide"),
        sa.UniqueConstraint("digest", "slide", name="uq_slide_uri_digest"),
    )
    op.create_table(
        "revision",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("annotation_id", sa.Uuid, nullable=False),
        sa.Column("previous", sa.BigInteger),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("slide", sa.Integer, nullable=False),
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
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_revision"),
        sa.ForeignKeyConstraint(["previous"], ["revision.number"], name="fk_revision_previous"),
        sa.ForeignKeyConstraint(["slide"], ["slide.number"], name="fk_revision_slide"),
    )
    op.create_index("ix_revision_annotation_id_number", "revision", ["annotation_id", "number"])
    op.create_table(
        "annotation",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("creator", sa.String(128), nullable=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("slide", sa.Integer, nullable=False),
        sa.Column("project", sa.String(512), nullable=False),
        sa.Column("class_name", sa.String(512)),
        sa.Column("x0", sa.Double, nullable=False),
        sa.Column("y0", sa.Double, nullable=False),
        sa.Column("x1", sa.Double, nullable=False),
        sa.Column("y1", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotation"),
        sa.ForeignKeyConstraint(["revision"], ["revision.number"], name="fk_annotation_revision"),
        sa.ForeignKeyConstraint(["slide"], ["slide.number"], name="fk_annotation_slide"),
        sa.UniqueConstraint("revision", name="uq_annotation_revision"),
    )
    op.create_index("ix_annotation_slide_revision", "annotation", ["slide", "revision"])
    op.create_index("ix_annotation_project_revision", "annotation", ["project", "revision"])
    op.create_index("ix_annotation_slide_x0_x1_y0_y1", "annotation", ["slide", "x0", "x1", "y0", "y1"])
    op.create_table(
        "request",
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_request"),
    )
    op.create_index("ix_request_at", "request", ["at"])
