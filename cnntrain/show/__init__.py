"""How results are shown to people: numbers and words, tables, pictures."""
