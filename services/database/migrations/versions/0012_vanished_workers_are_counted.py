"""A step counts the workers that vanished with it, apart from the processes that died of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    op.add_column("steps", sa.Column("vanished", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("steps", "vanished")
