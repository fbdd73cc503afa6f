"""The run file: its schema, loading with all problems at once, overrides, showing; no torch."""
