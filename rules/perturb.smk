"""Perturb and retrain: the training of a cell that starts from a trained one, changed, and of its controls."""


use rule train as retrain with:
    wildcard_constraints:
        cell=r"perturb-[a-z0-9_.-]+",
    message:
        "retraining {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
