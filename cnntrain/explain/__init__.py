"""One picture or measurement of a trained network per file; plain tensors in, numbers out."""
