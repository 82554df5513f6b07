"""The table that a bundle has beside those of its results."""

from weight_atlas.schema.column import (
    DATASET,
    INIT,
    NETWORK,
    OPTIMIZER,
    REPLICATE,
    Table,
    boolean,
    integer,
    label,
    number,
    string,
)
from weight_atlas.vocabulary import Status

TABLES = (
    Table(
        "bundle/networks",
        "A snapshot of a trained network: of each replicate its last one, unless a bundle was made with others.",
        "weight_atlas.export.networks",
        (
            *REPLICATE,
            label("study", "Studies that ask for it, separated by semicolons; the labels are those of the first."),
            *(DATASET, NETWORK, INIT, OPTIMIZER),
            string("status", "What became of the replicate.", (Status.DONE, Status.DIVERGED)),
            string("snapshot", "`last`, `best` (of the best epoch on validation), or the epoch."),
            integer("epoch", "The epoch after which it was taken.", "epoch", optional=True),
            number("accuracy", "Share of the test images that it classifies right.", "share", optional=True),
            string("file", "Its file, by its name in a bundle and in the folder that the workflow ran in."),
            string("sha256", "SHA-256 of the file, as recorded when it was trained."),
            integer("bytes", "Size of the file.", "bytes"),
            label("shared", "Files with the tensors that it shares with other snapshots, separated by semicolons."),
            boolean("carried", "Whether the bundle has the files."),
            string("model_card", "The network's card, by its name in the bundle."),
        ),
        ("cell_id", "seed", "snapshot"),
        free=label("axis", "Label of the cell on this axis of the config; empty where the cell has none."),
    ),
)
