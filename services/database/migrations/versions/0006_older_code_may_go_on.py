"""Processes of two versions work side by side."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WORKS_WITH = "0006"


def upgrade() -> None:
    op.create_table(
        "compatibility",
        sa.Column("oldest_schema", sa.String(32), nullable=False, primary_key=True),
    )
    op.add_column("steps", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("steps", "version")
    op.drop_table("compatibility")
