"""Exports say what of their work was tried again, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    op.add_column("exports", sa.Column("setbacks", sa.Integer, nullable=False, server_default="0"))
    op.add_column("exports", sa.Column("setback", sa.String(30), nullable=False, server_default=""))
    op.add_column("exports", sa.Column("setback_at", sa.Double))
    op.add_column("exports", sa.Column("goes_on_at", sa.Double))


def downgrade() -> None:
    for name in ("goes_on_at", "setback_at", "setback", "setbacks"):
        op.drop_column("exports", name)
