"""Colours that figures share."""

from services.demo.dataset.canvas import Color

RUBBER: Color = (24, 24, 26)
METAL: Color = (74, 76, 80)
SHADOW: Color = (46, 46, 50)


def darker(color: Color, share: float = 0.75) -> Color:
    """The colour at a share of its brightness."""
    red, green, blue = (round(channel * share) for channel in color)
    return red, green, blue
