"""The denoising network on CIFAR-10 at three levels of noise."""

from __future__ import annotations

from collections.abc import Mapping

from cnntrain.explain.reconstructions import reconstructions
from cnntrain.model.opening import open_model
from cnntrain.runs.folder import RunFolder
from cnntrain.show.image_table import save
from reproducing.part import Part, Row

LEVELS = (0.05, 0.1, 0.2)
SHOWN = 8
SAME = "{resize: {size: [32, 32]}}"
"""They have this size; files might not."""
FEWER = (
    *("data.name=image_folder", "data.root=DIR/cifar10/test", "data.train_folder=."),
    *("data.split.validation=500", "data.split.test=1000"),
)
"""8,500 of CIFAR-10's test images, and 1,000 others to measure: a ninth of the whole's time."""


def ratios(run: RunFolder) -> Mapping[str, float]:
    """PSNR of what goes in and of what comes out, and the gain; a picture next to the run."""
    drawn = reconstructions(model=open_model(run.path), count=SHOWN, split="test")
    save(drawn.figure, run.path.with_suffix(".png"))
    before, after = drawn.facts["psnr_in"], drawn.facts["psnr_out"]
    return {"PSNR in": before, "PSNR out": after, "gain": after - before}


def row(std: float) -> Row:
    """A network for noise of this deviation, of pixels from 0 to 1."""
    noise = f"{{noise: {{std: {std}}}}}"
    lists = (
        f"train=[{SAME}, horizontal_flip, {noise}, normalize]",
        f"eval=[{SAME}, {noise}, normalize]",
    )
    given = ("train.epochs=3", *(f"data.transforms.{each}" for each in lists))
    name = f"noise_{std}".replace(".", "_")
    return Row(name, f"noise {std}", "denoise_cifar10", "a gain", is_gain, given)


def is_gain(decibels: float) -> bool:
    return decibels > 0


def shown(decibels: float) -> str:
    return f"{decibels:.2f} dB"


DENOISING = Part(
    title="Denoising of CIFAR-10's images: PSNR in and out",
    rows=tuple(map(row, LEVELS)),
    figures=("PSNR in", "PSNR out", "gain"),
    measure=ratios,
    made_up=(
        *("data.name=synthetic", "data.size=12", "data.images=48", "data.test_images=0"),
        *("data.split.validation=10", "data.split.test=10"),
        *("train.epochs=1", "record.tensorboard=false"),
    ),
    data=FEWER,
    shown=shown,
    compared="to be shown",
    pictures={
        f"de{each.name}.png": f"{each.name}-0.png" for each in (row(LEVELS[0]), row(LEVELS[-1]))
    },
)
