"""The optimizers, one in each file: how a gradient moves the weights.

Conventions, all torch's: momentum is `v <- momentum * v + g; w <- w - lr * v` (the learning rate is
outside of v, and the fresh v is used); weight decay adds `weight_decay * w` to g, which is the
gradient of `weight_decay / 2 * |w|^2`. A text that penalises `lambda * |w|^2` means
`weight_decay = 2 * lambda`. Where the decay is decoupled it is `w <- w - lr * weight_decay * w`.

Each takes `groups` from `parameter_groups`, which carry their weight decay. The learning rate is
set before every step, by `set_learning_rate` alone.
"""
