"""The temperature: against LBFGS on the logits themselves, and the formula."""

import pytest
import torch
import torch.nn.functional as F

from cnntrain.tasks.calibration import find_temperature, log_loss, scaled
from cnntrain.tasks.image_scores import ImageScores


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_it_is_the_minimum(factor: float) -> None:
    """Labels drawn from softmax(logits): logits times `factor` need about that temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3000, 6, generator=generator)
    targets = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    found = find_temperature(ImageScores((factor * logits).log_softmax(dim=1), targets))
    assert found == pytest.approx(factor, rel=0.05)

    inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [inverse], max_iter=100, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(factor * logits.double() * inverse, targets)
        loss.backward()
        return loss

    solver.step(closure)
    assert found == pytest.approx(1 / float(inverse.detach()), rel=1e-3)


def test_scaled_probabilities_are_those_of_divided_logits() -> None:
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(20) % 4
    found = scaled(ImageScores(logits.log_softmax(dim=1), targets), 1.7)
    assert torch.allclose(found.scores, (logits / 1.7).log_softmax(dim=1), atol=1e-6)
    expected = F.cross_entropy(logits.double() / 1.7, targets)
    assert log_loss(found) == pytest.approx(float(expected), abs=1e-6)
