"""The former name of `splits`, which plugins written for version 0.1 import."""

from cnntrain.data.splits import Files, Part, Pixels, Splits

__all__ = ["Files", "Part", "Pixels", "Splits"]
