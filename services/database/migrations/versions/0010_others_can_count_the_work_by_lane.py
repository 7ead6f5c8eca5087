"""A view says how many steps of each lane could run: for autoscalers of workers that take one."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"

#: CARTOUCHE_ORGANIZATION_STEPS, where nobody set it: the database knows no settings.
_STEP_CAP = 64
_NOW = {
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_LEAST = {"postgresql": "LEAST", "sqlite": "MIN"}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.execute(f"""
        CREATE VIEW runnable_steps_by_lane AS
        SELECT lane, CAST(SUM({_LEAST[dialect]}(waiting.steps, waiting.room)) AS BIGINT) AS steps
        FROM (
            SELECT s.lane AS lane, COUNT(*) AS steps,
                COALESCE(MAX(o.step_cap), {_STEP_CAP}) - MAX(o.running_steps) AS room
            FROM steps AS s JOIN organizations AS o ON o.id = s.organization_id
            WHERE NOT s.held AND s.due_at <= (SELECT {_NOW[dialect]})
            GROUP BY s.lane, o.id
        ) AS waiting
        WHERE waiting.room > 0
        GROUP BY lane
    """)


def downgrade() -> None:
    op.execute("DROP VIEW runnable_steps_by_lane")
