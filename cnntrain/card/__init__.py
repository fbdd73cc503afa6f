"""The card of a run: one HTML page about a trained network, to be shown to others. A leaf."""
