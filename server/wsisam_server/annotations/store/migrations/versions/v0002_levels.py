"""Outlines whose border was refined say at which scales. Older revisions do not say, and stay as they are."""

import sqlalchemy as sa
from alembic import op

revision = "wsisam_0002"
down_revision = "wsisam_0001"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("revision", sa.Column("levels", sa.Text))
