"""API keys can expire."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.Double()))


def downgrade() -> None:
    op.drop_column("api_keys", "expires_at")
