"""Trained networks for others to run: ONNX, torch.export, safetensors, torchvision's names.

Every file states its classes and its preprocessing, and is compared with the network before it
takes its name.
"""
