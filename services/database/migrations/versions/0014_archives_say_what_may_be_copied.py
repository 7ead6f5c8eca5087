"""An export says what its archive is a copy of, and a segment where its bytes lie already."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    op.add_column("exports", sa.Column("layout_version", sa.Integer()))
    op.add_column(
        "exports", sa.Column("generation", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("steps", sa.Column("source", sa.JSON()))


def downgrade() -> None:
    op.drop_column("steps", "source")
    op.drop_column("exports", "generation")
    op.drop_column("exports", "layout_version")
