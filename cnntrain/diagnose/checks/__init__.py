"""The checks, one in each file: each works alone, and says what it saw in a `Report`.

What a check asks for by name is filled in from the set-up (see `setup`). `place` is its place in
the order in which checks are made: causes before what follows from them.
"""
