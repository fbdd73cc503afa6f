"""The architecture language: YAML items -> nodes -> plan (shapes, counts) -> `nn.Module`.

`items.py` and `expand.py` need no torch; `plan.py` runs each node once on the meta device.
"""
