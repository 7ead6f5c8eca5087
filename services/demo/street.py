"""A street seen along its length, through a pinhole camera.

World coordinates are metres: `right` of the middle of the road, `up` from the ground,
`depth` away from the camera. The road may bend.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from services.demo.canvas import Canvas, Color, Extent, Point
from services.demo.classes import CAR_COLORS
from services.demo.figures import (
    Look,
    car_across,
    car_along,
    person,
    street_lamp,
    traffic_light,
    tree,
)
from services.demo.geometry import clip_path, clip_rings
from services.demo.labels import Labels
from services.demo.moods import RAIN, Mood, paint_rain, paint_sky

_LANE = 3.3
_SIDEWALK = 3.0
_FAR = 62.0
_NEAR = 2.2
_CROSSING = 7.5
_FLOOR = 3.1
#: People of fewer pixels get a box and no pose.
_POSE_HEIGHT = 56.0
_FACADES: tuple[Color, ...] = (
    (178, 120, 92), (204, 186, 150), (150, 152, 158), (186, 150, 120),
    (128, 108, 104), (212, 202, 186), (120, 134, 148), (160, 92, 78),
)  # fmt: skip
_SHIRTS: tuple[Color, ...] = (
    (206, 62, 56), (56, 96, 176), (236, 200, 70), (70, 140, 90),
    (230, 230, 226), (120, 70, 140), (236, 134, 56), (60, 62, 70),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = ((44, 54, 84), (60, 58, 56), (110, 96, 76), (32, 32, 38))
_SKINS: tuple[Color, ...] = (
    (240, 206, 178),
    (206, 160, 122),
    (150, 104, 74),
    (104, 70, 50),
)
_HAIRS: tuple[Color, ...] = ((40, 30, 26), (96, 64, 38), (176, 138, 80), (70, 70, 72))

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Thing:
    """Something that stands on the street, before it is drawn."""

    depth: float
    box: Box
    draw: Callable[[], None]


@dataclass(slots=True)
class _Drawn:
    """A thing with a label, once its true extent is known; nearer ones come later."""

    extent: Extent
    label: Callable[[list[Extent]], None] | None


class Street:
    """Paints one street and labels what it paints."""

    def __init__(self, canvas: Canvas, labels: Labels, rng: Random, mood: Mood) -> None:
        self._canvas = canvas
        self._labels = labels
        self._rng = rng
        self._mood = mood
        self._focal = math.sqrt(canvas.width * canvas.height)
        self._horizon = canvas.height * rng.uniform(0.42, 0.5)
        self._eye = rng.uniform(2.0, 2.7)
        self._bend = rng.choice((-1, 0, 0, 1)) * rng.uniform(0.0003, 0.0009)
        self._lanes = rng.choice((2, 2, 4))
        self._curb = self._lanes * _LANE / 2
        self._facade = self._curb + _SIDEWALK
        self._camera = _LANE / 2
        self._vanishing = canvas.width * rng.uniform(0.44, 0.56)
        self._crossing = rng.uniform(12.0, 17.0) if rng.random() < 0.6 else None
        self._state = rng.choice(("red", "red", "green", "green", "yellow"))
        self._things: list[_Thing] = []
        self._drawn: list[_Drawn] = []

    def paint(self) -> None:
        """Draws the street from far to near."""
        paint_sky(self._canvas, self._rng, self._mood, self._horizon)
        self._paint_ground()
        self._paint_tower()
        self._paint_buildings()
        self._paint_lanes()
        self._place_things()
        for thing in sorted(self._things, key=lambda thing: -thing.depth):
            thing.draw()
        for index, drawn in enumerate(self._drawn):
            if drawn.label:
                drawn.label([nearer.extent for nearer in self._drawn[index + 1 :]])
        if self._mood is RAIN:
            paint_rain(self._canvas, self._rng)

    def _at(self, right: float, up: float, depth: float) -> Point:
        across = right - self._camera + self._bend * depth * depth
        return (
            self._vanishing + self._focal * across / depth,
            self._horizon + self._focal * (self._eye - up) / depth,
        )

    def _scale(self, depth: float) -> float:
        return self._focal / depth

    def _strip(
        self, left: float, right: float, near: float, far: float, color: Color
    ) -> list[Point]:
        """Fills a band of the ground that follows the road."""
        depths = _steps(near, far)
        ring = [self._at(left, 0, z) for z in depths]
        ring += [self._at(right, 0, z) for z in reversed(depths)]
        self._canvas.polygon(ring, color)
        return ring

    # Ground, lanes and buildings.

    def _paint_ground(self) -> None:
        width, height = self._canvas.width, self._canvas.height
        asphalt: Color = (84, 86, 90) if self._mood is not RAIN else (92, 98, 106)
        self._canvas.box(0, self._horizon, width, height, (134, 146, 112))
        self._strip(-self._facade - 1, self._facade + 1, _NEAR, 80, (168, 164, 158))
        self._strip(-self._curb - 0.2, self._curb + 0.2, _NEAR, 80, (126, 124, 120))
        self._strip(-self._curb, self._curb, _NEAR, 80, asphalt)
        if self._crossing is not None:
            near, far = self._crossing, self._crossing + _CROSSING
            self._strip(-70, 70, near - 0.2, far + 0.2, (126, 124, 120))
            self._strip(-70, 70, near, far, asphalt)
            white: Color = (226, 226, 220)
            stripes = int(self._curb * 2)
            for stripe in range(stripes):
                left = -self._curb + (stripe + 0.25) * 2 * self._curb / stripes
                self._strip(left, left + 0.5, near - 3.4, near - 0.6, white)
            self._strip(0.15, self._curb, near - 4.5, near - 4.1, white)
        for _ in range(26):
            x, z = self._rng.uniform(-self._curb, self._curb), self._rng.uniform(4, 40)
            patch = self._rng.randrange(-7, 8)
            shade: Color = (asphalt[0] + patch, asphalt[1] + patch, asphalt[2] + patch)
            reach = self._rng.uniform(0.2, 0.6)
            if abs(x) + reach < self._curb and not self._on_crossing(z, 5):
                self._strip(x - reach, x + reach, z, z + 1.2, shade)

    def _on_crossing(self, depth: float, before: float) -> bool:
        near = self._crossing
        return near is not None and near - before < depth < near + _CROSSING + 1

    def _stretches(self, before: float, after: float) -> list[tuple[float, float]]:
        """The depths of the street without the crossing, widened on both sides."""
        if self._crossing is None:
            return [(_NEAR, _FAR)]
        return [
            (_NEAR, self._crossing - before),
            (self._crossing + _CROSSING + after, _FAR),
        ]

    def _paint_lanes(self) -> None:
        for number in range(self._lanes + 1):
            right = -self._curb + number * _LANE
            middle = number == self._lanes / 2
            edge = number in (0, self._lanes)
            right += 0.3 if number == 0 else -0.3 if number == self._lanes else 0
            dashed = not edge and not (middle and self._lanes == 4)
            color: Color = (236, 190, 70) if middle else (228, 228, 224)
            for near, far in self._stretches(4.1, 0.5):
                depths = _steps(near, far)
                if dashed:
                    start = near + self._rng.uniform(0, 1)
                    while start < far - 1:
                        self._strip(
                            right - 0.08,
                            right + 0.08,
                            start,
                            min(start + 3, far),
                            color,
                        )
                        start += 5.5
                else:
                    self._strip(right - 0.07, right + 0.07, near, far, color)
                path = [self._at(right, 0, z) for z in depths]
                for part in clip_path(path, self._canvas.width, self._canvas.height):
                    style = "dashed" if dashed else "solid"
                    self._labels.polyline("lane", part, {"style": style})

    def _paint_tower(self) -> None:
        """A house with a window to the sky, where the street ends."""
        if self._rng.random() < 0.4:
            return
        left, right = (
            self._at(-self._facade, 0, _FAR)[0],
            self._at(self._facade, 0, _FAR)[0],
        )
        middle, half = (
            (left + right) / 2,
            (right - left) * self._rng.uniform(0.26, 0.36),
        )
        base = self._at(0, 0, 78)[1]
        floors = self._rng.randrange(9, 15)
        floor = half * 0.3
        top = base - floors * floor
        hole_left, hole_right = middle - half * 0.5, middle + half * 0.5
        hole_top, hole_bottom = top + 1.6 * floor, top + (floors * 0.55) * floor
        outer = [
            (middle - half, base),
            (middle - half, top),
            (middle + half, top),
            (middle + half, base),
        ]
        hole = [
            (hole_left, hole_bottom),
            (hole_right, hole_bottom),
            (hole_right, hole_top),
            (hole_left, hole_top),
        ]
        color: Color = self._rng.choice(((142, 156, 172), (176, 168, 160), (120, 128, 140)))
        # Four bars around the opening leave the sky behind it as it is.
        self._canvas.box(middle - half, top, middle + half, hole_top, color)
        self._canvas.box(middle - half, hole_bottom, middle + half, base, color)
        self._canvas.box(middle - half, hole_top, hole_left, hole_bottom, color)
        self._canvas.box(hole_right, hole_top, middle + half, hole_bottom, color)
        for row in range(floors):
            y = top + (row + 0.3) * floor
            for column in range(8):
                x = middle - half + (column + 0.28) * half / 4
                beside = x + half * 0.12 < hole_left or x > hole_right
                above = y + floor * 0.45 < hole_top or y > hole_bottom
                if beside or above:
                    ink, lit = self._window()
                    self._canvas.box(x, y, x + half * 0.12, y + floor * 0.45, ink, lit=lit)
        rings = clip_rings([outer, hole], self._canvas.width, self._canvas.height)
        self._labels.polygon("building", rings, {"floors": floors})

    def _window(self) -> tuple[Color, bool]:
        """The colour of a window, and whether there is light in it."""
        if self._mood.lights and self._rng.random() < 0.4:
            warm = self._rng.randrange(170, 255)
            return (warm, round(warm * 0.84), round(warm * 0.5)), True
        shade = self._rng.randrange(-12, 13)
        return (84 + shade, 104 + shade, 126 + shade), False

    def _paint_buildings(self) -> None:
        for side in (-1, 1):
            rows: list[tuple[float, float, float | None]] = []
            previous: float | None = None
            for near, far in self._stretches(1.0, 1.5):
                start = near
                while far - start > 6:
                    end = min(start + self._rng.uniform(9, 16), far)
                    if far - end < 6:
                        end = far
                    rows.append((start, end, previous))
                    previous = end
                    start = end + self._rng.choice((0, 0, 2.5, 4))
            for near, far, nearer_end in reversed(rows):
                self._paint_building(side, near, far, nearer_end)

    def _paint_building(self, side: int, near: float, far: float, nearer_end: float | None) -> None:
        """A house whose long front faces the road, and as much of its end wall as can be seen
        past the house before it, which ends at `nearer_end`.
        """
        rng = self._rng
        floors = rng.randrange(2, 7)
        height = floors * _FLOOR + 0.8
        color = rng.choice(_FACADES)
        wall = side * self._facade
        depths = _steps(near, far)
        bottom = [self._at(wall, 0, z) for z in depths]
        top = [self._at(wall, height, z) for z in depths]
        outline = [*bottom, *reversed(top)]
        self._canvas.polygon(outline, color)
        outer = wall + side * self._end_wall(wall, near, nearer_end)
        if outer != wall:
            end_wall = [
                self._at(wall, height, near),
                self._at(outer, height, near),
                self._at(outer, 0, near),
                self._at(wall, 0, near),
            ]
            dark = (
                round(color[0] * 0.78),
                round(color[1] * 0.78),
                round(color[2] * 0.8),
            )
            self._canvas.polygon(end_wall, dark)
            outline = [*outline, end_wall[1], end_wall[2]]
            self._paint_windows(
                lambda along, up: self._at(wall + side * along, up, near),
                abs(outer - wall),
                floors,
            )
        self._paint_windows(lambda along, up: self._at(wall, up, near + along), far - near, floors)
        ledge = [self._at(wall, height - 0.5, z) for z in depths]
        self._canvas.polygon([*ledge, *reversed(top)], (92, 84, 80))
        rings = clip_rings([outline], self._canvas.width, self._canvas.height)
        if rings:
            self._labels.polygon("building", rings, {"floors": floors})

    def _end_wall(self, wall: float, near: float, nearer_end: float | None) -> float:
        """Metres of the end wall in sight."""
        if nearer_end is None or near - nearer_end < 0.5:
            return 0.0
        edge = self._at(wall, 0, nearer_end)[0]
        across = (edge - self._vanishing) * near / self._focal - self._bend * near * near
        return max(0.0, min(9.0, abs(across + self._camera) - abs(wall)))

    def _paint_windows(
        self, at: Callable[[float, float], Point], length: float, floors: int
    ) -> None:
        columns = int(length / 2.6)
        if not columns:
            return
        pitch = length / columns
        for column in range(columns):
            left, right = (column + 0.22) * pitch, (column + 0.78) * pitch
            x_left, x_right = at(left, 0)[0], at(right, 0)[0]
            if max(x_left, x_right) < 0 or min(x_left, x_right) > self._canvas.width:
                continue
            for floor in range(floors):
                up = floor * _FLOOR
                low, high = (up + 0.2, up + 2.4) if floor == 0 else (up + 1.0, up + 2.5)
                ink, lit = self._window()
                pane = [at(left, low), at(right, low), at(right, high), at(left, high)]
                self._canvas.polygon(pane, ink, lit)

    # What stands and moves on the street.

    def _place_things(self) -> None:
        self._place_lights()
        self._place_trees_and_lamps()
        self._place_cars()
        self._place_people()

    def _try(self, depth: float, box: Box, draw: Callable[[], None], hides: bool = True) -> None:
        """Takes a thing if it is wholly in the picture, and neither it nor another would
        be mostly hidden.
        """
        left, top, right, bottom = box
        if (
            left < 2
            or top < 2
            or right > self._canvas.width - 2
            or bottom > self._canvas.height - 2
        ):
            return
        if hides:
            for other in self._things:
                behind, front = (other.box, box) if other.depth > depth else (box, other.box)
                if _covered(behind, front) > 0.45:
                    return
        self._things.append(_Thing(depth, box, draw))

    def _box(self, right: float, depth: float, half: float, height: float) -> Box:
        (x, y), scale = self._at(right, 0, depth), self._scale(depth)
        return x - half * scale, y - height * scale, x + half * scale, y

    def _place_lights(self) -> None:
        if self._crossing is None:
            return
        beyond = self._crossing + _CROSSING + 1
        spots = [(self._curb + 0.6, self._crossing - 4.2)]
        spots += [(self._curb + 0.7, beyond), (-self._curb - 0.7, beyond)]
        for right, depth in spots:

            def draw(right: float = right, depth: float = depth) -> None:
                extent = traffic_light(
                    self._canvas,
                    self._at(right, 0, depth),
                    self._scale(depth),
                    self._state,
                    self._mood.lights,
                )
                self._drawn.append(
                    _Drawn(
                        extent,
                        lambda _: self._labels.box("traffic light", extent, {"state": self._state}),
                    )
                )

            left, _, far_right, _ = self._box(right, depth, 0.3, 3.8)
            top, bottom = self._at(right, 3.8, depth)[1], self._at(right, 2.4, depth)[1]
            self._try(depth, (left, top, far_right, bottom), draw)

    def _place_trees_and_lamps(self) -> None:
        for side in (-1, 1):
            depth = self._rng.uniform(8, 14)
            while depth < 50:
                spot = side * (self._curb + (2.3 if self._rng.random() < 0.5 else 0.5))
                lamp = abs(spot) < self._curb + 1
                foot, scale = self._at(spot, 0, depth), self._scale(depth)

                def draw(
                    foot: Point = foot,
                    scale: float = scale,
                    side: int = side,
                    lamp: bool = lamp,
                ) -> None:
                    if lamp:
                        street_lamp(self._canvas, foot, scale, -side, self._mood.lights)
                    else:
                        tree(self._canvas, foot, scale, (82, 132, 62))

                if not self._on_crossing(depth, 5.5):
                    crown = (
                        foot[0] - 1.5 * scale, foot[1] - 4.9 * scale,
                        foot[0] + 1.5 * scale, foot[1] - 2.2 * scale,
                    )  # fmt: skip
                    self._try(depth, crown, draw, hides=not lamp)
                depth += self._rng.uniform(7, 13)

    def _place_cars(self) -> None:
        rng = self._rng
        for lane in range(self._lanes):
            right = -self._curb + (lane + 0.5) * _LANE
            coming = right < 0
            depth = rng.uniform(8, 18)
            while depth < 48:
                if not self._on_crossing(depth, 5.0):
                    self._try_car(right + rng.uniform(-0.25, 0.25), depth, coming)
                depth += rng.uniform(7, 20)
        if self._crossing is not None and self._state == "red":
            for heading, offset in ((1, 2.2), (-1, 5.6)):
                right = rng.uniform(-12, -4)
                while right < 12:
                    self._try_car_across(right, self._crossing + offset, heading)
                    right += rng.uniform(6, 11)

    def _try_car(self, right: float, depth: float, coming: bool) -> None:
        paint = self._rng.choice(CAR_COLORS)
        foot, scale = self._at(right, 0, depth), self._scale(depth)

        def draw() -> None:
            extent = car_along(self._canvas, foot, scale, paint, coming, self._mood.lights)
            self._drawn.append(_Drawn(extent, lambda front: self._label_car(extent, paint, front)))

        self._try(depth, self._box(right, depth, 0.95, 1.5), draw)

    def _try_car_across(self, right: float, depth: float, heading: int) -> None:
        paint = self._rng.choice(CAR_COLORS)
        foot, scale = self._at(right, 0, depth), self._scale(depth)

        def draw() -> None:
            extent = car_across(self._canvas, foot, scale, paint, heading, self._mood.lights)
            self._drawn.append(_Drawn(extent, lambda front: self._label_car(extent, paint, front)))

        self._try(depth, self._box(right, depth, 2.2, 1.5), draw)

    def _label_car(self, extent: Extent, paint: str, front: list[Extent]) -> None:
        occluded = "true" if _hidden(extent, front) else "false"
        self._labels.box("car", extent, {"color": paint, "occluded": occluded})

    def _place_people(self) -> None:
        rng = self._rng
        for _ in range(rng.randrange(5, 10)):
            right = rng.choice((-1, 1)) * (self._curb + rng.uniform(0.5, _SIDEWALK - 0.5))
            heading = rng.choice((0, 180)) + rng.uniform(-35, 35)
            self._try_person(right, rng.uniform(6, 30), heading)
        if self._crossing is not None and self._state == "red":
            for _ in range(rng.randrange(1, 4)):
                right = rng.uniform(-self._curb, self._curb)
                depth = self._crossing - rng.uniform(1.0, 3.0)
                self._try_person(right, depth, rng.choice((90, 270)) + rng.uniform(-15, 15))

    def _try_person(self, right: float, depth: float, heading: float) -> None:
        rng = self._rng
        look = Look(
            height=rng.uniform(1.58, 1.9),
            shirt=rng.choice(_SHIRTS),
            trousers=rng.choice(_TROUSERS),
            skin=rng.choice(_SKINS),
            hair=rng.choice(_HAIRS),
            heading=heading,
            stride=rng.choice((0.0, rng.uniform(0.15, 0.34), rng.uniform(0.15, 0.34))),
        )
        foot, scale = self._at(right, 0, depth), self._scale(depth)

        def draw() -> None:
            extent, joints = person(self._canvas, foot, scale, look)

            def label(front: list[Extent]) -> None:
                occluded = "true" if _hidden(extent, front) else "false"
                self._labels.box("person", extent, {"occluded": occluded})
                if look.height * scale >= _POSE_HEIGHT:
                    self._labels.pose(
                        {
                            joint: (
                                spot,
                                own or any(_inside(spot, other) for other in front),
                            )
                            for joint, (spot, own) in joints.items()
                        }
                    )

            self._drawn.append(_Drawn(extent, label))

        self._try(depth, self._box(right, depth, 0.45, look.height), draw)


def _steps(near: float, far: float) -> list[float]:
    """Depths from near to far, closer together where the picture shows more."""
    count = max(2, round(6 * math.log(far / near)) + 1)
    return [near * (far / near) ** (i / (count - 1)) for i in range(count)]


def _covered(behind: Box, front: Box) -> float:
    """The share of a box that another one covers."""
    across = min(behind[2], front[2]) - max(behind[0], front[0])
    down = min(behind[3], front[3]) - max(behind[1], front[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / ((behind[2] - behind[0]) * (behind[3] - behind[1]))


def _hidden(extent: Extent, front: list[Extent]) -> bool:
    """Whether nearer things cover a tenth or more."""
    box = (extent.left, extent.top, extent.right, extent.bottom)
    covers = ((e.left, e.top, e.right, e.bottom) for e in front)
    return sum(_covered(box, cover) for cover in covers) >= 0.1


def _inside(point: Point, extent: Extent) -> bool:
    return extent.left < point[0] < extent.right and extent.top < point[1] < extent.bottom
