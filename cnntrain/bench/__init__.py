"""How fast a run file trains on this machine, what holds it up, and which settings are faster."""
