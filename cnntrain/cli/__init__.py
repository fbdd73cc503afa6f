"""The command line: one command per file; `commands.py` names them all.

Heavy libraries are imported inside the commands that need them, so that `--help`, `--version` and
configuration errors answer at once.
"""
