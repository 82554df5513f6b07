"""The tables that a comparison of two results, A and B, leaves beside its page."""

from weight_atlas.schema.column import ROLE, SEED, STUDY, Table, boolean, integer, interval, number, string
from weight_atlas.vocabulary import Status

MADE_BY = "weight_atlas.export.compare"
CELL_A, CELL_B = string("cell_a", "Id of the cell in A."), string("cell_b", "Id of the cell in B.")
FIRST = string(
    "first_different", "First epoch whose snapshots differ, or `best`; empty where none does.", optional=True
)

TABLES = (
    Table(
        "compare/cells",
        "A cell of A and its counterpart in B.",
        MADE_BY,
        (
            string(
                "paired_by", "What they were paired by, or which result has it.", ("id", "labels", "only A", "only B")
            ),
            *(STUDY, ROLE),
            string("cell", "The cell in words."),
            string("cell_a", "Id of the cell in A; empty where only B has it.", optional=True),
            string("cell_b", "Id of the cell in B; empty where only A has it.", optional=True),
            integer("replicates", "Replicates in both.", "replicates"),
            integer("compared", "Replicates whose snapshots could be compared.", "replicates"),
            integer("last", "Of these, identical at the last epoch.", "replicates"),
            integer("all", "Of these, identical in every snapshot.", "replicates"),
            FIRST,
            number("distance", "Mean distance between the final weights of A and B that differ.", optional=True),
            number("between_seeds", "Mean distance between the final weights of two replicates in A.", optional=True),
        ),
    ),
    Table(
        "compare/replicates",
        "A replicate of a cell that both results have.",
        MADE_BY,
        (
            *(CELL_A, CELL_B, SEED),
            string("status_a", "What became of it in A.", Status),
            string("status_b", "What became of it in B.", Status),
            integer("shared", "Snapshots that both have.", "snapshots", optional=True),
            integer("equal", "Of these, bit-identical.", "snapshots", optional=True),
            boolean("last", "Whether those of the last epoch are.", optional=True),
            FIRST,
            number("distance", "Distance between the final weights, where they differ.", optional=True),
            number("relative", "The same over the norm of A's.", optional=True),
        ),
        ("cell_a", "cell_b", "seed"),
    ),
    Table(
        "compare/differences",
        "The difference of an outcome between a cell of A and its counterpart, B less A, paired by seed.",
        MADE_BY,
        (
            *(CELL_A, CELL_B),
            string("outcome", "Accuracy at the best validation epoch, final norm, or distance from the start."),
            integer("n", "Replicates that are done in both.", "replicates"),
            number("mean_a", "Mean in A."),
            number("mean_b", "Mean in B."),
            number("difference", "Mean difference."),
            *interval("the difference"),
            number("spread", "Standard deviation over seeds, of both results together.", optional=True),
            number("spreads", "The difference over this spread.", optional=True),
            number("p", "p-value of the paired t-test.", optional=True),
            number("q", "p after Benjamini and Hochberg's correction.", optional=True),
        ),
        ("cell_a", "cell_b", "outcome"),
    ),
    Table(
        "compare/settings",
        "A setting that differs between two cells that only their labels pair.",
        MADE_BY,
        (
            *(CELL_A, CELL_B),
            string("setting", "The setting, by its place in the cell."),
            string("a", "Its value in A.", optional=True),
            string("b", "Its value in B.", optional=True),
        ),
        ("cell_a", "cell_b", "setting"),
    ),
    Table(
        "compare/datasets",
        "A data set of one or both results.",
        MADE_BY,
        (
            string("dataset_id", "Id of the prepared data set."),
            string("title", "Its title."),
            string("in", "Which result has it.", ("both", "only A", "only B")),
            string("contents", "Whether images, labels and splits are the same.", ("same", "different"), optional=True),
        ),
        ("dataset_id",),
    ),
)
