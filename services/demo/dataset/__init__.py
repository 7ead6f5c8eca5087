"""The demo dataset: drawn by the project itself, so that what is drawn is what is labelled."""
