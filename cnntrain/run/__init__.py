"""From a run file to what happens: assembling, fitting, evaluating, predicting, run folders."""
