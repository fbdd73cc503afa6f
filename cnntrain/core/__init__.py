"""What every other room stands on; it knows nothing of images and never imports torch."""
