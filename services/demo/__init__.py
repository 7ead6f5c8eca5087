"""The demo: a dataset drawn by the project itself, and a client that exports it.

It knows of Cartouche what any user knows: the layout of a dataset on disk, the import, and
the public API.
"""
