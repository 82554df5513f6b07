"""Perturb and retrain: the training of a cell that starts from a trained one, changed, and of its controls."""


use rule train as retrain with:
    wildcard_constraints:
        cell=cells_of("perturb"),
    message:
        "retraining {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
