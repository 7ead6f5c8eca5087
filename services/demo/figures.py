"""The things of a street, each drawn at a place on the ground at a scale.

`foot` is the middle of the figure's base in pixels, `scale` the pixels of one metre.
Every figure returns its exact extent; shadows and light do not count.
"""

import math
from dataclasses import dataclass

from services.demo.canvas import Canvas, Color, Extent, Point
from services.demo.classes import JOINTS
from services.demo.labels import box_corners

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
_RUBBER: Color = (24, 24, 26)
_METAL: Color = (74, 76, 80)
_SHADOW: Color = (46, 46, 50)
_SIGNAL: dict[str, Color] = {
    "red": (255, 58, 44),
    "yellow": (255, 206, 54),
    "green": (64, 236, 120),
}


def _darker(color: Color, share: float = 0.75) -> Color:
    red, green, blue = (round(channel * share) for channel in color)
    return red, green, blue


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

    canvas.ellipse(*at(-1.02, 0.1), *at(1.02, -0.1), _SHADOW)
    with canvas.extent() as extent:
        slab(-0.82, 0.5, -0.54, 0, _RUBBER, 0.06)
        slab(0.54, 0.5, 0.82, 0, _RUBBER, 0.06)
        canvas.polygon([at(-0.8, 0.85), at(-0.62, 1.46), at(0.62, 1.46), at(0.8, 0.85)], color)
        canvas.polygon([at(-0.7, 0.9), at(-0.56, 1.38), at(0.56, 1.38), at(0.7, 0.9)], _GLASS)
        canvas.polygon(
            [at(-0.5, 1.38), at(-0.3, 1.38), at(-0.45, 0.9), at(-0.62, 0.9)],
            (104, 122, 140),
        )
        slab(-0.92, 0.96, 0.92, 0.22, color, 0.14)
        slab(-0.9, 0.42, 0.9, 0.22, _darker(color, 0.6), 0.06)
        for side in (-1, 1):
            inner, outer = sorted((side * 0.52, side * 0.86))
            lamp: Color = (255, 250, 220) if coming else (214, 30, 30)
            canvas.box(*at(inner, 0.82), *at(outer, 0.62), lamp, 0.05 * scale, lit=lights)
        if coming:
            slab(-0.42, 0.76, 0.42, 0.6, _RUBBER, 0.03)
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
    canvas.ellipse(shadow[0], y - 0.1 * scale, shadow[1], y + 0.1 * scale, _SHADOW)
    with canvas.extent() as extent:
        canvas.polygon([at(-1.75, 0.8), at(-1.2, 1.46), at(0.55, 1.46), at(1.3, 0.8)], color)
        canvas.polygon([at(-1.5, 0.86), at(-1.1, 1.36), at(-0.35, 1.36), at(-0.35, 0.86)], _GLASS)
        canvas.polygon([at(-0.25, 0.86), at(-0.25, 1.36), at(0.48, 1.36), at(1.05, 0.86)], _GLASS)
        slab(-2.15, 0.88, 2.15, 0.28, color, 0.2)
        slab(-2.05, 0.4, 2.05, 0.28, _darker(color, 0.6), 0.05)
        slab(-0.31, 0.84, -0.28, 0.36, _darker(color, 0.6), 0)
        slab(-0.5, 0.74, -0.36, 0.7, _darker(color, 0.5), 0)
        for axle in (-1.35, 1.35):
            canvas.disc(at(axle, 0.36), 0.36 * scale, _RUBBER)
            canvas.disc(at(axle, 0.36), 0.2 * scale, (172, 174, 178))
            canvas.disc(at(axle, 0.36), 0.08 * scale, _METAL)
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
    canvas.polygon(shadow, _SHADOW)
    for axle in (-0.6, 0.62):
        patch(
            ((axle - 0.13, -1), (axle + 0.13, -1), (axle + 0.13, 1), (axle - 0.13, 1)),
            _RUBBER,
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


@dataclass(frozen=True, slots=True)
class Look:
    """How a person is dressed and moves."""

    height: float
    shirt: Color
    trousers: Color
    skin: Color
    hair: Color
    #: Degrees: 0 faces us, 90 walks to our right, 180 turns the back on us.
    heading: float
    #: Half a step, in metres; 0 stands.
    stride: float


#: A body of one metre: joint → (to its left, up); limbs swing about it.
_BODY: dict[str, tuple[float, float]] = {
    "nose": (0.0, 0.915),
    "shoulder": (0.112, 0.815),
    "elbow": (0.135, 0.655),
    "wrist": (0.14, 0.5),
    "hip": (0.058, 0.52),
    "knee": (0.058, 0.285),
    "ankle": (0.055, 0.045),
}


def person(
    canvas: Canvas, foot: Point, scale: float, look: Look
) -> tuple[Extent, dict[str, tuple[Point, bool]]]:
    """A walking person: the extent, and each joint with whether the own body hides it."""
    size = look.height * scale
    cos, sin = (
        math.cos(math.radians(look.heading)),
        math.sin(math.radians(look.heading)),
    )

    def place(left: float, up: float, ahead: float) -> tuple[Point, float]:
        """Where a point of the body is on the screen, and how far it is turned to us."""
        across, nearer = left * cos + ahead * sin, ahead * cos - left * sin
        return (foot[0] + across * size, foot[1] - up * size), nearer

    step = look.stride / look.height
    placed: dict[str, tuple[Point, float]] = {}
    for joint, _, _ in JOINTS:
        side, _, part = joint.rpartition("_")
        left, up = _BODY[part]
        sign = -1 if side == "right" else 1
        swing = {"knee": 0.55, "ankle": 1.0, "elbow": -0.35, "wrist": -0.9}.get(part, 0.0)
        lift = 0.02 if part == "ankle" and sign < 0 and step else 0.0
        ahead = 0.07 if part == "nose" else sign * swing * step
        placed[joint] = place(sign * left, up + lift, ahead)
    spots = {joint: spot for joint, (spot, _) in placed.items()}

    def limb(side: str, parts: tuple[str, str, str], width: float, color: Color) -> None:
        canvas.limb([spots[f"{side}_{part}"] for part in parts], width * size, color)

    def arm(side: str) -> None:
        limb(side, ("shoulder", "elbow", "wrist"), 0.062, _darker(look.shirt, 0.84))
        canvas.disc(spots[f"{side}_wrist"], 0.033 * size, look.skin)

    def leg(side: str, color: Color) -> None:
        limb(side, ("hip", "knee", "ankle"), 0.082, color)
        x, y = spots[f"{side}_ankle"]
        toe = x + 0.06 * sin * size
        canvas.ellipse(
            min(x, toe) - 0.045 * size,
            y,
            max(x, toe) + 0.045 * size,
            y + 0.045 * size,
            _RUBBER,
        )

    far, near = ("left", "right") if placed["left_hip"][1] < 0 else ("right", "left")
    canvas.ellipse(
        foot[0] - 0.2 * size,
        foot[1] - 0.03 * size,
        foot[0] + 0.2 * size,
        foot[1] + 0.03 * size,
        _SHADOW,
    )
    with canvas.extent() as extent:
        arm(far)
        leg(far, _darker(look.trousers))
        leg(near, look.trousers)
        _torso(canvas, spots, size, look.shirt)
        _head(canvas, foot, size, look, cos, sin)
        arm(near)

    trunk = [spots[j][0] for j in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]
    reach = (min(trunk) - 0.03 * size, max(trunk) + 0.03 * size)
    joints: dict[str, tuple[Point, bool]] = {}
    for joint, spot in spots.items():
        if joint == "nose":
            hidden = cos < -0.3
        else:
            behind = abs(sin) > 0.75 and joint.startswith(far)
            upper = not joint.endswith(("knee", "ankle"))
            hidden = behind and upper and reach[0] < spot[0] < reach[1]
        joints[joint] = (spot, hidden)
    return extent, joints


def _torso(canvas: Canvas, spots: dict[str, Point], size: float, shirt: Color) -> None:
    middle = (spots["left_shoulder"][0] + spots["right_shoulder"][0]) / 2
    top, bottom = spots["left_shoulder"][1], spots["left_hip"][1]
    shoulders = max(abs(spots["left_shoulder"][0] - middle), 0.055 * size) + 0.03 * size
    hips = max(abs(spots["left_hip"][0] - middle), 0.045 * size) + 0.04 * size
    canvas.polygon(
        [
            (middle - shoulders * 0.7, top - 0.035 * size),
            (middle + shoulders * 0.7, top - 0.035 * size),
            (middle + shoulders, top + 0.02 * size),
            (middle + hips, bottom + 0.02 * size),
            (middle - hips, bottom + 0.02 * size),
            (middle - shoulders, top + 0.02 * size),
        ],
        shirt,
    )


def _head(canvas: Canvas, foot: Point, size: float, look: Look, cos: float, sin: float) -> None:
    x, y = foot[0] + 0.012 * sin * size, foot[1]
    canvas.box(
        x - 0.028 * size,
        y - 0.88 * size,
        x + 0.028 * size,
        y - 0.83 * size,
        _darker(look.skin),
    )
    canvas.ellipse(x - 0.06 * size, y - size, x + 0.06 * size, y - 0.85 * size, look.hair)
    if cos > -0.3:
        face = x + 0.02 * sin * size
        canvas.ellipse(
            face - 0.048 * size,
            y - 0.968 * size,
            face + 0.048 * size,
            y - 0.855 * size,
            look.skin,
        )
        nose = foot[0] + 0.07 * sin * size
        canvas.disc((nose, y - 0.915 * size), 0.012 * size, _darker(look.skin, 0.8))


def traffic_light(canvas: Canvas, foot: Point, scale: float, state: str, lights: bool) -> Extent:
    """A traffic light on its pole; the extent is that of the head with the three lamps."""
    x, y = foot
    canvas.box(x - 0.07 * scale, y - 2.5 * scale, x + 0.07 * scale, y, _METAL)
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
            canvas.disc(center, 0.16 * scale, color if on else _darker(color, 0.22), lit=on)
            if on:
                canvas.glow(center, (0.45 if lights else 0.24) * scale, _darker(color, 0.6))
    return extent


def street_lamp(canvas: Canvas, foot: Point, scale: float, toward: int, lights: bool) -> None:
    """A lamp whose arm reaches over the road; toward 1 is to the right, -1 to the left."""
    x, y = foot
    tip = x + toward * 1.6 * scale
    canvas.limb([(x, y), (x, y - 6 * scale)], 0.12 * scale, _METAL)
    canvas.limb([(x, y - 6 * scale), (tip, y - 6.2 * scale)], 0.09 * scale, _METAL)
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
        canvas.disc((x + right * scale, y - up * scale), radius * scale, _darker(color, 0.8))
    for right, up, radius in crowns:
        center = (x + (right - 0.15) * scale, y - (up + 0.2) * scale)
        canvas.disc(center, radius * 0.75 * scale, color)
