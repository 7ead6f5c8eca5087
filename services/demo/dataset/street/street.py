"""A street seen along its length."""

from random import Random

from services.demo.dataset.canvas import Canvas
from services.demo.dataset.labels import Labels
from services.demo.dataset.moods import RAIN, Mood, paint_rain, paint_sky
from services.demo.dataset.street.cars import place_cars
from services.demo.dataset.street.ground import paint_ground, paint_lanes
from services.demo.dataset.street.houses import paint_houses, paint_tower
from services.demo.dataset.street.people import place_people
from services.demo.dataset.street.roadside import place_lights, place_trees_and_lamps
from services.demo.dataset.street.things import Things
from services.demo.dataset.street.view import StreetView


def paint_street(canvas: Canvas, labels: Labels, rng: Random, mood: Mood) -> None:
    """Paints one street, from far to near, and labels what it paints."""
    view = StreetView(canvas, labels, rng, mood)
    paint_sky(canvas, rng, mood, view.horizon)
    paint_ground(view)
    paint_tower(view)
    paint_houses(view)
    paint_lanes(view)
    things = Things(canvas)
    place_lights(view, things)
    place_trees_and_lamps(view, things)
    place_cars(view, things)
    place_people(view, things)
    things.paint()
    if mood is RAIN:
        paint_rain(canvas, rng)
