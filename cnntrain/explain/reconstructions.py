"""What goes in, what comes out, and how far that is from what was wanted."""

from __future__ import annotations

import torch

from cnntrain.core.kinds import Count, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import short
from cnntrain.model.images import SplitImages, find_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture
from cnntrain.tasks.answers import answers_of
from cnntrain.tasks.image_quality import psnr
from cnntrain.tasks.image_rows import rows_figure


@picture("reconstructions", forms=("image",))
def reconstructions(
    *,
    model: Model,
    count: Count = 8,
    split: Split | None = None,
) -> Picture:
    """Targets, inputs, outputs and their differences, with PSNR.

    The PSNR in and out that is printed is the mean over all images of the split.

    Args:
        count: images to show.
    """
    data = find_images(model, split=split)
    if hasattr(model.task, "as_pictures"):
        return _of_layer(model, data, count)
    kept: list[torch.Tensor] = []
    ratios: list[torch.Tensor] = []
    with data.opened() as loader, torch.inference_mode():
        for images, targets in loader.batches(0):
            outputs = model.net(images).float()
            three = torch.stack(
                [answers_of(model.task, each) for each in (images, targets, outputs)]
            ).cpu()
            ratios.append(torch.stack([psnr(three[n], three[1]) for n in (0, 2)]))
            if sum(each.shape[1] for each in kept) < count:
                kept.append(three)
    inputs, targets, outputs = torch.cat(kept, dim=1)[:, :count]
    before, after = torch.cat(ratios, dim=1).mean(dim=1).tolist()
    is_corrupted = not torch.equal(inputs, targets)
    rows = {"target": targets, **({"input": inputs} if is_corrupted else {}), "output": outputs}
    said = f"PSNR {after:.2f} dB on {data.described}"
    if is_corrupted:
        said = f"PSNR in {before:.2f} dB, out {after:.2f} dB on {data.described}"
    captions = [short(data.label(number)) for number in range(len(targets))]
    figure = rows_figure(rows, target=targets, captions=captions, title=said)
    facts = {
        "split": data.split,
        "images": len(data.positions),
        "psnr_in": before if is_corrupted else None,
        "psnr_out": after,
    }
    return Picture(figure, facts, said)


def _of_layer(model: Model, data: SplitImages, count: int) -> Picture:
    """Of a network that gives back one of its layers: that layer's units, or maps, as tiles."""
    numbers = range(min(count, len(data.positions)))
    with torch.no_grad():
        pairs = model.net(data.at(numbers)).float()
    targets, outputs = model.task.as_pictures(pairs)  # type: ignore[attr-defined]  # asked above
    rows = {"target": targets, "output": outputs}
    captions = [short(data.label(number)) for number in numbers]
    said = f"what the layer gives, from black to white, and what is given back: {data.described}"
    figure = rows_figure(rows, target=targets, captions=captions, title=said)
    return Picture(figure, {"split": data.split, "images": len(data.positions)}, said)
