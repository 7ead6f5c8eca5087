"""PostgreSQL tells whoever listens which export has changed."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WORKS_WITH = "0009"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("""
        CREATE FUNCTION tell_export_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('cartouche_export_changed', NEW.id);
            RETURN NULL;
        END $$
    """)
    # Progress is told ten times a second at most: those who tell commit one after the other.
    op.execute("""
        CREATE TRIGGER export_changed AFTER UPDATE ON exports FOR EACH ROW
        WHEN (OLD.version <> NEW.version AND (
            OLD.status <> NEW.status
            OR OLD.stage <> NEW.stage
            OR floor(OLD.updated_at * 10) <> floor(NEW.updated_at * 10)
        ))
        EXECUTE FUNCTION tell_export_changed()
    """)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER export_changed ON exports")
    op.execute("DROP FUNCTION tell_export_changed()")
