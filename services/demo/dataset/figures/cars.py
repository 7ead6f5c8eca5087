"""Cars: along the street, across it, and from above."""

import math

from services.demo.dataset.canvas import Canvas, Color, Extent, Point
from services.demo.dataset.figures.colors import METAL, RUBBER, SHADOW, darker
from services.demo.dataset.labels import box_corners

CAR_PAINT: dict[str, Color] = {
    "red": (190, 38, 38),
    "blue": (42, 84, 176),
    "white": (232, 232, 228),
    "black": (38, 38, 44),
    "silver": (160, 166, 172),
    "yellow": (236, 188, 42),
    "green": (46, 122, 72),
}
_GLASS: Color = (58, 74, 92)


def car_along(
    canvas: Canvas, foot: Point, scale: float, paint: str, coming: bool, lights: bool
) -> Extent:
    """A car on our street: its front where it is coming, else its back."""
    x, y = foot
    color = CAR_PAINT[paint]

    def at(right: float, up: float) -> Point:
        return x + right * scale, y - up * scale

    def slab(left: float, top: float, right: float, bottom: float, ink: Color, r: float) -> None:
        canvas.box(*at(left, top), *at(right, bottom), ink, r * scale)

    canvas.ellipse(*at(-1.02, 0.1), *at(1.02, -0.1), SHADOW)
    with canvas.extent() as extent:
        slab(-0.82, 0.5, -0.54, 0, RUBBER, 0.06)
        slab(0.54, 0.5, 0.82, 0, RUBBER, 0.06)
        canvas.polygon([at(-0.8, 0.85), at(-0.62, 1.46), at(0.62, 1.46), at(0.8, 0.85)], color)
        canvas.polygon([at(-0.7, 0.9), at(-0.56, 1.38), at(0.56, 1.38), at(0.7, 0.9)], _GLASS)
        canvas.polygon(
            [at(-0.5, 1.38), at(-0.3, 1.38), at(-0.45, 0.9), at(-0.62, 0.9)],
            (104, 122, 140),
        )
        slab(-0.92, 0.96, 0.92, 0.22, color, 0.14)
        slab(-0.9, 0.42, 0.9, 0.22, darker(color, 0.6), 0.06)
        for side in (-1, 1):
            inner, outer = sorted((side * 0.52, side * 0.86))
            lamp: Color = (255, 250, 220) if coming else (214, 30, 30)
            canvas.box(*at(inner, 0.82), *at(outer, 0.62), lamp, 0.05 * scale, lit=lights)
        if coming:
            slab(-0.42, 0.76, 0.42, 0.6, RUBBER, 0.03)
        slab(-0.26, 0.56, 0.26, 0.44, (236, 236, 226), 0.02)
    if lights:
        for lamp_at in (-0.7, 0.7):
            glow: Color = (230, 220, 170) if coming else (150, 20, 20)
            canvas.glow(at(lamp_at, 0.72), (0.42 if coming else 0.26) * scale, glow)
    return extent


