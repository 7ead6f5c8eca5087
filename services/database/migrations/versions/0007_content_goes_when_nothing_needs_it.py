"""Datasets and images can be deleted, and their content goes when nothing needs it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WORKS_WITH = "0006"


def upgrade() -> None:
    op.add_column("datasets", sa.Column("deleted_name", sa.String(100)))
    op.create_index(
        "ix_datasets_deleted",
        "datasets",
        ["deleted_name"],
        postgresql_where=sa.text("deleted_name IS NOT NULL"),
        sqlite_where=sa.text("deleted_name IS NOT NULL"),
    )
    op.create_index("ix_images_sha256", "images", ["sha256"])
    op.add_column("contents", sa.Column("pinned_at", sa.Double()))
    op.create_table(
        "released_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("seen_at", sa.Double()),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_released_objects_organization_id"),
        ),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_released_objects")),
    )
    op.create_index(
        "ix_released_objects_state",
        "released_objects",
        ["state", "organization_id", "seen_at"],
    )
    op.add_column("exports", sa.Column("snapshot_at", sa.Double()))
    op.create_index("ix_exports_dataset_id", "exports", ["dataset_id"])


def downgrade() -> None:
    # Deleted datasets would be there again: under names that nobody can ask for.
    op.drop_index("ix_exports_dataset_id", table_name="exports")
    op.drop_column("exports", "snapshot_at")
    op.drop_table("released_objects")
    op.drop_column("contents", "pinned_at")
    op.drop_index("ix_images_sha256", table_name="images")
    op.drop_index("ix_datasets_deleted", table_name="datasets")
    op.drop_column("datasets", "deleted_name")
