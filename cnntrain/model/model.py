"""A trained network opened for use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.make_parts import make_task
from cnntrain.assemble.networks import image_sizes
from cnntrain.assemble.translation import apply_threads, choose_device, place, uses_channels_last
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.core.kinds import Bits, Split
from cnntrain.core.problems import halves
from cnntrain.data.batch import Batch
from cnntrain.data.crops import Crops
from cnntrain.data.image_targets import uncorrupted
from cnntrain.data.pipeline import Pipeline, build_eval_pipeline
from cnntrain.data.statistics import scaling_in
from cnntrain.model.evaluate import Evaluated, evaluate
from cnntrain.model.images import find_images
from cnntrain.model.inputs import Images, inputs
from cnntrain.model.predict import Prediction, predict
from cnntrain.model.taps import Features, feature_tap, features
from cnntrain.model.views import make_viewer
from cnntrain.show.pixels import Scaling
from cnntrain.show.words import listed
from cnntrain.tasks.protocol import Task
from cnntrain.tasks.targets import Targets, with_scaling
from cnntrain.train import make_deterministic, undisturbed
from cnntrain.train.finite import all_finite, why_not_finite
from cnntrain.train.precision import Precision, autocast, choose_precision


@dataclass(frozen=True)
class Model:
    """A trained network on its device, with all that is needed to use it.

    Args:
        net: in evaluation mode, without gradients; the averaged weights where the run kept an
            average (EMA).
        plan: of the network.
        classes: the names of its outputs.
        eval_steps: how it was evaluated on images, as plain data.
        pipeline: the same, to be applied.
        in_shape: (C, H, W) of the images that it was evaluated on.
        loaded: the run file.
        device: where it is.
        path: the file of the weights.
        epoch: of the weights; 0 where it is unknown.
        is_best: whether its result on the validation images selected that epoch.
        temperature: by which logits are divided where they become probabilities; see
            `cnntrain.model.calibrated`.
        targets: what the training images said of them; None where that is unknown.
    """

    net: Network
    plan: Plan
    classes: tuple[str, ...]
    eval_steps: tuple[dict[str, Any], ...]
    pipeline: Pipeline
    in_shape: tuple[int, int, int]
    loaded: Loaded
    device: torch.device
    path: Path
    epoch: int
    is_best: bool
    temperature: float = 1.0
    targets: Targets | None = None

    @cached_property
    def task(self) -> Task:
        """What it is for."""
        return make_task(self.loaded, with_scaling(self.named, self.scaling), plan=self.plan)

    @property
    def named(self) -> Targets:
        """What it learnt, with the names of its outputs."""
        return self.targets or Targets(self.loaded.config.task.form, self.classes)

    @property
    def bits(self) -> Bits:
        """That 16-bit images have; see `cnntrain.data.depth`."""
        return cast("Bits", self.loaded.config.data.parameters.get("bits", "auto"))

    @property
    def precision(self) -> Precision:
        """Of the forward pass."""
        return choose_precision(self.loaded.config.compute.precision, self.device)

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of its images."""
        layout = uses_channels_last(self.loaded.config.compute, self.device)
        return torch.channels_last if layout else torch.contiguous_format

    @property
    def scaling(self) -> Scaling:
        """What its preprocessing does to pixels: mean and standard deviation per channel."""
        return scaling_in(self.eval_steps, channels=self.in_shape[0])

    @cached_property
    def layers(self) -> dict[str, PlannedNode]:
        """The planned nodes by dotted name, without auxiliary heads, which only training runs."""
        heads = tuple(f"{name}." for name, *_ in self.plan.aux)
        return {name: node for name, node in self.plan.walk() if not name.startswith(heads)}

    def check_classes(
        self, classes: Sequence[str], *, whose: str = "the data", any_order: bool = False
    ) -> None:
        """Refuse classes that are not the model's.

        Args:
            classes: of images, or of another model.
            whose: what to call them.
            any_order: whether it is enough that the names agree.

        Raises:
            CheckpointError: they differ.
        """
        unknown = sorted(set(classes) - set(self.classes))
        missing = sorted(set(self.classes) - set(classes))
        any_order &= self.plan.body.out_shape == (len(self.classes),)  # else none is of one name
        if tuple(classes) == self.classes or (any_order and not unknown and not missing):
            return
        parts = [f"unknown to the network: {listed(unknown, most=6)}"] if unknown else []
        parts += [f"not in {whose}: {listed(missing, most=6)}"] if missing else []
        raise CheckpointError(
            f"the classes of {whose} are not those of {self.path} "
            f"({'; '.join(parts) or 'the same ones in another order'})",
            remedy="give the data it was trained for, or list `data.classes` in its order"
            if whose == "the data"
            else "only networks for the same classes can answer together",
        )

    @contextmanager
    def outputs_watched(self) -> Iterator[None]:
        """Inside the block outputs that are not finite are an error; each pass waits for them.

        Raises:
            DivergedError: it names the first layer.
            DataError: it is the images that are not finite.
        """

        def look(_: object, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
            if not all_finite([outputs]):
                hook.remove()  # the pass that looks for the layer is not watched
                batch = Batch(inputs[0].detach(), torch.empty(0))
                raise why_not_finite(self.net, batch)

        hook = self.net.register_forward_hook(look)
        try:
            yield
        finally:
            hook.remove()

    @contextmanager
    def running(self, *, deterministic: bool = False) -> Iterator[None]:
        """The threads that the run file asks for; afterwards the process is as it was before.

        Args:
            deterministic: whether `compute.deterministic` is obeyed, too.
        """
        compute = self.loaded.config.compute
        with undisturbed():
            apply_threads(compute)
            if deterministic:
                make_deterministic(compute.deterministic)
            yield

    def prepare(self, images: Images) -> Tensor:
        """Images as the network reads them: `(N, C, H, W)` float32 on the model's device.

        Args:
            images: see `cnntrain.model.inputs.Images`.

        Raises:
            UsageError: there is no image, it is of another type, or a transform refuses it.
            UnreadableImageError: an image cannot be decoded.
        """
        viewer, channels = make_viewer(self), self.in_shape[0]
        views: list[Tensor] = []
        for each in inputs(images, channels=channels):
            try:
                views += viewer.read(each.part(channels, self.bits), 0)
            except ValueError as error:
                message, remedy = halves(error)
                raise UsageError(f"{each.name}: {message}", remedy=remedy) from error
        batch = viewer.views.prepare(torch.stack(views).to(self.device))
        return batch.contiguous(memory_format=self.memory_format)

    def logits(self, images: Tensor) -> Tensor:
        """What the network gives for images that are prepared already.

        Args:
            images: `(N, C, H, W)` float, on any device.

        Returns:
            `(N, classes)` float32 on the model's device, not divided by its temperature.

        Raises:
            UsageError: they are pixels that are not prepared, or of another shape.
        """
        if not images.is_floating_point() or images.shape[1:] != self.in_shape:
            found = f"{tuple(images.shape)} {str(images.dtype).removeprefix('torch.')}"
            raise UsageError(
                f"logits are computed of prepared images (N, {', '.join(map(str, self.in_shape))}) "
                f"float32, not of {found}",
                remedy="`prepare` makes such images, and `predict` does both",
            )
        given = images.to(self.device).contiguous(memory_format=self.memory_format)
        with self.running(), torch.no_grad(), autocast(self.precision, self.device):
            logits: Tensor = self.net(given).float()
        return logits

    def predict(
        self, images: Images, *, top: int = 5, crops: Crops = "center", scales: Sequence[int] = ()
    ) -> list[Prediction]:
        """Classify images; see `cnntrain.model.predict.predict`."""
        return predict([self], images, top=top, crops=crops, scales=scales)

    def evaluate(
        self, split: Split | None = None, *, crops: Crops = "center", scales: Sequence[int] = ()
    ) -> Evaluated:
        """Classify a split of its data; see `cnntrain.model.evaluate.evaluate`."""
        return evaluate([self], split=split, crops=crops, scales=scales)

    def features(
        self, layer: str | None = None, *, split: Split | None = None, pool: int | None = None
    ) -> Features:
        """What a layer gives for every image of a split.

        Args:
            layer: its dotted name; else what the last linear layer reads, or learnt vectors.
            split: the test set if there is one, else validation, else training.
            pool: average maps over regions so that there are at most so many features.

        Raises:
            UsageError: there is no such layer or split.
            DivergedError: a feature or an output is not finite; it names the first layer.
            CheckpointError: the data are of other classes.
            DataError: an image cannot be read.
        """
        tap = feature_tap(self, layer)
        data = find_images(self, split=split)
        with self.running(), data.opened() as loader:
            found, targets = features(self.net, loader, taps=[tap], limit=pool or 2**62)
        files = tuple(data.label(number) for number in range(len(targets)))
        labels = self.named.say_all(targets)
        return Features(
            str(tap), data.split, found[tap], targets, files, self.classes, labels, data.left_out
        )


def make_model(  # noqa: PLR0913  # one keyword for each thing that a checkpoint says
    net: Network,
    *,
    plan: Plan,
    loaded: Loaded,
    classes: tuple[str, ...],
    eval_steps: Sequence[Mapping[str, Any]],
    path: Path,
    epoch: int = 0,
    is_best: bool = False,
    targets: Targets | None = None,
) -> Model:
    """A network that has its weights, brought to its device; see `Model`.

    Raises:
        ConfigError: the device is not there.
    """
    device = choose_device(loaded.config.compute, loaded)
    net.eval().requires_grad_(False)
    place(net, compute=loaded.config.compute, device=device)
    steps = tuple(dict(step) for step in eval_steps)
    return Model(
        net=net,
        plan=plan,
        classes=classes,
        eval_steps=steps,
        pipeline=build_eval_pipeline(uncorrupted(steps)),
        in_shape=(plan.body.in_shape[0], *image_sizes(loaded)["eval"]),
        loaded=loaded,
        device=device,
        path=path,
        epoch=epoch,
        is_best=is_best,
        targets=targets,
    )
