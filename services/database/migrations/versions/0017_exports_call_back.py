"""Exports name an address that is told of their end."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    op.add_column("exports", sa.Column("callback_url", sa.Text, nullable=False, server_default=""))
    op.add_column(
        "webhooks", sa.Column("is_callback", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_index(
        "ix_webhooks_registered",
        "webhooks",
        ["organization_id"],
        postgresql_where=sa.text("NOT is_callback"),
        sqlite_where=sa.text("is_callback = 0"),
    )
    op.create_table(
        "callback_secrets",
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("previous_secret", sa.String(100)),
        sa.Column("previous_until", sa.Double),
        sa.PrimaryKeyConstraint("organization_id", name="pk_callback_secrets"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_callback_secrets_organization_id"
        ),
    )


def downgrade() -> None:
    op.drop_table("callback_secrets")
    op.drop_index("ix_webhooks_registered", "webhooks")
    op.drop_column("webhooks", "is_callback")
    op.drop_column("exports", "callback_url")
