"""The houses of a street: rows on both sides, and a tower where it ends."""

from collections.abc import Callable

from services.demo.dataset.canvas import Color, Point
from services.demo.dataset.geometry import clip_rings
from services.demo.dataset.street.view import FAR, StreetView, steps

_FLOOR = 3.1
_LEDGE: Color = (92, 84, 80)
_FACADES: tuple[Color, ...] = (
    (178, 120, 92), (204, 186, 150), (150, 152, 158), (186, 150, 120),
    (128, 108, 104), (212, 202, 186), (120, 134, 148), (160, 92, 78),
)  # fmt: skip
_TOWERS: tuple[Color, ...] = ((142, 156, 172), (176, 168, 160), (120, 128, 140))


def paint_tower(view: StreetView) -> None:
    """Paints, in most pictures, a house with a window to the sky where the street ends."""
    if view.rng.random() < 0.4:
        return
    left, right = view.at(-view.facade, 0, FAR)[0], view.at(view.facade, 0, FAR)[0]
    middle, half = (left + right) / 2, (right - left) * view.rng.uniform(0.26, 0.36)
    base = view.at(0, 0, 78)[1]
    floors = view.rng.randrange(9, 15)
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
    color = view.rng.choice(_TOWERS)
    # Four bars around the opening leave the sky behind it as it is.
    view.canvas.box(middle - half, top, middle + half, hole_top, color)
    view.canvas.box(middle - half, hole_bottom, middle + half, base, color)
    view.canvas.box(middle - half, hole_top, hole_left, hole_bottom, color)
    view.canvas.box(hole_right, hole_top, middle + half, hole_bottom, color)
    for row in range(floors):
        y = top + (row + 0.3) * floor
        for column in range(8):
            x = middle - half + (column + 0.28) * half / 4
            beside = x + half * 0.12 < hole_left or x > hole_right
            above = y + floor * 0.45 < hole_top or y > hole_bottom
            if beside or above:
                ink, lit = _window(view)
                view.canvas.box(x, y, x + half * 0.12, y + floor * 0.45, ink, lit=lit)
    rings = clip_rings([outer, hole], view.canvas.width, view.canvas.height)
    view.labels.polygon("building", rings, {"floors": floors})


def paint_houses(view: StreetView) -> None:
    """Paints the rows of houses on both sides, from far to near."""
    for side in (-1, 1):
        row: list[tuple[float, float, float | None]] = []
        previous: float | None = None
        for near, far in view.stretches(1.0, 1.5):
            start = near
            while far - start > 6:
                end = min(start + view.rng.uniform(9, 16), far)
                if far - end < 6:
                    end = far
                row.append((start, end, previous))
                previous = end
                start = end + view.rng.choice((0, 0, 2.5, 4))
        for near, far, nearer_end in reversed(row):
            _paint_house(view, side, near, far, nearer_end)


def _paint_house(
    view: StreetView, side: int, near: float, far: float, nearer_end: float | None
) -> None:
    """A house whose long front faces the road, and as much of its end wall as can be seen
    past the house before it, which ends at `nearer_end`.
    """
    floors = view.rng.randrange(2, 7)
    height = floors * _FLOOR + 0.8
    color = view.rng.choice(_FACADES)
    wall = side * view.facade
    depths = steps(near, far)
    bottom = [view.at(wall, 0, z) for z in depths]
    top = [view.at(wall, height, z) for z in depths]
    outline = [*bottom, *reversed(top)]
    view.canvas.polygon(outline, color)
    outer = wall + side * _end_wall(view, wall, near, nearer_end)
    if outer != wall:
        end_wall = [
            view.at(wall, height, near),
            view.at(outer, height, near),
            view.at(outer, 0, near),
            view.at(wall, 0, near),
        ]
        dark = (round(color[0] * 0.78), round(color[1] * 0.78), round(color[2] * 0.8))
        view.canvas.polygon(end_wall, dark)
        outline = [*outline, end_wall[1], end_wall[2]]
        _paint_windows(
            view,
            lambda along, up: view.at(wall + side * along, up, near),
            abs(outer - wall),
            floors,
        )
    _paint_windows(view, lambda along, up: view.at(wall, up, near + along), far - near, floors)
    ledge = [view.at(wall, height - 0.5, z) for z in depths]
    view.canvas.polygon([*ledge, *reversed(top)], _LEDGE)
    rings = clip_rings([outline], view.canvas.width, view.canvas.height)
    if rings:
        view.labels.polygon("building", rings, {"floors": floors})


def _end_wall(view: StreetView, wall: float, near: float, nearer_end: float | None) -> float:
    """Metres of the end wall in sight."""
    if nearer_end is None or near - nearer_end < 0.5:
        return 0.0
    edge = view.at(wall, 0, nearer_end)[0]
    return max(0.0, min(9.0, abs(view.right_of(edge, near)) - abs(wall)))


def _paint_windows(
    view: StreetView, at: Callable[[float, float], Point], length: float, floors: int
) -> None:
    """The windows of a wall; `at` places a point by its metres along the wall and up."""
    columns = int(length / 2.6)
    if not columns:
        return
    pitch = length / columns
    for column in range(columns):
        left, right = (column + 0.22) * pitch, (column + 0.78) * pitch
        x_left, x_right = at(left, 0)[0], at(right, 0)[0]
        if max(x_left, x_right) < 0 or min(x_left, x_right) > view.canvas.width:
            continue
        for floor in range(floors):
            up = floor * _FLOOR
            low, high = (up + 0.2, up + 2.4) if floor == 0 else (up + 1.0, up + 2.5)
            ink, lit = _window(view)
            pane = [at(left, low), at(right, low), at(right, high), at(left, high)]
            view.canvas.polygon(pane, ink, lit)


def _window(view: StreetView) -> tuple[Color, bool]:
    """The colour of a window, and whether there is light in it."""
    if view.mood.lights and view.rng.random() < 0.4:
        warm = view.rng.randrange(170, 255)
        return (warm, round(warm * 0.84), round(warm * 0.5)), True
    shade = view.rng.randrange(-12, 13)
    return (84 + shade, 104 + shade, 126 + shade), False
