"""The threshold of "none of these": by counting, for every share."""

import pytest
import torch

from cnntrain.core.errors import UsageError
from cnntrain.tasks.image_scores import ImageScores
from cnntrain.tasks.rejection import choose_threshold


@pytest.mark.parametrize("share", [0.0, 0.05, 0.29, 0.5, 0.999])
def test_it_is_the_largest_that_keeps_the_share(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(150, 4, generator=generator)
    targets = logits.argmax(dim=1)
    targets[100:] = (targets[100:] + 1) % 4  # 100 are right
    answers = ImageScores(logits.log_softmax(dim=1), targets)
    found = choose_threshold(answers, share)
    assert (found.right, found.wrong) == (100, 50)
    assert found.right_rejected == round(share * 100 - 0.49)
    sure = answers.confidences
    assert found.right_rejected == int((sure[:100] < found.threshold).sum())
    assert found.wrong_rejected == int((sure[100:] < found.threshold).sum())
    # any larger one rejects the next right image as well
    assert int((sure[:100] < found.threshold + 1e-12).sum()) > share * 100 - 1e-9


def test_no_image_is_right() -> None:
    answers = ImageScores(torch.tensor([[0.2, 0.8]]).log(), torch.tensor([0]))
    with pytest.raises(UsageError, match="no validation image is right"):
        choose_threshold(answers, 0.05)
