"""Images know the sum of the annotations that they came with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    op.add_column("images", sa.Column("source_sum", sa.LargeBinary))


def downgrade() -> None:
    op.drop_column("images", "source_sum")
