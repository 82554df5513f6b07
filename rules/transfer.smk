"""Freeze-depth transfer: the training of a cell with the first layers of another one."""


use rule train as transfer with:
    wildcard_constraints:
        cell=cells_of("transfer"),
    message:
        "transferring {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
