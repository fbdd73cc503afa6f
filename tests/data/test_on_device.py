"""Random numbers that are drawn on the host for a device, and constants that are copied once."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from cnntrain.data.on_device import SendingConstants, begin_step, constant, middles, on_host, sent

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


def test_numbers_of_another_library_are_sent_and_stay_the_same() -> None:
    """torchvision's operations compute with their own matrices and kernels, wherever they go."""
    images = torch.randint(0, 256, (6, 3, 12, 10), dtype=torch.uint8)
    sent_there: list[object] = []

    class Noting(SendingConstants):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is torch.tensor and (kwargs or {}).get("device") is not None:
                sent_there.append(args)
            return super().__torch_function__(func, types, args, kwargs)

    augment = v2.RandAugment(num_ops=20)
    torch.manual_seed(0)
    expected = [augment(image) for image in images]
    torch.manual_seed(0)
    with Noting():
        found = [augment(image) for image in images]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert sent_there
