"""Training as a whole: fit, resume, folds, ablate. Called, the room is `cnntrain.fit`."""

from cnntrain.core.callable_room import make_callable

make_callable(__name__, function="fitted.fit")
