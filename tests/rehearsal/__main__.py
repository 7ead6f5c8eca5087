"""`make rehearse`: what docs/operations.md says of backups and of a failover, done for real."""

from tests.rehearsal import failover, restore


def main() -> None:
    """Rehearses both, and prints what happened."""
    restore.rehearse()
    failover.rehearse()


if __name__ == "__main__":
    main()
