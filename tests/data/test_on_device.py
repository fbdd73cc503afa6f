"""Random numbers that are drawn on the host for a device, and constants that are copied once."""

from __future__ import annotations

import torch

from cnntrain.data.on_device import begin_step, constant, middles, on_host, sent

CPU = torch.device("cpu")


class OfDevice:
    """A generator of a GPU, as far as its seed goes."""

    device = torch.device("cuda")

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def initial_seed(self) -> int:
        return self.seed

    def manual_seed(self, seed: int) -> None:
        self.seed = seed


def draws(generator) -> list[float]:
    return torch.rand(3, generator=on_host(generator)).tolist()


def test_a_generator_of_the_cpu_is_left_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    before = generator.get_state()
    begin_step(generator, 3)
    assert torch.equal(before, generator.get_state())
    assert on_host(generator) is generator


def test_what_is_drawn_for_a_device_follows_from_its_seed_and_the_step() -> None:
    found = []
    for seed, positions in ((1, (0, 1)), (1, (0, 2)), (2, (0, 1)), (1, (0, 1))):
        generator = OfDevice(seed)
        for position in positions:
            begin_step(generator, position)
            found.append(tuple(draws(generator)))
    first, second, again, other_step, other_seed, _, *repeated = found
    assert first == again == repeated[0]
    assert second == repeated[1]
    assert len({first, second, other_step, other_seed}) == 4


def test_constants_are_made_once() -> None:
    values = ((1.0, 2.0), (3.0, 4.0))
    made = constant(values, CPU)
    assert made.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert made.dtype == torch.float32
    assert constant(values, CPU) is made
    assert middles(3, CPU).tolist() == [0.5, 1.5, 2.5]


def test_nothing_is_copied_on_one_device() -> None:
    tensor = torch.ones(2)
    assert sent(tensor, CPU) is tensor
