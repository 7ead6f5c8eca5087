"""Exports name the trace of the request that made them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WORKS_WITH = "0006"


def upgrade() -> None:
    op.add_column(
        "exports", sa.Column("traceparent", sa.String(55), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("exports", "traceparent")