def car_across(
    canvas: Canvas, foot: Point, scale: float, paint: str, heading: int, lights: bool
) -> Extent:
    """A car on the crossing street, from its side; heading 1 is to the right, -1 to the left."""
    x, y = foot
    color = CAR_PAINT[paint]

    def at(ahead: float, up: float) -> Point:
        return x + heading * ahead * scale, y - up * scale

    def slab(back: float, top: float, front: float, bottom: float, ink: Color, r: float) -> None:
        (left, upper), (right, lower) = at(back, top), at(front, bottom)
        canvas.box(min(left, right), upper, max(left, right), lower, ink, r * scale)

    shadow = sorted((at(-2.2, 0)[0], at(2.2, 0)[0]))
    canvas.ellipse(shadow[0], y - 0.1 * scale, shadow[1], y + 0.1 * scale, SHADOW)
    with canvas.extent() as extent:
        canvas.polygon([at(-1.75, 0.8), at(-1.2, 1.46), at(0.55, 1.46), at(1.3, 0.8)], color)
        canvas.polygon([at(-1.5, 0.86), at(-1.1, 1.36), at(-0.35, 1.36), at(-0.35, 0.86)], _GLASS)
        canvas.polygon([at(-0.25, 0.86), at(-0.25, 1.36), at(0.48, 1.36), at(1.05, 0.86)], _GLASS)
        slab(-2.15, 0.88, 2.15, 0.28, color, 0.2)
        slab(-2.05, 0.4, 2.05, 0.28, darker(color, 0.6), 0.05)
        slab(-0.31, 0.84, -0.28, 0.36, darker(color, 0.6), 0)
        slab(-0.5, 0.74, -0.36, 0.7, darker(color, 0.5), 0)
        for axle in (-1.35, 1.35):
            canvas.disc(at(axle, 0.36), 0.36 * scale, RUBBER)
            canvas.disc(at(axle, 0.36), 0.2 * scale, (172, 174, 178))
            canvas.disc(at(axle, 0.36), 0.08 * scale, METAL)
        for ahead, lamp in ((2.02, (255, 250, 220)), (-2.02, (214, 30, 30))):
            left, right = sorted((at(ahead - 0.1, 0)[0], at(ahead + 0.1, 0)[0]))
            upper, lower = at(0, 0.76)[1], at(0, 0.6)[1]
            canvas.box(left, upper, right, lower, lamp, 0.04 * scale, lit=lights)
    if lights:
        canvas.glow(at(2.1, 0.68), 0.45 * scale, (230, 220, 170))
        canvas.glow(at(-2.1, 0.68), 0.25 * scale, (150, 20, 20))
    return extent


def car_from_above(
    canvas: Canvas, center: Point, length: float, width: float, angle: float, paint: str
) -> None:
    """A car as a bird sees it; its front points along `angle` (degrees, clockwise)."""
    color = CAR_PAINT[paint]
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def at(ahead: float, right: float) -> Point:
        along, across = ahead * length / 2, right * width / 2
        return center[0] + along * cos - across * sin, center[1] + along * sin + across * cos

    def patch(points: tuple[Point, ...], ink: Color) -> None:
        canvas.polygon([at(*point) for point in points], ink)

    shift = 0.06 * length
    shadow = box_corners((center[0] + shift, center[1] + shift), length * 0.97, width, angle)
    canvas.polygon(shadow, SHADOW)
    for axle in (-0.6, 0.62):
        patch(
            ((axle - 0.13, -1), (axle + 0.13, -1), (axle + 0.13, 1), (axle - 0.13, 1)),
            RUBBER,
        )
    hull = ((-1, -0.7), (-0.9, -0.94), (0.78, -0.94), (0.96, -0.66), (1, -0.3))
    patch((*hull, *((a, -r) for a, r in reversed(hull))), color)
    patch(((0.12, -0.68), (0.42, -0.82), (0.42, 0.82), (0.12, 0.68)), _GLASS)
    patch(((-0.82, -0.7), (-0.6, -0.66), (-0.6, 0.66), (-0.82, 0.7)), _GLASS)
    patch(((-0.56, -0.88), (0.2, -0.88), (0.06, -0.74), (-0.54, -0.74)), _GLASS)
    patch(((-0.56, 0.88), (0.2, 0.88), (0.06, 0.74), (-0.54, 0.74)), _GLASS)
    patch(((-0.58, -0.68), (0.1, -0.68), (0.1, 0.68), (-0.58, 0.68)), _lighter(color))
    for side in (-1, 1):
        patch(
            (
                (0.84, side * 0.5),
                (0.95, side * 0.45),
                (0.9, side * 0.78),
                (0.8, side * 0.84),
            ),
            (255, 250, 220),
        )
        patch(
            (
                (-1, side * 0.4),
                (-0.93, side * 0.4),
                (-0.9, side * 0.8),
                (-0.97, side * 0.72),
            ),
            (200, 30, 30),
        )


def _lighter(color: Color) -> Color:
    red, green, blue = (round(channel + (255 - channel) * 0.18) for channel in color)
    return red, green, blue
