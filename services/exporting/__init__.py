"""Exports from the command line: calls, waiting, download, unpacking."""
