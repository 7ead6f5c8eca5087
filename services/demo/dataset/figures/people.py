"""People who stand and walk."""

import math
from dataclasses import dataclass

from services.demo.dataset.canvas import Canvas, Color, Extent, Point
from services.demo.dataset.classes import JOINTS
from services.demo.dataset.figures.colors import RUBBER, SHADOW, darker


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
        limb(side, ("shoulder", "elbow", "wrist"), 0.062, darker(look.shirt, 0.84))
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
            RUBBER,
        )

    far, near = ("left", "right") if placed["left_hip"][1] < 0 else ("right", "left")
    canvas.ellipse(
        foot[0] - 0.2 * size,
        foot[1] - 0.03 * size,
        foot[0] + 0.2 * size,
        foot[1] + 0.03 * size,
        SHADOW,
    )
    with canvas.extent() as extent:
        arm(far)
        leg(far, darker(look.trousers))
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
        darker(look.skin),
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
        canvas.disc((nose, y - 0.915 * size), 0.012 * size, darker(look.skin, 0.8))
