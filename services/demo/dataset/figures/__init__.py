"""The things of a street, each drawn at a place on the ground at a scale.

`foot` is the middle of the figure's base in pixels, `scale` the pixels of one metre.
Every figure that is labelled returns its exact extent; shadows and light do not count.
"""
