"""A picture that is drawn at twice its size, for smooth edges, in final pixel coordinates."""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Color = tuple[int, int, int]
Point = tuple[float, float]

_SCALE = 2
_NOISE_SIZE = (1200, 900)


class Extent:
    """The axis-aligned enclosure of what was drawn, in pixels."""

    def __init__(self) -> None:
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf

    def add(self, left: float, top: float, right: float, bottom: float) -> None:
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)


class Canvas:
    """Draws shapes given in pixels of the final image, with the origin at its top left corner.

    `ambient` is the light of the scene, per channel: it dims every colour that is not lit.
    """

    def __init__(self, width: int, height: int, ambient: tuple[float, float, float]) -> None:
        self.width = width
        self.height = height
        self._ambient = ambient
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE))
        self._draw = ImageDraw.Draw(self._image)
        self._glows: list[tuple[Point, float, Color]] = []
        self._extents: list[Extent] = []

    @contextmanager
    def extent(self) -> Iterator[Extent]:
        """Measures what is drawn inside the block: the exact box of a figure."""
        extent = Extent()
        self._extents.append(extent)
        yield extent
        self._extents.remove(extent)

    def _ink(self, color: Color, lit: bool) -> Color:
        if lit:
            return color
        red, green, blue = (
            min(255, round(c * a)) for c, a in zip(color, self._ambient, strict=True)
        )
        return red, green, blue

    def _measure(self, left: float, top: float, right: float, bottom: float) -> None:
        for extent in self._extents:
            extent.add(left, top, right, bottom)

    def polygon(self, points: Sequence[Point], color: Color, lit: bool = False) -> None:
        """Fills a ring."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self._measure(min(xs), min(ys), max(xs), max(ys))
        self._draw.polygon(
            [(round(x * _SCALE), round(y * _SCALE)) for x, y in points],
            self._ink(color, lit),
        )

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        color: Color,
        radius: float = 0,
        lit: bool = False,
    ) -> None:
        """Fills a rectangle, with round corners where `radius` is given."""
        self._measure(left, top, right, bottom)
        edges = self._inclusive(left, top, right, bottom)
        self._draw.rounded_rectangle(edges, radius * _SCALE, self._ink(color, lit))

    def ellipse(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        color: Color,
        lit: bool = False,
    ) -> None:
        """Fills an ellipse."""
        self._measure(left, top, right, bottom)
        self._draw.ellipse(self._inclusive(left, top, right, bottom), self._ink(color, lit))

    def disc(self, center: Point, radius: float, color: Color, lit: bool = False) -> None:
        """Fills a circle."""
        x, y = center
        self.ellipse(x - radius, y - radius, x + radius, y + radius, color, lit)

    def limb(self, path: Sequence[Point], width: float, color: Color) -> None:
        """Draws a thick line with round joints and ends."""
        radius = width / 2
        for start, end in itertools.pairwise(path):
            length = math.dist(start, end) or 1.0
            dx, dy = (
                (end[0] - start[0]) / length * radius,
                (end[1] - start[1]) / length * radius,
            )
            self.polygon(
                [
                    (start[0] - dy, start[1] + dx),
                    (end[0] - dy, end[1] + dx),
                    (end[0] + dy, end[1] - dx),
                    (start[0] + dy, start[1] - dx),
                ],
                color,
            )
        for point in path:
            self.disc(point, radius, color)

    def gradient(self, top: float, bottom: float, first: Color, last: Color) -> None:
        """Fills the full width between two heights, from one colour to the other; lit."""
        start, end = round(top * _SCALE), round(bottom * _SCALE)
        ramp = Image.linear_gradient("L").resize((self._image.width, max(1, end - start)))
        bands = [
            ramp.point([round(a + (b - a) * i / 255) for i in range(256)])
            for a, b in zip(first, last, strict=True)
        ]
        self._image.paste(Image.merge("RGB", bands), (0, start))

    def glow(self, center: Point, radius: float, color: Color) -> None:
        """Adds a halo, over everything that is drawn."""
        self._glows.append((center, radius, color))

    def jpeg(self, rng: Random, noise: int) -> bytes:
        """The finished picture with grain of the given amplitude, as a JPEG."""
        image = self._image.reduce(_SCALE)
        if self._glows:
            image = ImageChops.screen(image, self._halos())
        left = rng.randrange(_NOISE_SIZE[0] - self.width + 1)
        top = rng.randrange(_NOISE_SIZE[1] - self.height + 1)
        grain = _noise().crop((left, top, left + self.width, top + self.height))
        grain = grain.point([i * 2 * noise // 256 for i in range(256)])
        image = ImageChops.add(image, Image.merge("RGB", [grain] * 3), 1, -noise)
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=85)
        return buffer.getvalue()

    def _halos(self) -> Image.Image:
        """Drawn at a quarter of the size: a blur has no detail to lose."""
        halos = Image.new("RGB", (self.width // 4 + 1, self.height // 4 + 1))
        for (x, y), radius, color in self._glows:
            layer = Image.new("RGB", halos.size)
            r = radius / 4
            box = (x / 4 - r, y / 4 - r, x / 4 + r, y / 4 + r)
            ImageDraw.Draw(layer).ellipse(box, color)
            halos = ImageChops.add(halos, layer)
        blurred = halos.filter(ImageFilter.GaussianBlur(4))
        return blurred.resize((self.width, self.height), Image.Resampling.BILINEAR)

    @staticmethod
    def _inclusive(
        left: float, top: float, right: float, bottom: float
    ) -> tuple[int, int, int, int]:
        """Pillow counts the last row and column in."""
        x, y = round(left * _SCALE), round(top * _SCALE)
        return (
            x,
            y,
            max(x, round(right * _SCALE) - 1),
            max(y, round(bottom * _SCALE) - 1),
        )


@cache
def _noise() -> Image.Image:
    width, height = _NOISE_SIZE
    return Image.frombytes("L", _NOISE_SIZE, Random("grain").randbytes(width * height))
