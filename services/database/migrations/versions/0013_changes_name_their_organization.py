"""Changes are told with the organization, and new exports too, so that lists can be watched."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Code of 0011 knows no id of two words, and looks by itself as before.
WORKS_WITH = "0009"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _tell("NEW.id || ' ' || NEW.organization_id")
    op.execute("""
        CREATE TRIGGER export_created AFTER INSERT ON exports FOR EACH ROW
        EXECUTE FUNCTION tell_export_changed()
    """)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER export_created ON exports")
    _tell("NEW.id")


def _tell(payload: str) -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION tell_export_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('cartouche_export_changed', {payload});
            RETURN NULL;
        END $$
    """)
