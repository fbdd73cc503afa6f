"""How others train: a bare loop, the tutorials' loop, timm's loader, Lightning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benching.training import Rival

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sgd:
    """The numbers of SGD, as in the run file."""

    lr: float
    weight_decay: float = 0.0
    momentum: float = 0.9

    def over(self, net: nn.Module, *, fused: bool | None = None) -> torch.optim.Optimizer:
        """The optimizer, as it comes or fused."""
        return torch.optim.SGD(
            net.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay, fused=fused
        )


def for_ever(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from batches


def bare(
    net: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], *, sgd: Sgd
) -> Callable[[], None]:
    """Forward, loss, backward, step and nothing else, channels last, with the fused optimizer."""
    net = net.to(memory_format=torch.channels_last).train()
    optimizer, criterion = sgd.over(net, fused=True), nn.CrossEntropyLoss()

    def step() -> None:
        images, targets = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(net(images), targets)
        loss.backward()
        optimizer.step()

    return step


def one_batch(images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The same ready batch again and again."""
    while True:
        yield images, targets


@dataclass(frozen=True)
class InMemory:
    """Normalised float images, ready, in a new order in every epoch, gathered batch by batch.

    Args:
        images: `(N, C, H, W)` float32.
        targets: `(N,)` int64.
        batch: images in one; what is left at the end is left out.
    """

    images: Tensor
    targets: Tensor
    batch: int

    def __len__(self) -> int:
        return len(self.targets) // self.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.targets))
        for number in range(len(self)):
            places = order[number * self.batch : (number + 1) * self.batch]
            yield self.images[places], self.targets[places]


def tutorial(net: nn.Module, loader: Batches, *, sgd: Sgd) -> Callable[[], None]:
    """PyTorch's tutorials: channels first, the optimizer as it comes, the loss read at times."""
    net = net.train()
    optimizer, criterion = sgd.over(net), nn.CrossEntropyLoss()
    stream = for_ever(loader)
    number = 0

    def step() -> None:
        nonlocal number
        images, targets = next(stream)
        loss = criterion(net(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 100 == 0:
            loss.item()
        number += 1

    return step


def timm_loader(
    dataset: torch.utils.data.Dataset[Any],
    *,
    shape: tuple[int, int, int],
    batch: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    **how: Any,
) -> Batches:
    """timm's loader, without workers; sets the data set's transform. `how`: see create_loader."""
    from timm.data import create_loader

    loader: Batches = create_loader(
        dataset,
        input_size=shape,
        batch_size=batch,
        is_training=True,
        mean=mean,
        std=std,
        num_workers=0,
        persistent_workers=False,
        pin_memory=False,
        device=torch.device("cpu"),
        **how,
    )
    return loader


class InThread:
    """A training that cannot be left between two steps, made to wait for its turn.

    It runs in a thread of its own, which is at work only while `resume` is.

    Args:
        train: is given what it must call after each turn.
    """

    def __init__(self, train: Callable[[Callable[[], None]], None]) -> None:
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(train,), daemon=True)
        self._thread.start()

    def _run(self, train: Callable[[Callable[[], None]], None]) -> None:
        self._go.acquire()
        try:
            train(self._pause)
            self._error = RuntimeError("the rival's training came to its end")
        except BaseException as error:  # noqa: BLE001  # it is raised where the turn was given
            self._error = error
        self._done.release()

    def _pause(self) -> None:
        self._done.release()
        self._go.acquire()

    def resume(self) -> None:
        """Let it do a turn."""
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise self._error


def lightning(
    net: nn.Module, loader: Batches, *, sgd: Sgd, steps: int, root: Path, plain: bool = False
) -> Rival:
    """Lightning's Trainer: as it comes, or `plain`: nothing logged, shown or saved, SGD fused."""
    from lightning import pytorch as pl

    class Job(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net.to(memory_format=torch.channels_last) if plain else net
            self.criterion = nn.CrossEntropyLoss()

        def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
            images, targets = batch
            loss: Tensor = self.criterion(self.net(images), targets)
            if not plain:
                self.log("loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return sgd.over(self.net, fused=True if plain else None)

    class Turns(pl.Callback):
        def __init__(self, pause: Callable[[], None]) -> None:
            self.pause, self.done = pause, 0

        def on_train_batch_end(self, *_: Any) -> None:
            self.done += 1
            if self.done % steps == 0:
                self.pause()

    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}

    def train(pause: Callable[[], None]) -> None:
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            default_root_dir=root,
            enable_model_summary=False,
            callbacks=[Turns(pause)],
            **(off if plain else {}),
        )
        trainer.fit(Job(), loader)

    return Rival(InThread(train).resume, steps)
