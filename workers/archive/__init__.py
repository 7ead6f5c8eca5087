"""The ZIP arithmetic of an archive: pure functions, no I/O."""
