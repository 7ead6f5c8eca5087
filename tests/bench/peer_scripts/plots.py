"""Run by a Python with matplotlib: two plots, seconds and memory against the number of images.

Arguments: a JSON file with a list of `{"name", "points": [[images, seconds, MiB], …]}`, the folder
for `seconds.svg` and `memory.svg`, the file to write.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "cartouche"
import matplotlib.pyplot as plt  # noqa: E402

series, folder, answer = sys.argv[1:]
lines = json.loads(Path(series).read_text())
for place, name, label in ((1, "seconds", "seconds"), (2, "memory", "peak memory, MiB")):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for line in lines:
        points = [point for point in line["points"] if point[place] is not None]
        axes.plot(
            [point[0] for point in points],
            [point[place] for point in points],
            marker="o",
            label=line["name"],
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("images of 98 KB")
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(Path(folder, f"{name}.svg"), metadata={"Date": None})
Path(answer).write_text("{}")
