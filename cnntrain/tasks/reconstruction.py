"""Images that are to be given back: autoencoders, and networks that undo what corrupts an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.show.pixels import Scaling
from cnntrain.show.words import shape_text
from cnntrain.tasks import task
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.image_quality import psnr, ssim
from cnntrain.tasks.protocol import Result
from cnntrain.tasks.targets import Targets

SAMPLE = 8
"""Images that are kept to be drawn."""
LEARNT, LEFT = 30.0, 0.1
"""dB from which on an image counts as memorised, an error of 3 % of the peak; it also does where at
most this share of the mean squared distance from the mean image is left."""


@dataclass(frozen=True)
class Reconstruction:
    """How far images are off, in pixels from 0 to 1.

    Args:
        images: how many there were, each exactly once.
        loss: mean of the training criterion over the images, normalised as the network gives them.
        psnr: the mean over the images of their peak signal-to-noise ratios, in dB.
        ssim: the mean of their structural similarities; None where they are smaller than 11 pixels.
        mse: mean squared error of a pixel.
        sample: `(2, M, C, H, W)` on the CPU: targets and outputs of the first images.
    """

    images: int
    loss: float
    psnr: float
    ssim: float | None
    mse: float
    sample: Tensor = field(compare=False)

    @property
    def figures(self) -> Mapping[str, float | None]:
        """By name."""
        return {"psnr": self.psnr, "ssim": self.ssim, "mse": self.mse}


@dataclass(frozen=True)
class ReconstructedImage:
    """What a network gives for one image.

    Args:
        pixels: `(C, H, W)` from 0 to 1, on the CPU.
    """

    pixels: Tensor = field(compare=False)

    def cells(self) -> dict[str, str]:
        """Its size and its mean pixel."""
        size = " x ".join(map(str, self.pixels.shape))
        return {"output": size, "mean": f"{float(self.pixels.mean()):.4f}"}

    def values(self) -> dict[str, str]:
        """Its mean pixel."""
        return {"mean": f"{float(self.pixels.mean()):.6f}"}

    def data(self) -> dict[str, Any]:
        """Its shape and its mean pixel."""
        return {"shape": list(self.pixels.shape), "mean": float(self.pixels.mean())}


@task("reconstruction", form="image", loss="mse", selects=("loss", "psnr", "ssim", "mse"))
class Reconstruct:
    """The target is the image itself, or the image before it was corrupted.

    Transforms that corrupt (`noise`, `random_erasing`) change the input only, in both lists of
    transforms; all others change the target alike. Outputs are images as the network sees them,
    normalised if its inputs are; figures are of pixels from 0 to 1, outputs outside clipped.
    """

    figures: Sequence[str] = ("psnr", "ssim", "mse")
    headline: Sequence[str] = ("psnr",)
    train_figures: Sequence[str] = ("psnr",)

    def __init__(self, *, targets: Targets) -> None:
        self.scaling = Scaling(targets.mean or (0.0,), targets.std or (1.0,), targets.whitening)

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """Nothing can be said without the image's shape, see `wrong_image`."""
        del shape, classes
        return None

    def wrong_image(
        self, shape: tuple[int, ...], image: tuple[int, int, int]
    ) -> tuple[str, str] | None:
        """An output of the image's shape is right."""
        if shape == image:
            return None
        message = f"gives {shape_text(shape)}, but the image to be given is {shape_text(image)}"
        count = image[0] * image[1] * image[2]
        if shape == (count,):
            return message, f"add `- unflatten: {{shape: [{image[0]}, {image[1]}, {image[2]}]}}`"
        if len(shape) == 1:
            ends = "`- linear: {out: $image_channels * $image_height * $image_width}` and "
            return message, f"end with {ends}`- unflatten` to the image's shape"
        if shape[1:] == image[1:]:
            return message, "end with `- conv: {out: $image_channels, kernel: 3, padding: same}`"
        return message, "bring the maps to the image's size, such as with `- upsample: {scale: 2}`"

    def answers(self, outputs: Tensor) -> Tensor:
        """Pixels from 0 to 1, `(N, C, H, W)`; those outside are clipped."""
        return self.scaling.undo(outputs.float()).clamp(0, 1)

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
        """The result of mean images; their loss is the criterion's of them."""
        outputs = self.scaling.redo(answers)
        sums = self.sums(outputs)
        loss, weight = criterion(outputs, targets), criterion.weight(targets)
        sums.add(outputs, targets, loss=loss, weight=weight)
        return sums.compute()

    def said(
        self, answers: Tensor, names: Sequence[str], *, top: int
    ) -> Sequence[ReconstructedImage]:
        """The images."""
        del names, top  # they are no ranking
        return [ReconstructedImage(each) for each in answers.cpu()]

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those with less than 30 dB whose error is clear in comparison with how images differ."""
        given, wanted = self.answers(outputs), self.answers(targets)
        error = (given - wanted).square().flatten(1).mean(dim=1)
        spread = (wanted - wanted.mean(dim=0)).square().mean()
        return (psnr(given, wanted) < LEARNT) & (error > LEFT * spread)

    def sums(self, outputs: Tensor) -> ImageSums:
        """For outputs `(N, C, H, W)`."""
        return ImageSums(self.answers, device=outputs.device)

    def epoch_sums(self, device: torch.device) -> RatioSums:
        """In training mode, augmentation and all."""
        return RatioSums(self.answers, device)

    def cost(self, result: Result, select: str) -> float:
        """The figure itself; what is missing to an SSIM of 1, and PSNR below zero."""
        assert isinstance(result, Reconstruction)
        if select == "loss":
            return result.loss
        value = float(result.figures[select] or 0.0)
        return {"psnr": -value, "ssim": 1 - value}.get(select, value)

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return {"psnr": -cost, "ssim": 1 - cost}.get(select, cost)

    def summary(self, result: Result) -> Mapping[str, str]:
        """PSNR, SSIM and loss."""
        assert isinstance(result, Reconstruction)
        texts = {key.upper(): self.text(key, value) for key, value in result.figures.items()}
        return {**texts, "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """The figures."""
        del classes
        texts = "  ".join(f"{name} {text}" for name, text in self.summary(result).items())
        return f"{texts}  ({result.images:,} images)"

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """Targets, outputs and their differences, of some images."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.image_rows import draw_images

        del classes
        assert isinstance(result, Reconstruction)
        draw_images(result.sample, path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The figures."""
        del classes
        return {"images": result.images, "loss": result.loss, **result.figures}

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """How pixels from 0 to 1 are made of the outputs; see docs/export.md of `zca`."""
        del names
        if self.scaling.whitening:
            return {"pixel_is": "inverse(matrix) @ output + mean", "of": "zca in preprocessing"}
        mean, scale = list(self.scaling.mean), list(self.scaling.std)
        return {"pixel_is": "output * scale + mean", "scale": scale, "mean": mean}

    def text(self, figure: str, value: float | None) -> str:
        """PSNR in dB."""
        if value is None:
            return "-"
        return {"psnr": f"{value:.2f} dB", "ssim": f"{value:.4f}"}.get(figure, f"{value:.4g}")


class RatioSums:
    """Peak signal-to-noise ratios in an epoch, counted on the device.

    Args:
        answers: makes pixels of outputs.
        device: where they are.
    """

    def __init__(self, answers: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._answers = answers
        self._ratio = torch.zeros((), dtype=sum_dtype(device), device=device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs and targets `(N, C, H, W)`."""
        self._ratio += psnr(self._answers(outputs), self._answers(targets)).sum()

    def figures(self, images: int) -> dict[str, float]:
        """The mean over the images."""
        return {"psnr": float(self._ratio) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The sum, 0-d."""
        return {"ratio": self._ratio}


class ImageSums:
    """Sums over the images of an evaluation, with no host synchronisation per batch.

    Args:
        answers: makes pixels of outputs.
        device: where the outputs are.
    """

    def __init__(self, answers: Callable[[Tensor], Tensor], *, device: torch.device) -> None:
        self._answers = answers
        self._images = 0
        self._has_ssim = True
        # of PSNR, SSIM, squared errors, losses and weights
        self._sums = torch.zeros(5, dtype=sum_dtype(device), device=device)
        self._kept: Tensor | None = None

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count outputs with targets, `(N, C, H, W)` both."""
        self._images += len(targets)
        found, wanted = self._answers(outputs), self._answers(targets)
        alike = ssim(found, wanted)
        self._has_ssim = alike is not None
        zero = torch.zeros((), device=outputs.device)
        terms = [
            psnr(found, wanted).sum(),
            zero if alike is None else alike.sum(),
            (found - wanted).square().flatten(1).mean(dim=1).sum(),
            loss * weight,
            zero + weight,
        ]
        self._sums += torch.stack([term.to(self._sums.dtype) for term in terms])
        if self._kept is None:
            self._kept = torch.stack([wanted[:SAMPLE], found[:SAMPLE]])

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Have the sums of all processes; what is drawn is of the images of this one."""
        self._images = int(total(torch.tensor(self._images, device=self._sums.device)))
        total(self._sums)

    def compute(self) -> Reconstruction:
        """The result; the one place that waits for the device."""
        if self._images == 0:
            raise DataError("no images to evaluate", remedy="the split is empty")
        ratio, alike, squared, loss, weight = self._sums.tolist()
        return Reconstruction(
            images=self._images,
            loss=loss / weight,
            psnr=ratio / self._images,
            ssim=alike / self._images if self._has_ssim else None,
            mse=squared / self._images,
            sample=torch.empty(0) if self._kept is None else self._kept.cpu(),
        )
