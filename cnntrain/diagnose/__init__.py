"""The doctor's examinations: why does this network not learn?

One check in a file. Each takes plain keywords, works on copies, and returns a `Report`; `doctor`
puts what they found in the order of causes.
"""

from cnntrain.core.choices import CHECKS

check = CHECKS.register
