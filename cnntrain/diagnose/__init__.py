"""The doctor's examinations: why does this network not learn?

One check in a file of `checks/`. Each takes plain keywords, works on copies, and returns a
`Report`; `diagnose` puts what they found in the order of causes. Called, the room is
`cnntrain.diagnose`.
"""

from cnntrain.core.callable_room import make_callable
from cnntrain.core.choices import CHECKS

check = CHECKS.register

make_callable(__name__, function="diagnose.examine")
