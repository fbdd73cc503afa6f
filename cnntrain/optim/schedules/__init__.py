"""The schedules, one in each file: factors of the learning rate."""
