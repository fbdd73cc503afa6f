"""A part of a folder of images, so that an epoch is short enough to end within a measurement."""

from __future__ import annotations

from pathlib import Path

ONE_SIZE = "data.transforms.eval=[{resize: {size: [32, 32]}}, normalize]"
"""What says that images in a folder are of one size, as those of CIFAR-10 are."""


def linked(source: Path, target: Path, *, per_class: int, split: str = "train") -> Path:
    """A folder of links to the first images of each class, as `target/train/CLASS/NAME`.

    Args:
        source: the folder with a folder of each class.
        target: the new one.
        per_class: images of each.
        split: its name in the new folder.
    """
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        place = target / split / folder.name
        place.mkdir(parents=True)
        for file in sorted(folder.iterdir())[:per_class]:
            (place / file.name).symlink_to(file.resolve())
    return target
