"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("name", name=op.f("uq_organizations_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_index(
        op.f("ix_api_keys_organization_id"), "api_keys", ["organization_id"], unique=False
    )
    op.create_table(
        "contents",
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_contents_organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "sha256", name=op.f("pk_contents")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("image_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("annotation_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_datasets_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint(
            "organization_id", "name", name=op.f("uq_datasets_organization_id_name")
        ),
    )
    op.create_index(
        "ix_datasets_organization_id_slug", "datasets", ["organization_id", "slug"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("export_id", sa.String(length=36), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_idempotency_keys_organization_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "annotation_totals",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("shape", sa.String(length=16), nullable=False),
        sa.Column("annotation_count", sa.BigInteger(), nullable=False),
        sa.Column("over_count", sa.BigInteger(), nullable=False),
        sa.Column("off_count", sa.BigInteger(), nullable=False),
        sa.Column("part_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_annotation_totals_dataset_id")
        ),
        sa.PrimaryKeyConstraint(
            "dataset_id", "status", "class_id", "shape", name=op.f("pk_annotation_totals")
        ),
    )
    op.create_table(
        "class_set_members",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("class_set_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_class_set_members_dataset_id")
        ),
        sa.PrimaryKeyConstraint(
            "dataset_id", "class_id", "class_set_number", name=op.f("pk_class_set_members")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "class_sets",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_class_sets_dataset_id")
        ),
        sa.PrimaryKeyConstraint("dataset_id", "number", name=op.f("pk_class_sets")),
        sa.UniqueConstraint("dataset_id", "key", name=op.f("uq_class_sets_dataset_id_key")),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("include_images", sa.Boolean(), nullable=False),
        sa.Column("class_filter", sa.JSON(), nullable=False),
        sa.Column("status_filter", sa.String(length=10), nullable=False),
        sa.Column("include_unannotated", sa.Boolean(), nullable=False),
        sa.Column("organize_by_split", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("error_message", sa.Text(), server_default="", nullable=False),
        sa.Column("step", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), server_default="0", nullable=False),
        sa.Column("rung_at", sa.Double(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=True),
        sa.Column("snapshot", sa.JSON(), nullable=True),
        sa.Column("segment_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("segments_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("work_total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("work_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=True),
        sa.Column("annotation_count", sa.BigInteger(), nullable=True),
        sa.Column("file_size", sa.BigInteger(), nullable=True),
        sa.Column("crc32", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("completed_at", sa.Double(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("staged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_exports_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_exports_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_deleted", "exports", ["deleted"], unique=False)
    op.create_index("ix_exports_expires_at", "exports", ["expires_at"], unique=False)
    op.create_index(
        "ix_exports_organization_id_created_at",
        "exports",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_exports_staged",
        "exports",
        ["staged"],
        unique=False,
        postgresql_where=sa.text("staged"),
        sqlite_where=sa.text("staged = 1"),
    )
    op.create_index("ix_exports_step_updated_at", "exports", ["step", "updated_at"], unique=False)
    op.create_index(
        "uq_exports_dataset_id_name",
        "exports",
        ["dataset_id", "name"],
        unique=True,
        postgresql_where=sa.text("NOT deleted"),
        sqlite_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "image_totals",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("class_set_number", sa.BigInteger(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=False),
        sa.Column("renamed_count", sa.BigInteger(), nullable=False),
        sa.Column("foldered_count", sa.BigInteger(), nullable=False),
        sa.Column("annotation_count", sa.BigInteger(), nullable=False),
        sa.Column("image_bytes", sa.BigInteger(), nullable=False),
        sa.Column("annotation_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_image_totals_dataset_id")
        ),
        sa.PrimaryKeyConstraint(
            "dataset_id", "status", "class_set_number", name=op.f("pk_image_totals")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column(
            "path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("collides", sa.Boolean(), nullable=False),
        sa.Column("class_set_number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("split", sa.String(length=5), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("first_annotation_number", sa.BigInteger(), nullable=False),
        sa.Column("annotation_count", sa.Integer(), nullable=False),
        sa.Column("annotations", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_images_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("dataset_id", "path", name=op.f("uq_images_dataset_id_path")),
    )
    op.create_index(
        "ix_images_dataset_id_name_key_path",
        "images",
        ["dataset_id", "name_key", "path"],
        unique=False,
    )
    op.create_index(
        "ix_images_dataset_id_status_path", "images", ["dataset_id", "status", "path"], unique=False
    )
    op.create_table(
        "export_segments",
        sa.Column("export_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("manifest_key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("work", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), server_default="0", nullable=False),
        sa.Column("rung_at", sa.Double(), server_default="0", nullable=False),
        sa.Column("done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["export_id"],
            ["exports.id"],
            name=op.f("fk_export_segments_export_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_segments")),
    )


def downgrade() -> None:
    op.drop_table("export_segments")
    op.drop_index("ix_images_dataset_id_status_path", table_name="images")
    op.drop_index("ix_images_dataset_id_name_key_path", table_name="images")
    op.drop_table("images")
    op.drop_table("image_totals")
    op.drop_index(
        "uq_exports_dataset_id_name",
        table_name="exports",
        postgresql_where=sa.text("NOT deleted"),
        sqlite_where=sa.text("NOT deleted"),
    )
    op.drop_index("ix_exports_step_updated_at", table_name="exports")
    op.drop_index(
        "ix_exports_staged",
        table_name="exports",
        postgresql_where=sa.text("staged"),
        sqlite_where=sa.text("staged = 1"),
    )
    op.drop_index("ix_exports_organization_id_created_at", table_name="exports")
    op.drop_index("ix_exports_expires_at", table_name="exports")
    op.drop_index("ix_exports_deleted", table_name="exports")
    op.drop_table("exports")
    op.drop_table("class_sets")
    op.drop_table("class_set_members")
    op.drop_table("annotation_totals")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_datasets_organization_id_slug", table_name="datasets")
    op.drop_table("datasets")
    op.drop_table("contents")
    op.drop_index(op.f("ix_api_keys_organization_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("organizations")
    op.drop_table("leases")
