"""What CSV loses."""

from services.formats.common.losses import EVERY_SHAPE, ClassNames, Kind, Loss, cut_to_image

#: What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
FORMULA_QUOTED = Loss(
    "text.formula_quoted",
    Kind.degraded,
    "text that a spreadsheet would take for a formula",
    ClassNames(lambda name: name.startswith(FORMULA)),
)

LOSSES = (*cut_to_image(EVERY_SHAPE), FORMULA_QUOTED)
