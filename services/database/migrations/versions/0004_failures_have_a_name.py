"""Failures have a name, and exports can be taken up again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "exports", sa.Column("error_code", sa.String(30), nullable=False, server_default="")
    )
    op.add_column("exports", sa.Column("queued_at", sa.Double()))
    op.execute("UPDATE exports SET queued_at = created_at")
    # Those that failed before had no name for it.
    op.execute("UPDATE exports SET error_code = 'internal' WHERE status = 'failed'")
    op.drop_index("ix_exports_unfinished", table_name="exports")
    _unfinished("queued_at")
    op.add_column("steps", sa.Column("errors", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "steps", sa.Column("alone", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("steps", "alone")
    op.drop_column("steps", "errors")
    op.drop_index("ix_exports_unfinished", table_name="exports")
    _unfinished("created_at")
    op.drop_column("exports", "queued_at")
    op.drop_column("exports", "error_code")


def _unfinished(column: str) -> None:
    op.create_index(
        "ix_exports_unfinished",
        "exports",
        [column],
        postgresql_where=sa.text("stage <> 'done' AND NOT deleted"),
        sqlite_where=sa.text("stage <> 'done' AND deleted = 0"),
    )
