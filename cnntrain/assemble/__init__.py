"""From a run file to objects: data, network, loss, optimizer; nothing is written yet."""
