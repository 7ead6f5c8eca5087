"""One place to claim from: the steps of all exports in one table."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: What the record of the work held until now, beside the results.
_CLAIMS = ("attempt", "lost", "failures", "lease_until", "not_before", "rung_at")
_NOW = {
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_LANE = "CASE WHEN segment_count = 0 THEN 'short' ELSE 'long' END"


def upgrade() -> None:
    op.add_column("organizations", sa.Column("step_cap", sa.Integer()))
    op.add_column("organizations", sa.Column("pending_quota", sa.Integer()))
    op.add_column(
        "organizations",
        sa.Column("running_steps", sa.Integer(), nullable=False, server_default="0"),
    )
    op.add_column(
        "organizations",
        sa.Column("claimed_at", sa.Double(), nullable=False, server_default="0"),
    )
    op.create_index("ix_organizations_turn", "organizations", ["running_steps", "claimed_at"])
    op.add_column("exports", sa.Column("lane", sa.String(5), nullable=False, server_default="long"))
    op.add_column(
        "exports",
        sa.Column("estimated_bytes", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column(
        "exports", sa.Column("request_id", sa.String(128), nullable=False, server_default="")
    )
    op.create_table(
        "steps",
        sa.Column("export_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(7), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("lane", sa.String(5), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("manifest_key", sa.Text(), nullable=False, server_default=""),
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("work", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("done", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("result", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["export_id"],
            ["exports.id"],
            name=op.f("fk_steps_export_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_steps_organization_id")
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_steps")),
    )
    _carry_over()
    op.create_index(
        "ix_steps_waiting",
        "steps",
        ["organization_id", "lane", "due_at", "export_id", "number"],
        postgresql_where=sa.text("NOT held AND due_at IS NOT NULL"),
        sqlite_where=sa.text("held = 0 AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_steps_held",
        "steps",
        ["organization_id", "due_at"],
        postgresql_where=sa.text("held"),
        sqlite_where=sa.text("held = 1"),
    )
    op.drop_table("export_segments")
    for name in ("ix_exports_step_updated_at", "ix_exports_deleted", "ix_exports_staged"):
        op.drop_index(name, table_name="exports")
    for name in _CLAIMS:
        op.drop_column("exports", name)
    op.execute("ALTER TABLE exports RENAME COLUMN step TO stage")
    op.create_index(
        "ix_exports_unfinished",
        "exports",
        ["created_at"],
        postgresql_where=sa.text("stage <> 'done' AND NOT deleted"),
        sqlite_where=sa.text("stage <> 'done' AND deleted = 0"),
    )
    op.create_index(
        "ix_exports_pending",
        "exports",
        ["organization_id"],
        postgresql_where=sa.text("status = 'pending' AND NOT deleted"),
        sqlite_where=sa.text("status = 'pending' AND deleted = 0"),
    )


def _carry_over() -> None:
    """Every export gets its own step, and every segment becomes one. Nobody works meanwhile."""
    now = _NOW[op.get_bind().dialect.name]
    op.execute(f"UPDATE exports SET lane = {_LANE}")
    op.execute(
        "INSERT INTO steps (export_id, number, kind, organization_id, lane, due_at, attempt, "
        "lost, failures) SELECT id, 0, "
        "CASE WHEN deleted OR step = 'done' THEN 'remove' WHEN step = 'finish' THEN 'finish' "
        "ELSE 'plan' END, organization_id, lane, "
        "CASE WHEN deleted OR step IN ('plan', 'finish') OR (step = 'done' AND staged) "
        f"THEN {now} END, attempt, lost, failures FROM exports"
    )
    op.execute(
        "INSERT INTO steps (export_id, number, kind, organization_id, lane, due_at, attempt, "
        "lost, failures, manifest_key, size, work, done, result) "
        "SELECT s.export_id, s.number, 'segment', e.organization_id, e.lane, "
        f"CASE WHEN NOT s.done AND e.step = 'build' AND NOT e.deleted THEN {now} END, "
        "s.attempt, s.lost, s.failures, s.manifest_key, s.size, s.work, s.done, s.result "
        "FROM export_segments s JOIN exports e ON e.id = s.export_id"
    )


def downgrade() -> None:
    for name in ("ix_exports_pending", "ix_exports_unfinished"):
        op.drop_index(name, table_name="exports")
    op.execute("ALTER TABLE exports RENAME COLUMN stage TO step")
    for name in _CLAIMS:
        op.add_column("exports", _claim_column(name))
    op.create_index("ix_exports_step_updated_at", "exports", ["step", "updated_at"])
    op.create_index("ix_exports_deleted", "exports", ["deleted"])
    op.create_index(
        "ix_exports_staged",
        "exports",
        ["staged"],
        postgresql_where=sa.text("staged"),
        sqlite_where=sa.text("staged = 1"),
    )
    op.create_table(
        "export_segments",
        sa.Column("export_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("manifest_key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("work", sa.BigInteger(), nullable=False),
        *map(_claim_column, _CLAIMS),
        sa.Column("done", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("result", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["export_id"],
            ["exports.id"],
            name=op.f("fk_export_segments_export_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_export_segments")),
    )
    op.execute(
        "UPDATE exports SET attempt = (SELECT attempt FROM steps "
        "WHERE export_id = exports.id AND number = 0)"
    )
    op.execute(
        "INSERT INTO export_segments (export_id, number, manifest_key, size, work, attempt, "
        "lost, failures, done, result) SELECT export_id, number, manifest_key, size, work, "
        "attempt, lost, failures, done, result FROM steps WHERE kind = 'segment'"
    )
    op.drop_table("steps")
    for name in ("lane", "estimated_bytes", "request_id"):
        op.drop_column("exports", name)
    op.drop_index("ix_organizations_turn", table_name="organizations")
    for name in ("step_cap", "pending_quota", "running_steps", "claimed_at"):
        op.drop_column("organizations", name)


def _claim_column(name: str) -> sa.Column[int] | sa.Column[float]:
    if name == "lease_until":
        return sa.Column(name, sa.Double())
    if name in ("not_before", "rung_at"):
        return sa.Column(name, sa.Double(), nullable=False, server_default="0")
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")
