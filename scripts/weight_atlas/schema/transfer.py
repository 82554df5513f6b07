"""The tables of freeze-depth transfer: each row belongs to one curve over the number n of copied layers."""

from weight_atlas.schema.column import (
    ASKED,
    CELL,
    NETWORK,
    ROLE,
    SEED,
    STUDY,
    Column,
    N,
    P,
    Q,
    Table,
    boolean,
    integer,
    interval,
    label,
    number,
    string,
)

ROOM = "weight_atlas.analysis.transfer"
CURVE = (
    STUDY,
    NETWORK,
    label("init", "Label of the start of the weights."),
    label("optimizer", "Label of the optimizer."),
    label("setting", "Further axes in which the study's transfers differ, with their levels."),
    string("base", "Data set whose network gives its layers."),
    string("target", "Data set on which the transfer is trained."),
    string(
        "mode", "What becomes of the copied layers; `base` is a base network.", ("frozen", "tuned", "random", "base")
    ),
)
KEY = tuple(column.name for column in CURVE)
DEPTH = integer("depth", "Number n of copied layers.", "layers")
BASE_DEPTH = integer("depth", "Number n of copied layers; empty for a base network.", "layers", optional=True)
P_TOST = number("p_tost", "p-value of two one-sided tests of a difference within one point.", optional=True)
MARGIN = number("margin", "Margin within which accuracies do not differ.", "share")
VERDICTS = ("generic", "transition", "specific", "undecided")


def share(name: str, meaning: str, *, optional: bool = False) -> Column:
    """A column of accuracies, or of their differences."""
    return number(name, meaning, "share", optional=optional)


