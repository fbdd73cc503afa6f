"""Images with the nearest others of their split, by the vectors that a network gives them."""

from __future__ import annotations

import torch

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Count, Split
from cnntrain.explain import neighbours as search
from cnntrain.explain import picture
from cnntrain.explain.shown import short
from cnntrain.model.images import find_images, spread
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import photographs
from cnntrain.tasks.answers import answers_of
from cnntrain.tasks.distances import ranks


@picture("neighbours", forms=("distances",))
def neighbours(
    *, model: Model, count: Count = 8, nearest: Count = 6, split: Split | None = None
) -> Picture:
    """Images of a split, each with those that are nearest to it.

    Half of them, if there are so many, are images whose nearest neighbour is of another class. What
    is printed is recall at 1: the share of all images whose nearest is of their class.

    Args:
        count: images to show.
        nearest: neighbours of each.
    """
    data = find_images(model, split=split)
    if len(data.positions) < 2:
        raise UsageError(f"{data.described} have no neighbours", remedy="choose another --split")
    found, wanted = [], []
    with data.opened() as loader, torch.inference_mode():
        for images, targets in loader.batches(0):
            found.append(answers_of(model.task, model.net(images).float()).cpu())
            wanted.append(targets.cpu())
    vectors, targets = torch.cat(found).double(), torch.cat(wanted)
    place = ranks(vectors, targets)
    wrong = ((place > 0) & (place < len(place))).nonzero().flatten()
    wrong = wrong[torch.tensor(spread(targets[wrong], count // 2), dtype=torch.int64)]
    right = (place == 0).nonzero().flatten()
    right = right[torch.tensor(spread(targets[right], count - len(wrong)), dtype=torch.int64)]
    queries = [*right.tolist(), *wrong.tolist()]
    distances, order = search.nearest(vectors[queries], vectors, distance="euclidean",
                               count=nearest + 1)  # fmt: skip
    rows, facts = [], []
    for query, far, others in zip(queries, distances.tolist(), order.tolist(), strict=True):
        pairs = [(n, d) for n, d in zip(others, far, strict=True) if n != query][:nearest]
        photos = photographs(data.at([query, *(n for n, _ in pairs)]), scaling=model.scaling)
        own = model.named.say(targets[query])
        row = [Cell(photos[0], f"{own}\n{short(data.label(query))}")]
        known: list[dict[str, object]] = []
        for photo, (number, far_off) in zip(photos[1:], pairs, strict=True):
            name = model.named.say(targets[number])
            verdict = "right" if name == own else "WRONG"
            caption = f"{name} {verdict}\n{far_off:.3g}"
            row.append(Cell(photo, caption, apart=len(row) == 1))
            known.append({"image": data.label(number), "class": name, "distance": far_off})
        rows.append(row)
        facts.append({"image": data.label(query), "class": own, "neighbours": known})
    asked = int((place < len(place)).sum())
    share = int((place == 0).sum()) / max(1, asked)
    said = f"recall@1 {share:.2%} on {data.described}"
    figure = draw_table(rows, title=said, headings=["image", "nearest"], side=1.0)
    whole = {"split": data.split, "images": len(place), "recall_at_1": share, "queries": facts}
    return Picture(figure, whole, said)
