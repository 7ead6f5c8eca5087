"""The demo: a dataset drawn by the project itself, and a client that exports it."""
