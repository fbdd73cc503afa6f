"""One picture or measurement of a trained network per file; plain tensors in, numbers out."""

from cnntrain.core.choices import PICTURES

picture = PICTURES.register
