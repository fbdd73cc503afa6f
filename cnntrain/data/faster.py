"""Training images read in a faster way: by another decoder, or decoded already."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from cnntrain.core.kinds import Decoder
from cnntrain.data.image_cache import ImageCache, with_cache
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import Files, Splits
from cnntrain.data.transforms.resize import Resize


def read_faster(
    splits: Splits,
    eval_pipeline: Pipeline,
    *,
    decoder: Decoder,
    cache: ImageCache | None,
    data: str,
) -> Splits:
    """The splits with the training images read as asked.

    The other splits are in the cache where evaluation first resizes to its very size: then it gives
    the same pixels.

    Args:
        splits: of the data set.
        eval_pipeline: what evaluation does to the images.
        decoder: of the training JPEGs.
        cache: of the images; None: none.
        data: name of the data set, for a message.

    Raises:
        ValueError: a decoder or a cache is asked for, but the images are no files.
        UnreadableImageError: a file cannot be decoded.
        DiskError: the cache cannot be written.
    """
    if decoder == "pillow" and cache is None:
        return splits
    if not isinstance(splits.train, Files):
        raise ValueError(
            f"the images of '{data}' are in memory, so nothing decodes them; remove data.decoder "
            "and data.cache"
        )
    if decoder == "simplejpeg" and importlib.util.find_spec(decoder) is None:
        raise ValueError("the package simplejpeg is not installed; pip install 'cnntrain[fast]'")
    if cache is None:
        return replace(splits, train=replace(splits.train, decoder=decoder))
    found = replace(splits, train=with_cache(splits.train, cache, name="train"))
    first = eval_pipeline.steps[0].transform if eval_pipeline.steps else None
    if not isinstance(first, Resize) or first.interpolation != "bilinear":
        return found
    if first.size != cache.short_side:
        return found
    if isinstance(splits.validation, Files):
        validation = with_cache(splits.validation, cache, name="validation")
        found = replace(found, validation=validation)
    if isinstance(splits.test, Files):
        found = replace(found, test=with_cache(splits.test, cache, name="test"))
    return found


def idle(decoder: Decoder, *, is_resident: bool) -> tuple[str, ...]:
    """A note where no batch is decoded, because the training images are in memory."""
    if decoder == "pillow" or not is_resident:
        return ()
    return (
        "data.decoder has no effect: the training images are kept in memory, decoded by Pillow",
    )
