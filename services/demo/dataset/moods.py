"""Light and weather of a picture, and the backgrounds they colour."""

import math
from dataclasses import dataclass
from random import Random

from services.demo.dataset.canvas import Canvas, Color, Point
from services.demo.dataset.figures.roadside import tree


@dataclass(frozen=True, slots=True)
class Mood:
    """One light or weather."""

    #: Also the folder of its pictures.
    name: str
    #: Brightness of everything that is not lit, per channel.
    ambient: tuple[float, float, float]
    zenith: Color
    horizon: Color
    #: Whether lamps are on.
    lights: bool
    #: Amplitude of the grain.
    noise: int


DAY = Mood("day", (1.0, 1.0, 1.0), (84, 146, 214), (214, 230, 240), False, 7)
NIGHT = Mood("night", (0.36, 0.39, 0.52), (10, 14, 38), (48, 54, 92), True, 12)
RAIN = Mood("rain", (0.66, 0.7, 0.75), (108, 118, 130), (174, 180, 186), True, 10)


def paint_sky(canvas: Canvas, rng: Random, mood: Mood, horizon: float) -> None:
    """Sky, what hangs in it, and hills at the horizon."""
    canvas.gradient(0, horizon + 2, mood.zenith, mood.horizon)
    width = canvas.width
    if mood is NIGHT:
        for _ in range(60):
            star = (rng.uniform(0, width), rng.uniform(0, horizon * 0.8))
            canvas.disc(star, rng.uniform(0.4, 1.0), (210, 214, 230), lit=True)
        moon = (rng.uniform(0.15, 0.85) * width, rng.uniform(0.08, 0.3) * horizon)
        _paint_orb(canvas, moon, 14, (236, 232, 212), mood, horizon)
    else:
        if mood is DAY:
            sun = (rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.35) * horizon)
            _paint_orb(canvas, sun, 17, (255, 246, 206), mood, horizon)
        cloud: Color = (246, 248, 250) if mood is DAY else (142, 148, 156)
        for _ in range(4 if mood is DAY else 9):
            x, y = rng.uniform(0, width), rng.uniform(0.05, 0.55) * horizon
            for _ in range(5):
                reach, thick = rng.uniform(18, 46), rng.uniform(7, 13)
                cx, cy = x + rng.uniform(-38, 38), y + rng.uniform(-6, 6)
                canvas.ellipse(cx - reach, cy - thick, cx + reach, cy + thick, cloud, lit=True)
    for layer, color in enumerate(((122, 146, 138), (98, 128, 100))):
        phase, wave = rng.uniform(0, 6.28), rng.uniform(60, 120)
        top = horizon - 26 + layer * 14
        crest = [
            (
                float(x),
                top + 9 * math.sin(x / wave + phase) + 4 * math.sin(x / 23 + phase),
            )
            for x in range(0, width + 16, 16)
        ]
        canvas.polygon([(0.0, horizon + 2), *crest, (crest[-1][0], horizon + 2)], color)


def _paint_orb(
    canvas: Canvas,
    center: Point,
    radius: float,
    color: Color,
    mood: Mood,
    horizon: float,
) -> None:
    """Sun or moon, paling into the sky around it."""
    height = center[1] / horizon
    for ring in range(12, -1, -1):
        share = (1 - ring / 13) ** 2
        red, green, blue = (
            round((a + (b - a) * height) * (1 - share) + c * share)
            for a, b, c in zip(mood.zenith, mood.horizon, color, strict=True)
        )
        canvas.disc(center, radius * (1 + ring / 10), (red, green, blue), lit=True)


def paint_rain(canvas: Canvas, rng: Random) -> None:
    """Streaks of rain over everything."""
    for _ in range(canvas.width * canvas.height // 1500):
        x, y = rng.uniform(-10, canvas.width), rng.uniform(-20, canvas.height)
        length = rng.uniform(8, 20)
        ink: Color = rng.choice(((176, 184, 194), (150, 158, 168)))
        canvas.polygon(
            [
                (x, y),
                (x + 0.5, y),
                (x + 0.5 + length * 0.22, y + length),
                (x + length * 0.22, y + length),
            ],
            ink,
            lit=True,
        )


def paint_meadow(canvas: Canvas, rng: Random, mood: Mood) -> None:
    """Open land: a picture with nothing to annotate."""
    width, height = canvas.width, canvas.height
    horizon = height * rng.uniform(0.4, 0.52)
    paint_sky(canvas, rng, mood, horizon)
    canvas.box(0, horizon, width, height, (104, 142, 72))
    for row in range(1, 9):
        y = horizon + (height - horizon) * (row / 9) ** 1.7
        shade = 96 + row * 5 + rng.randrange(-5, 6)
        canvas.polygon(
            [
                (0, y + rng.uniform(-5, 5)),
                (width, y + rng.uniform(-5, 5)),
                (width, height),
                (0, height),
            ],
            (shade, shade + 40, 62),
        )
    lake = (width * rng.uniform(0.2, 0.7), horizon + (height - horizon) * 0.2)
    canvas.ellipse(lake[0] - 90, lake[1] - 9, lake[0] + 90, lake[1] + 12, (112, 152, 184))
    for depth in sorted((rng.uniform(6, 40) for _ in range(14)), reverse=True):
        scale = 420 / depth
        foot = (rng.uniform(-20, width + 20), horizon + 1.7 * scale)
        tree(canvas, foot, scale, (70 + rng.randrange(30), 122 + rng.randrange(24), 58))
    if mood is RAIN:
        paint_rain(canvas, rng)
