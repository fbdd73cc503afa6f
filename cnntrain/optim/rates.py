"""Learning rates that differ from layer to layer: factors of the rate, by parameter.

Early layers of a trained network are of general use and need to change little: a small rate for
them, a larger one for later layers (discriminative fine-tuning: Howard and Ruder, "Universal
Language Model Fine-tuning for Text Classification", 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cnntrain.core.patterns import covers


def rate_factors(
    names: Iterable[str],
    *,
    stages: Sequence[str] = (),
    decay: float = 1.0,
    scales: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The factor of each parameter's learning rate: that of its stage times that of its pattern.

    Args:
        names: of the parameters.
        stages: the outermost layers with weights, in order; the last is the head.
        decay: a stage's factor is this times the one of the stage after it, and the head's is 1;
            so is that of what is in no stage. The paper divides by 2.6.
        scales: factor by pattern; of several that cover a name, the last counts.
    """
    by_stage = {name: decay**away for away, name in enumerate(reversed(stages))}
    factors = {}
    for name in names:
        matching = [factor for pattern, factor in (scales or {}).items() if covers(pattern, name)]
        own = matching[-1] if matching else 1.0
        factors[name] = by_stage.get(name.partition(".")[0], 1.0) * own
    return factors
