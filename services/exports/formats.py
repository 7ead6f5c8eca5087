"""Names of the export formats, for everyone who checks a request.

The formats themselves live with the workers; a test keeps both lists equal.
"""

FORMAT_NAMES = ("pictograph", "coco")
DEFAULT_FORMAT = "pictograph"
