"""The parts of scripts/try_archs, and of the tests that compare networks with torchvision's."""