TABLES = (
    Table(
        "curves",
        "The accuracy of a replicate of a transfer, or of a base network, at its best validation epoch.",
        f"{ROOM}.curves",
        (
            *CURVE,
            BASE_DEPTH,
            ROLE,
            *(CELL, SEED),
            integer("epoch", "Epoch of the best validation accuracy.", "epoch"),
            share("accuracy", "Accuracy on test."),
            share("train_accuracy", "Accuracy on training, as the epoch's steps saw the images."),
            share("valid_accuracy", "Accuracy on validation."),
            share("document_accuracy", "Accuracy by the document's protocol.", optional=True),
        ),
        (*KEY, "cell_id", "seed"),
    ),
    Table(
        "drops",
        "What transfer costs at a depth: D the drop below the base, of which C co-adaptation and S specificity.",
        f"{ROOM}.drops",
        (
            *CURVE,
            DEPTH,
            string("quantity", "Which part.", ("D", "C", "S")),
            *(ASKED, N),
            share(
                "mean", "Mean difference of accuracies: D from depth 1 on of independent means, others paired by seed."
            ),
            *interval("the mean", "share"),
            *interval("the mean", "share", "low90", "high90", 90),
            P_TOST,
        ),
        (*KEY, "depth", "quantity"),
    ),
    Table(
        "segments",
        "What the layers up to a depth are: generic, a transition, specific, or undecided.",
        f"{ROOM}.drops",
        (
            *CURVE,
            DEPTH,
            *(N, ASKED),
            string("verdict", "By the intervals of D and S.", VERDICTS),
            label("document_verdict", "By the document's thresholds of accuracy; empty without an accuracy."),
            share("document_accuracy", "Mean accuracy by the document's protocol.", optional=True),
            MARGIN,
            share("generic", "The document's rule: above this accuracy the layers are generic."),
            share("transition", "The document's rule: from this accuracy on they are a transition."),
        ),
        (*KEY, "depth"),
    ),
    Table(
        "recommendations",
        "How many layers to copy from a base to a target: the deepest n whose drop is shown to be below the margin.",
        f"{ROOM}.recommend",
        (
            *CURVE,
            string(
                "verdict",
                "Whether there is such an n; none: every n is shown to lose more.",
                ("recommended", "none", "undecided"),
            ),
            integer("recommended", "That number n of copied layers.", "layers", optional=True),
            integer("possible", "Deepest n whose drop is not shown to be above the margin.", "layers", optional=True),
            integer("deepest", "Deepest n that was trained.", "layers"),
            MARGIN,
            label("margin_origin", "Where the margin comes from."),
            integer("depth", "The n of the numbers that follow: recommended, else possible, else the first.", "layers"),
            number("rate", "Learning rate of that transfer."),
            *(N, ASKED),
            share("drop", "Mean accuracy of the target's base less that of the transfer."),
            *interval("the drop", "share"),
            *interval("the drop", "share", "low90", "high90", 90),
            share("agreement", "Resamples of replicates that recommend the same n; from 10 on.", optional=True),
            integer("parameters", "Parameters of the network.", "parameters"),
            integer("trained_parameters", "Those of them that learn in the transfer.", "parameters"),
            integer("early_epochs", "A tenth of the epochs.", "epoch"),
            string(
                "early_verdict",
                "The verdict if base and transfers had been trained for a tenth of the epochs.",
                ("recommended", "none", "undecided"),
            ),
            integer("early_recommended", "The n that a tenth recommends.", "layers", optional=True),
            boolean("chosen", "Whether no other setting of this base, target and mode goes deeper."),
        ),
        KEY,
    ),
    Table(
        "breakpoints",
        "Where a curve bends: the best continuous function of three straight pieces.",
        f"{ROOM}.shapes",
        (
            *CURVE,
            integer("depths", "Number of depths of the curve."),
            N,
            number("first", "Depth of the first bend.", "layers"),
            *interval("the first bend", "layers", "first_low", "first_high"),
            number("second", "Depth of the second bend.", "layers"),
            *interval("the second bend", "layers", "second_low", "second_high"),
            share("residual", "Root mean square of what the fit leaves."),
        ),
        KEY,
    ),
    Table(
        "trends",
        "The slope of a curve over a stretch of depths, fitted by seed.",
        f"{ROOM}.shapes",
        (
            *CURVE,
            string("quantity", "Accuracy on test or on training.", ("accuracy", "train_accuracy")),
            integer("from_depth", "First depth of the stretch.", "layers"),
            integer("to_depth", "Last depth of the stretch.", "layers"),
            N,
            number("slope", "Mean slope.", "share/layer"),
            *interval("the slope", "share/layer"),
            P,
        ),
        (*KEY, "quantity", "from_depth", "to_depth"),
    ),
    Table(
        "effects",
        "What changes at a depth when one other thing does, level b less level a, paired by seed.",
        f"{ROOM}.effects",
        (
            *CURVE,
            DEPTH,
            string("quantity", "Accuracy, or its step from the depth before.", ("accuracy", "step")),
            string(
                "factor", "What is changed: an axis, `outputs`, the network's, or `epoch taken`, whose accuracy counts."
            ),
            label("level_a", "First level; of an axis, that of the document's own transfers."),
            label("level_b", "Second level."),
            N,
            share("difference", "Mean difference of accuracies."),
            *interval("the difference", "share"),
            *interval("the difference", "share", "low90", "high90", 90),
            *(P, Q, P_TOST),
        ),
        (*KEY, "depth", "quantity", "factor", "level_a", "level_b"),
    ),
    Table(
        "reach",
        "The epochs until the test accuracy is first at a level, and how many a transfer saves.",
        f"{ROOM}.reach",
        (
            *CURVE,
            BASE_DEPTH,
            string(
                "level",
                "Which accuracy: the base's at its best epoch, one point less, or the document's.",
                ("base", "near", "document"),
            ),
            share("accuracy", "Mean of that accuracy over the replicates."),
            *(N, ASKED),
            integer("reached", "Replicates that get there.", "replicates"),
            number("median", "Median of the epochs; undefined where half never get there.", "epoch", optional=True),
            *interval("the median", "epoch"),
            number("saved", "Median of the epochs saved against the base of the same seed.", "epoch", optional=True),
            *interval("the epochs saved", "epoch", "saved_low", "saved_high"),
        ),
    ),
)
