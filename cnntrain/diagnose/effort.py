"""How much the doctor does."""

from __future__ import annotations

from dataclasses import dataclass

from cnntrain.assemble.trial_parts import ON_GPU, WORK, TrialSize


@dataclass(frozen=True)
class Effort:
    """How much is done, as a function of the network's size: the same on every machine of a kind.

    A step has `batch` images, the run's or fewer; `steps` are those of a trial of the check `rate`;
    `weights` derivatives are compared, about; so many `images` are looked at at once.
    """

    batch: int
    steps: int
    recipe_steps: int
    overfit_steps: int
    weights: int
    images: int

    @staticmethod
    def of(multiply_adds: int, *, batch_size: int, on_gpu: bool) -> Effort:
        """For a network of so many multiply-adds per image."""
        more = ON_GPU if on_gpu else 1.0
        image = 3.0 * max(multiply_adds, 1)  # there and back
        trial = TrialSize.of(multiply_adds, batch_size=batch_size, on_gpu=on_gpu)
        passed = more * WORK / image

        def within(least: int, value: float, most: int) -> int:
            return int(min(max(least, value), most))

        return Effort(
            batch=trial.batch,
            steps=trial.steps,
            recipe_steps=within(30, passed / trial.batch, 150),
            overfit_steps=within(60, passed / 64, 400),
            weights=within(24, passed / 64, 200),
            images=within(32, passed / 16, 256),
        )
