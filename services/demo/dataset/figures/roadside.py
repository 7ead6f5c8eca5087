"""What stands beside the road: traffic lights, lamps and trees."""

from services.demo.dataset.canvas import Canvas, Color, Extent, Point
from services.demo.dataset.figures.colors import METAL, darker

_SIGNAL: dict[str, Color] = {
    "red": (255, 58, 44),
    "yellow": (255, 206, 54),
    "green": (64, 236, 120),
}


def traffic_light(canvas: Canvas, foot: Point, scale: float, state: str, lights: bool) -> Extent:
    """A traffic light on its pole; the extent is that of the head with the three lamps."""
    x, y = foot
    canvas.box(x - 0.07 * scale, y - 2.5 * scale, x + 0.07 * scale, y, METAL)
    with canvas.extent() as extent:
        canvas.box(
            x - 0.24 * scale,
            y - 3.7 * scale,
            x + 0.24 * scale,
            y - 2.45 * scale,
            (30, 32, 34),
            0.08 * scale,
        )
        for index, (name, color) in enumerate(_SIGNAL.items()):
            center = (x, y - (3.46 - 0.385 * index) * scale)
            on = name == state
            canvas.disc(center, 0.16 * scale, color if on else darker(color, 0.22), lit=on)
            if on:
                canvas.glow(center, (0.45 if lights else 0.24) * scale, darker(color, 0.6))
    return extent


def street_lamp(canvas: Canvas, foot: Point, scale: float, toward: int, lights: bool) -> None:
    """A lamp whose arm reaches over the road; toward 1 is to the right, -1 to the left."""
    x, y = foot
    tip = x + toward * 1.6 * scale
    canvas.limb([(x, y), (x, y - 6 * scale)], 0.12 * scale, METAL)
    canvas.limb([(x, y - 6 * scale), (tip, y - 6.2 * scale)], 0.09 * scale, METAL)
    lamp = (tip, y - 6.15 * scale)
    glass: Color = (255, 236, 180) if lights else (214, 216, 214)
    canvas.ellipse(
        tip - 0.3 * scale,
        lamp[1] - 0.08 * scale,
        tip + 0.3 * scale,
        lamp[1] + 0.14 * scale,
        glass,
        lit=lights,
    )
    if lights:
        canvas.glow(lamp, 0.8 * scale, (220, 180, 110))


def tree(canvas: Canvas, foot: Point, scale: float, color: Color) -> None:
    """A tree with a round crown, some five metres high."""
    x, y = foot
    canvas.box(x - 0.13 * scale, y - 2.4 * scale, x + 0.13 * scale, y, (86, 62, 44))
    crowns = ((0.0, 3.6, 1.35), (-0.8, 3.0, 0.95), (0.8, 3.1, 0.95), (-0.35, 4.1, 0.8))
    for right, up, radius in crowns:
        canvas.disc((x + right * scale, y - up * scale), radius * scale, darker(color, 0.8))
    for right, up, radius in crowns:
        center = (x + (right - 0.15) * scale, y - (up + 0.2) * scale)
        canvas.disc(center, radius * 0.75 * scale, color)
