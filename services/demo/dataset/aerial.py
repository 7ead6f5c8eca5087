"""Streets seen from straight above: a car park or a roundabout.

Layouts are in metres around the middle of the picture, turned as a whole.
"""

import itertools
import math
from collections.abc import Sequence
from random import Random

from services.demo.dataset.canvas import Canvas, Color, Point
from services.demo.dataset.classes import CAR_COLORS
from services.demo.dataset.figures.cars import car_from_above
from services.demo.dataset.geometry import between, clip_path, clip_rings
from services.demo.dataset.labels import Labels, box_corners

_GRASS: Color = (116, 146, 84)
_ASPHALT: Color = (92, 94, 98)
_WHITE: Color = (226, 226, 220)
_ROOFS: tuple[Color, ...] = (
    (166, 96, 76), (150, 146, 142), (184, 160, 130), (120, 126, 134), (142, 112, 98),
)  # fmt: skip


class Aerial:
    """Paints one place from above and labels what it paints."""

    def __init__(self, canvas: Canvas, labels: Labels, rng: Random) -> None:
        self._canvas = canvas
        self._labels = labels
        self._rng = rng
        self._turn = rng.uniform(0, 360)
        #: Pixels of one metre: the short side shows some 38 m.
        self._scale = min(canvas.width, canvas.height) / rng.uniform(34, 42)
        self._cos = math.cos(math.radians(self._turn)) * self._scale
        self._sin = math.sin(math.radians(self._turn)) * self._scale

    def paint(self) -> None:
        """Draws one of the two places."""
        self._canvas.box(0, 0, self._canvas.width, self._canvas.height, _GRASS)
        for _ in range(40):
            spot = (self._rng.uniform(-32, 32), self._rng.uniform(-32, 32))
            shade = self._rng.randrange(-8, 9)
            tone = (_GRASS[0] + shade, _GRASS[1] + shade, _GRASS[2] + shade)
            self._canvas.disc(self._at(*spot), self._rng.uniform(1, 4) * self._scale, tone)
        if self._rng.random() < 0.6:
            self._paint_car_park()
        else:
            self._paint_roundabout()

    def _at(self, x: float, y: float) -> Point:
        return (
            self._canvas.width / 2 + x * self._cos - y * self._sin,
            self._canvas.height / 2 + x * self._sin + y * self._cos,
        )

    def _fill(self, points: Sequence[Point], color: Color) -> list[Point]:
        ring = [self._at(*point) for point in points]
        self._canvas.polygon(ring, color)
        return ring

    def _area(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        self._fill([(left, top), (right, top), (right, bottom), (left, bottom)], color)

    # Places.

    def _paint_car_park(self) -> None:
        rng = self._rng
        self._paint_road(-11.0)
        self._area(-21, -7.5, -17, -5.5, _ASPHALT)
        self._area(-22, -6, 7, 13, _ASPHALT)
        slant = rng.choice((90.0, 75.0, 62.0))
        for row, mouth in ((-5.5, 1), (7.5, -1)):
            self._paint_bays(row, slant * mouth)
        self._paint_house(10, -5.5, 23, 10, courtyard=True)
        self._paint_house(-14, -27, 4, -17.5, courtyard=rng.random() < 0.5)
        self._paint_house(9, -28, 24, -17.5, courtyard=False)
        self._paint_house(-40, -4, -25.5, 9, courtyard=False)
        for x in range(-20, 9, 7):
            self._paint_tree(x + rng.uniform(-1, 1), 16 + rng.uniform(-0.5, 2))
        self._drive_along(-11.0)

    def _paint_bays(self, top: float, angle: float) -> None:
        """A row of parking bays 5 m deep; their lines lie at `angle`."""
        lean = 5 / math.tan(math.radians(abs(angle))) * (1 if angle > 0 else -1)
        pitch = 2.7 / math.sin(math.radians(abs(angle)))
        for bay in range(9):
            x = -20 + bay * pitch + max(0.0, -lean)
            if max(x, x + lean) > 6:
                break
            line = [
                (x, top),
                (x + 0.14, top),
                (x + 0.14 + lean, top + 5),
                (x + lean, top + 5),
            ]
            self._fill(line, _WHITE)
            if max(x, x + lean) + pitch < 6 and self._rng.random() < 0.72:
                middle = (x + (pitch + lean) / 2, top + 2.5)
                heading = math.degrees(math.atan2(5, lean)) + self._rng.choice((0, 180))
                self._try_car(middle, heading + self._rng.uniform(-4, 4))

    def _paint_roundabout(self) -> None:
        rng = self._rng
        arms = (0, 90, 180, 270)
        for angle in arms:
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            band = [(5, -3.6), (50, -3.6), (50, 3.6), (5, 3.6)]
            self._fill([(x * cos - y * sin, x * sin + y * cos) for x, y in band], _ASPHALT)
        self._canvas.disc(self._at(0, 0), 11.5 * self._scale, _ASPHALT)
        self._canvas.disc(self._at(0, 0), 4.6 * self._scale, _WHITE)
        self._canvas.disc(self._at(0, 0), 4.4 * self._scale, _GRASS)
        self._paint_tree(0, 0)
        circle = [
            (8.1 * math.cos(math.radians(a)), 8.1 * math.sin(math.radians(a)))
            for a in range(0, 361, 10)
        ]
        self._paint_lane(circle, dashed=True)
        for angle in arms:
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            self._paint_lane([(12 * cos, 12 * sin), (50 * cos, 50 * sin)], dashed=True)
            # On the right-hand side of the arm, to and from the ring.
            for side, heading in ((1.8, angle), (-1.8, angle + 180)):
                away = rng.uniform(14, 17)
                while away < 34:
                    spot = (away * cos - side * sin, away * sin + side * cos)
                    if rng.random() < 0.7:
                        self._try_car(spot, heading + rng.uniform(-2, 2))
                    away += rng.uniform(6, 12)
        for radius in (6.3, 9.8):
            angle_on_ring = rng.uniform(0, 90)
            end = angle_on_ring + 310
            while angle_on_ring < end:
                turn = math.radians(angle_on_ring)
                spot = (radius * math.cos(turn), radius * math.sin(turn))
                self._try_car(spot, angle_on_ring - 90)
                angle_on_ring += rng.uniform(60, 130)
        for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            left, right = sorted((x * rng.uniform(9.5, 11), x * rng.uniform(21, 26)))
            top, bottom = sorted((y * rng.uniform(9.5, 11), y * rng.uniform(20, 24)))
            self._paint_house(left, top, right, bottom, courtyard=rng.random() < 0.6)
            self._paint_tree(x * 6, y * 28)

    # Parts.

    def _paint_road(self, y: float) -> None:
        self._area(-60, y - 3.6, 60, y + 3.6, _ASPHALT)
        self._paint_lane([(-60, y - 3.3), (60, y - 3.3)], dashed=False)
        self._paint_lane([(-60, y), (60, y)], dashed=True)
        self._paint_lane([(-60, y + 3.3), (60, y + 3.3)], dashed=False)

    def _drive_along(self, y: float) -> None:
        for side, heading in ((1.7, 0.0), (-1.7, 180.0)):
            x = -34 + self._rng.uniform(0, 8)
            while x < 34:
                self._try_car((x, y + side), heading + self._rng.uniform(-2, 2))
                x += self._rng.uniform(8, 16)

    def _paint_lane(self, path: Sequence[Point], dashed: bool) -> None:
        points = [self._at(*point) for point in path]
        width = 0.18 * self._scale
        if dashed:
            for start, end in _dashes(points, 1.9 * self._scale, 1.5 * self._scale):
                self._stripe(start, end, width)
        else:
            for start, end in itertools.pairwise(points):
                self._stripe(start, end, width)
        for part in clip_path(points, self._canvas.width, self._canvas.height):
            self._labels.polyline("lane", part, {"style": "dashed" if dashed else "solid"})

    def _stripe(self, start: Point, end: Point, width: float) -> None:
        length = math.dist(start, end)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
        self._canvas.polygon(box_corners(middle, length, width, angle), _WHITE)

    def _try_car(self, spot: Point, heading: float) -> None:
        """Takes a car that is wholly in the picture."""
        rng = self._rng
        length = round(rng.uniform(4.1, 4.7) * self._scale * 4) / 4
        width = round(rng.uniform(1.78, 1.92) * self._scale * 4) / 4
        x, y = self._at(*spot)
        center = (round(x * 4) / 4, round(y * 4) / 4)
        angle = round((heading + self._turn) * 2) / 2 % 360
        corners = box_corners(center, length, width, angle)
        if all(
            1 < cx < self._canvas.width - 1 and 1 < cy < self._canvas.height - 1
            for cx, cy in corners
        ):
            paint = rng.choice(CAR_COLORS)
            car_from_above(self._canvas, center, length, width, angle, paint)
            attributes = {"color": paint, "occluded": "false"}
            self._labels.rotated_box("car", center, length, width, angle, attributes)

    def _paint_house(
        self, left: float, top: float, right: float, bottom: float, courtyard: bool
    ) -> None:
        """A roof; a courtyard in it shows the ground and is a hole of the polygon."""
        rng = self._rng
        color = rng.choice(_ROOFS)
        outer = [(left, top), (right, top), (right, bottom), (left, bottom)]
        self._fill([(x + 0.9, y + 0.9) for x, y in outer], (70, 82, 58))
        rings = [self._fill(outer, color)]
        pale = (
            min(255, color[0] + 22),
            min(255, color[1] + 22),
            min(255, color[2] + 22),
        )
        self._fill([(left, top), (right, top), (right - 2, top + 2), (left + 2, top + 2)], pale)
        self._fill(
            [(left, top), (left + 2, top + 2), (left + 2, bottom - 2), (left, bottom)],
            pale,
        )
        if courtyard:
            inset_x, inset_y = (right - left) * 0.3, (bottom - top) * 0.3
            hole = [
                (left + inset_x, top + inset_y),
                (right - inset_x, top + inset_y),
                (right - inset_x, bottom - inset_y),
                (left + inset_x, bottom - inset_y),
            ]
            rings.append(self._fill(hole, _GRASS))
            self._paint_tree((left + right) / 2, (top + bottom) / 2, 0.9)
        else:
            for _ in range(rng.randrange(2, 5)):
                x, y = (
                    rng.uniform(left + 3, right - 4),
                    rng.uniform(top + 3, bottom - 4),
                )
                self._area(x, y, x + 1.4, y + 1.0, (206, 208, 210))
        floors = rng.randrange(2, 7)
        clipped = clip_rings(rings, self._canvas.width, self._canvas.height)
        if clipped:
            self._labels.polygon("building", clipped, {"floors": floors})

    def _paint_tree(self, x: float, y: float, radius: float = 1.7) -> None:
        center = self._at(x, y)
        reach = radius * self._scale
        shadow = (center[0] + reach * 0.25, center[1] + reach * 0.25)
        self._canvas.disc(shadow, reach, (66, 84, 52))
        self._canvas.disc(center, reach, (62, 108, 54))
        crown = (center[0] - reach * 0.2, center[1] - reach * 0.2)
        self._canvas.disc(crown, reach * 0.65, (84, 134, 66))


def _dashes(path: Sequence[Point], dash: float, gap: float) -> list[tuple[Point, Point]]:
    """Straight dashes along a path."""
    found: list[tuple[Point, Point]] = []
    carried = 0.0
    for start, end in itertools.pairwise(path):
        length = math.dist(start, end)
        at = -carried
        while at < length:
            first, last = max(at, 0.0) / length, min(at + dash, length) / length
            if last > first:
                found.append((between(start, end, first), between(start, end, last)))
            at += dash + gap
        carried = (carried + length) % (dash + gap)
    return found
