"""Load a COCO export in PyTorch, from its archive as it is: nothing is unpacked.

Run it on an archive with images and without folders by split, such as the one that `make demo`
leaves behind:

    pip install torch numpy pillow
    python examples/coco_torch.py street-scenes-coco.zip
"""

import json
import os
import sys
from collections import Counter, defaultdict
from functools import cache
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

#: An open archive has a place where it reads, which processes must not share.
opened = cache(lambda path, process: ZipFile(path))


class CocoArchive(Dataset):
    """Images (RGB, 0 to 1) with boxes (x1, y1, x2, y2 in pixels) and labels, as detectors of
    torchvision train on; `names` has the classes by label."""

    def __init__(self, path: str) -> None:
        self.path = path
        document = json.loads(self.read("annotations/instances_default.json"))
        self.images = document["images"]
        self.names = {category["id"]: category["name"] for category in document["categories"]}
        self.annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in document["annotations"]:
            self.annotations[annotation["image_id"]].append(annotation)

    def read(self, name: str) -> bytes:
        return opened(self.path, os.getpid()).read(name)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        image, annotations = self.images[index], self.annotations[self.images[index]["id"]]
        with opened(self.path, os.getpid()).open(f"images/{image['file_name']}") as file:
            # Coordinates are those of the image as it is shown.
            picture = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        boxes = torch.tensor([row["bbox"] for row in annotations], dtype=torch.float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([row["category_id"] for row in annotations], dtype=torch.int64)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
        return pixels, {"boxes": boxes, "labels": labels}


def columns(rows: list[Any]) -> list[Any]:
    """A batch: images differ in size and in number of boxes, so that they are not stacked."""
    return list(zip(*rows, strict=True))


if __name__ == "__main__":
    dataset = CocoArchive(sys.argv[1])
    pixels, seen = 0, Counter[str]()
    for images, targets in DataLoader(dataset, batch_size=8, num_workers=2, collate_fn=columns):
        pixels += sum(image.shape[1] * image.shape[2] for image in images)
        labels = torch.cat([target["labels"] for target in targets])
        seen.update(dataset.names[label] for label in labels.tolist())
    print(f"{len(dataset)} images, {pixels} pixels, {seen.total()} annotations: {dict(seen)}")
