"""The plan of one street, and the pinhole camera that looks along it.

World coordinates are metres: `right` of the middle of the road, `up` from the ground,
`depth` away from the camera. The road may bend.
"""

import math
from random import Random

from services.demo.dataset.canvas import Canvas, Color, Point
from services.demo.dataset.labels import Labels
from services.demo.dataset.moods import Mood

LANE = 3.3
SIDEWALK = 3.0
#: Depths between which there are houses and lanes.
NEAR, FAR = 2.2, 62.0
#: Width of a crossing street.
CROSSING = 7.5

#: Left, top, right and bottom in pixels.
Box = tuple[float, float, float, float]


class StreetView:
    """What the painters of a street's parts share; chance alone decides the plan."""

    def __init__(self, canvas: Canvas, labels: Labels, rng: Random, mood: Mood) -> None:
        self.canvas = canvas
        self.labels = labels
        self.rng = rng
        self.mood = mood
        self._focal = math.sqrt(canvas.width * canvas.height)
        #: Pixels from the top.
        self.horizon = canvas.height * rng.uniform(0.42, 0.5)
        self._eye = rng.uniform(2.0, 2.7)
        self._bend = rng.choice((-1, 0, 0, 1)) * rng.uniform(0.0003, 0.0009)
        self.lanes = rng.choice((2, 2, 4))
        #: Where the road and where the sidewalk ends, on both sides.
        self.curb = self.lanes * LANE / 2
        self.facade = self.curb + SIDEWALK
        self._camera = LANE / 2
        self._vanishing = canvas.width * rng.uniform(0.44, 0.56)
        #: Depth of the near side of a crossing street.
        self.crossing = rng.uniform(12.0, 17.0) if rng.random() < 0.6 else None
        #: What the traffic lights of our street show.
        self.signal = rng.choice(("red", "red", "green", "green", "yellow"))

    def at(self, right: float, up: float, depth: float) -> Point:
        """Where a point of the world is in the picture."""
        across = right - self._camera + self._bend * depth * depth
        return (
            self._vanishing + self._focal * across / depth,
            self.horizon + self._focal * (self._eye - up) / depth,
        )

    def right_of(self, x: float, depth: float) -> float:
        """How far right a point of the picture lies, at a depth."""
        across = (x - self._vanishing) * depth / self._focal - self._bend * depth * depth
        return across + self._camera

    def scale(self, depth: float) -> float:
        """Pixels of one metre."""
        return self._focal / depth

    def box(self, right: float, depth: float, half: float, height: float) -> Box:
        """The box of something that stands on the ground and is twice `half` wide."""
        (x, y), scale = self.at(right, 0, depth), self.scale(depth)
        return x - half * scale, y - height * scale, x + half * scale, y

    def strip(self, left: float, right: float, near: float, far: float, color: Color) -> None:
        """Fills a band of the ground that follows the road."""
        depths = steps(near, far)
        ring = [self.at(left, 0, z) for z in depths]
        ring += [self.at(right, 0, z) for z in reversed(depths)]
        self.canvas.polygon(ring, color)

    def on_crossing(self, depth: float, before: float) -> bool:
        """Whether a depth lies on the crossing street, or up to `before` metres before it."""
        near = self.crossing
        return near is not None and near - before < depth < near + CROSSING + 1

    def stretches(self, before: float, after: float) -> list[tuple[float, float]]:
        """The depths of the street without the crossing, widened on both sides."""
        if self.crossing is None:
            return [(NEAR, FAR)]
        return [(NEAR, self.crossing - before), (self.crossing + CROSSING + after, FAR)]


def steps(near: float, far: float) -> list[float]:
    """Depths from near to far, closer together where the picture shows more."""
    count = max(2, round(6 * math.log(far / near)) + 1)
    return [near * (far / near) ** (i / (count - 1)) for i in range(count)]
