"""The tables that a measure job writes for its group of cells, and the tests on their correlations."""

from weight_atlas.schema.column import (
    CELL,
    CHECKPOINT,
    EPOCH,
    LAYER,
    PARAMETER,
    REPLICATE,
    SIDES,
    SIZE,
    WEIGHT_LAYER,
    Column,
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
from weight_atlas.vocabulary import Format, Interval

COSINE = number("cosine", "Cosine of the angle between the two; undefined where one is zero.", optional=True)
DISTANCE = number("distance", "Euclidean distance between the two.")
LOSS = number("loss", "Mean cross-entropy on the test images.", "nats", optional=True)
ACCURACY = number("accuracy", "Share of the test images that are classified right.", "share", optional=True)
IMAGES = integer("pictures", "Number of test images.", "images")
ALIGNMENT = string(
    "alignment", "`aligned` where the end is first mapped by the network's symmetries.", ("plain", "aligned")
)
LANDMARKS = ("snapshot", "control", "between")
ORDER = ("raw", "permuted", "signed")
PAIR = (
    *SIDES,
    string("factor", "What they differ in: an axis or `seed`."),
    label("level_a", "Level of the factor of the first model."),
    label("level_b", "Level of the factor of the second model."),
)
PAIR_KEY = ("cell_a", "seed_a", "cell_b", "seed_b", "factor", "level_a", "level_b")
MATCHING = string("matching", "How the channels of the second model are matched to those of the first.", ORDER)


def values(name: str, meaning: str, *, optional: bool = False) -> Column:
    """A column that counts values of parameters."""
    return integer(name, meaning, "values", optional=optional)


WEIGHTS = (
    Table(
        "statistics",
        "A parameter or running statistic of a replicate at a snapshot.",
        "weight_atlas.analysis.weights.statistics",
        (
            *REPLICATE,
            EPOCH,
            *(LAYER, PARAMETER, SIZE),
            number("mean", "Mean of the values.", optional=True),
            number("std", "Standard deviation of the values (divided by their number).", optional=True),
            number("min", "Smallest value.", optional=True),
            number("max", "Largest value.", optional=True),
            number("range", "Largest less smallest value.", optional=True),
            number("norm", "Euclidean norm of the values.", optional=True),
        ),
        ("cell_id", "seed", "epoch", "layer", "parameter"),
    ),
    Table(
        "movement",
        "How far the learnable parameters of a layer moved from one snapshot of a replicate to another.",
        "weight_atlas.analysis.weights.movement",
        (
            *REPLICATE,
            LAYER,
            integer("from_epoch", "Epoch of the earlier snapshot.", "epoch"),
            integer("to_epoch", "Epoch of the later snapshot.", "epoch"),
            string("interval", "`start`: from the first snapshot; `consecutive`: from the one before.", Interval),
            number("norm_from", "Euclidean norm at the earlier snapshot."),
            number("norm_to", "Euclidean norm at the later snapshot."),
            *(DISTANCE, COSINE),
            number("relative", "Distance over the norm at the earlier snapshot.", optional=True),
        ),
        ("cell_id", "seed", "layer", "interval", "to_epoch"),
    ),
    Table(
        "unchanged",
        "How many values of a parameter are, after the last epoch, exactly what they were at the start, and why.",
        "weight_atlas.analysis.weights.unchanged",
        (
            *REPLICATE,
            *(LAYER, PARAMETER, SIZE),
            values("unchanged", "Values that are equal in all 32 bits."),
            values("taps", "Weights at taps that only ever meet zero padding, by the network's shape."),
            values("structural", "Unchanged values at such taps."),
            values("dead", "Unchanged values that never had a gradient.", optional=True),
            values("rounding", "Unchanged values whose every update was rounded away.", optional=True),
            values("returned", "Unchanged values that some step had changed.", optional=True),
            values("changed", "Values that are not equal."),
            values("contradicted", "Structural values that had a gradient after all, which must be 0.", optional=True),
        ),
        ("cell_id", "seed", "layer", "parameter"),
    ),
    Table(
        "parameters",
        "How many values of a parameter training can move on their own, by the shapes of the network alone.",
        "weight_atlas.analysis.weights.parameters",
        (
            CELL,
            *(LAYER, PARAMETER, SIZE),
            values("structural", "Weights at taps that only ever meet zero padding."),
            values("tied", "Weights whose gradient always equals that of another one."),
            values("effective", "Values that are neither."),
        ),
        ("cell_id", "layer", "parameter"),
    ),
    Table(
        "tolerance",
        "How many values of a layer differ, from the start to the end, by more than a tolerance.",
        "weight_atlas.analysis.weights.tolerance",
        (
            *REPLICATE,
            LAYER,
            string("criterion", "How the difference is taken.", ("ulp", "relative", "absolute")),
            number("tolerance", "The tolerance: steps between float32 numbers, a share, or a difference."),
            SIZE,
            values("changed", "Values that differ by more."),
        ),
        ("cell_id", "seed", "layer", "criterion", "tolerance"),
    ),
    Table(
        "spectra",
        "The singular values of a layer's weights at a checkpoint.",
        "weight_atlas.analysis.weights.spectra",
        (
            *REPLICATE,
            *(CHECKPOINT, EPOCH, WEIGHT_LAYER),
            integer("size", "Number of singular values.", "values"),
            number("spectral_norm", "Largest singular value.", optional=True),
            number("stable_rank", "Sum of the squared singular values over the largest of them.", optional=True),
            number(
                "alpha", "Exponent of the power law of the squares' tail, which has 20 values at least.", optional=True
            ),
            number("xmin", "Smallest square in the tail.", optional=True),
            values("tail", "Number of squares in the tail; 0 where no law is fitted."),
            number("ks", "Kolmogorov-Smirnov distance between the tail and the law.", optional=True),
        ),
        ("cell_id", "seed", "checkpoint", "layer"),
    ),
    Table(
        "checkpoints",
        "The epoch at which a replicate is at a checkpoint.",
        "weight_atlas.analysis.weights.checkpoints",
        (*REPLICATE, CHECKPOINT, EPOCH),
        ("cell_id", "seed", "checkpoint"),
    ),
    Table(
        "correlations",
        "How alike a parameter is in two models at checkpoints.",
        "weight_atlas.analysis.weights.correlation",
        (
            *SIDES,
            string(
                "comparison",
                "Which models: of two cells (other seeds, or twins of one seed), one at two checkpoints, independent.",
                ("models", "twins", "checkpoints", "independent"),
            ),
            string("checkpoint_a", "Checkpoint of the first model."),
            string("checkpoint_b", "Checkpoint of the second model."),
            integer("epoch_a", "Epoch of the first model.", "epoch"),
            integer("epoch_b", "Epoch of the second model.", "epoch"),
            *(LAYER, PARAMETER, SIZE, MATCHING),
            number("pearson", "Pearson's correlation; undefined where one is constant.", optional=True),
            number("spearman", "Spearman's rank correlation; undefined where one is constant.", optional=True),
            values("changed", "Values that are not equal."),
            COSINE,
        ),
        (
            *("cell_a", "seed_a", "cell_b", "seed_b", "comparison", "checkpoint_a", "checkpoint_b"),
            *("layer", "parameter", "matching"),
        ),
    ),
)

FEATURES = (
    Table(
        "features",
        "The correlations between the penultimate features of a model over the test images, or between their weights; "
        "of more than 4,096 features so many, evenly spaced, here and in pairs.csv.",
        "weight_atlas.analysis.features.feature_statistics",
        (
            *REPLICATE,
            string("of", "What is correlated.", ("activations", "weights")),
            integer("features", "Number of features.", "features"),
            integer("constant", "Features that do not vary, and have no correlation.", "features"),
            integer("pairs", "Pairs of features whose correlation is defined.", "pairs"),
            number("mean_correlation", "Mean of the correlations.", optional=True),
            number("mean_absolute", "Mean of their absolute values.", optional=True),
            *(
                number(f"q{share:02d}", f"The {share} % quantile of the correlations.", optional=True)
                for share in (5, 25, 50, 75, 95)
            ),
        ),
        ("cell_id", "seed", "of"),
    ),
    Table(
        "pairs",
        "Two trained models that differ in exactly one thing: their parameters, features and predictions.",
        "weight_atlas.analysis.features.pairs",
        (
            *SIDES,
            string("factor", "What they differ in: an axis, `seed`, or a perturbed model and its original or control."),
            label("level_a", "Level of the factor of the first model."),
            label("level_b", "Level of the factor of the second model."),
            number("norm_a", "Norm of the first model's learnable parameters."),
            number("norm_b", "Norm of the second model's learnable parameters."),
            *(DISTANCE, COSINE),
            number("cka", "Debiased linear centred kernel alignment of the features.", optional=True),
            number("agreement", "Test images for which both predict the same class.", "share", optional=True),
            number("correlation", "Mean correlation of features at the same place.", optional=True),
            number("matched", "Mean correlation of features that are matched best.", optional=True),
            number("in_place", "Features that the matching leaves at their place.", "share", optional=True),
            integer("features", "Number of features.", "features"),
            integer("constant", "Features that do not vary in one of the two.", "features"),
            number("divergence", "Mean Jensen-Shannon divergence of the predictions.", "bits", optional=True),
            integer("errors_a", "Test images that the first model gets wrong.", "images"),
            integer("errors_b", "Test images that the second model gets wrong.", "images"),
            integer("both_wrong", "Test images that both get wrong.", "images"),
        ),
        ("cell_a", "seed_a", "cell_b", "seed_b", "factor", "level_a", "level_b"),
    ),
    Table(
        "identical",
        "How many filters of the first convolution differ from one another, of cells whose config asks for it.",
        "weight_atlas.analysis.features.filters",
        (
            *REPLICATE,
            *(EPOCH, WEIGHT_LAYER),
            integer("filters", "Number of filters.", "filters"),
            integer("distinct", "Filters that differ from all before them.", "filters"),
            number("spread", "Largest distance between two filters over their mean norm."),
        ),
        ("cell_id", "seed", "epoch"),
    ),
    Table(
        "convergence",
        "How alike what a layer computes at a snapshot of the first model is to what it computes at the end of the "
        "second, of cells whose config asks for it.",
        "weight_atlas.analysis.features.convergence",
        (
            *SIDES,
            string("factor", "What they differ in: an axis or `seed`; `end` is one model and its own end."),
            label("level_a", "Level of the factor of the first model; empty for its own end."),
            label("level_b", "Level of the factor of the second model; empty for its own end."),
            EPOCH,
            WEIGHT_LAYER,
            number("cka", "Debiased linear centred kernel alignment; undefined where one is constant.", optional=True),
            number("correlation", "Mean correlation of channels at the same place, averaged over maps.", optional=True),
            number("matched", "The same of channels that are matched best; of at most 512 channels.", optional=True),
        ),
        ("cell_a", "seed_a", "cell_b", "seed_b", "factor", "level_a", "level_b", "epoch", "layer"),
    ),
    Table(
        "settled",
        "The epoch from which a layer computes what it computes at the end, of cells whose config asks for it.",
        "weight_atlas.analysis.features.convergence",
        (
            *REPLICATE,
            WEIGHT_LAYER,
            integer("place", "Place of the layer from the input, from 1.", "layers"),
            number("threshold", "Least CKA to its own end."),
            integer("epoch", "First epoch from which CKA stays so high; none at all is empty.", "epoch", optional=True),
        ),
        ("cell_id", "seed", "layer", "threshold"),
    ),
    Table(
        "laziness",
        "A trained model beside its linearisation at its start, of cells whose config asks for it: in evaluation mode, "
        "with the running statistics of the end.",
        "weight_atlas.analysis.features.laziness",
        (
            *REPLICATE,
            integer("pictures", "Number of test images, evenly spaced.", "images"),
            number("accuracy", "Share of these that the model classifies right.", "share"),
            number("linear_accuracy", "The same of its linearisation at the same parameters.", "share"),
            number("agreement", "Images for which both predict the same class.", "share"),
            number(
                "departure", "Norm of their difference over that of the outputs' change from the start.", optional=True
            ),
            integer("kernel_pictures", "Test images of the tangent kernel, each with its own class.", "images"),
            number("kernel_change", "Norm of the kernel's change over that of the kernel at the start.", optional=True),
            number("kernel_cosine", "Cosine between the kernels at the start and at the end.", optional=True),
        ),
        ("cell_id", "seed"),
    ),
    Table(
        "confusion",
        "How many test images of a class a trained model takes for a class, of cells whose config asks for it: each "
        "class with itself, and others where there is an image.",
        "weight_atlas.analysis.features.classes",
        (
            *REPLICATE,
            integer("true_class", "The images' class, by its place among those of the data set, from 0."),
            integer("predicted_class", "The class of the largest output, the first of equals."),
            IMAGES,
        ),
        ("cell_id", "seed", "true_class", "predicted_class"),
    ),
    Table(
        "representations",
        "How alike the penultimate features of two trained models that differ in exactly one thing are, by several "
        "measures of their geometry: 1 where it is the same but for rotation, scale and shift.",
        "weight_atlas.analysis.features.representations",
        (
            *PAIR,
            integer("pictures", "Number of test images, evenly spaced.", "images"),
            number("cka", "Debiased linear centred kernel alignment.", optional=True),
            number("procrustes", "Likeness after the best rotation: 1 less half the squared distance.", optional=True),
            number("rsa", "Spearman's correlation of the distances between images.", optional=True),
            number("neighbours", "Share of ten nearest images in common, corrected for chance.", optional=True),
        ),
        PAIR_KEY,
    ),
)

PLANE = string(
    "plane", "`ends`: through end, start and control; `random`: filter-normalised directions.", ("ends", "random")
)
PLACES = (
    number("plane_x", "First coordinate; the end is at 0. Of `ends` a distance of weights, of `random` a factor."),
    number("plane_y", "Second coordinate, in the same units."),
)
SAMPLE = "over at most 250 test images, evenly spaced"

BARRIER = (
    ALIGNMENT,
    number("loss_barrier", "Most that the loss is above the line between its ends.", "nats", optional=True),
    number("accuracy_barrier", "Most that accuracy is below that line.", "share", optional=True),
    number("distance", "Euclidean distance between the two ends."),
    integer("permuted", "Channels that the alignment moved.", "channels"),
    integer("signs", "Channels whose sign the alignment flipped.", "channels"),
)
T = number("t", "Place on the line, from 0 to 1.")

LANDSCAPES = (
    Table(
        "connectivity",
        "The straight line between two trained models that differ in exactly one thing, of cells whose config asks for "
        "it: its barrier, and the model half-way, with running statistics of its own.",
        "weight_atlas.analysis.landscape.connectivity",
        (
            *PAIR,
            *BARRIER,
            IMAGES,
            number("accuracy_a", "Accuracy of the first model.", "share", optional=True),
            number("accuracy_b", "Accuracy of the second model.", "share", optional=True),
            number("merged_loss", "Loss of the model half-way.", "nats", optional=True),
            number("merged_accuracy", "Accuracy of the model half-way.", "share", optional=True),
        ),
        (*PAIR_KEY, "alignment"),
    ),
    Table(
        "lines",
        "A point on such a line, from the first model (t = 0) to the second (t = 1).",
        "weight_atlas.analysis.landscape.connectivity",
        (*PAIR, ALIGNMENT, T, *(IMAGES, LOSS, ACCURACY)),
        (*PAIR_KEY, "alignment", "t"),
    ),
    Table(
        "landscape",
        "The loss at a point of a plane of weights around the end of a trained model, of cells whose config asks for "
        f"it: {SAMPLE}, in evaluation mode, with running statistics of its own at each point.",
        "weight_atlas.analysis.landscape.landscape",
        (*REPLICATE, PLANE, *PLACES, LOSS, ACCURACY),
        ("cell_id", "seed", "plane", "plane_x", "plane_y"),
    ),
    Table(
        "landmarks",
        "A network beside the plane `ends` of landscape.csv, its loss where it really is.",
        "weight_atlas.analysis.landscape.landscape",
        (
            *REPLICATE,
            string("control_cell", "Id of the control's cell: a perturbed model's control, or the cell itself."),
            integer("control_seed", "Replicate of the control, by its seed."),
            string("kind", "What it is; `between` is half-way from the end to the control's.", LANDMARKS),
            EPOCH,
            *PLACES,
            number("off_plane", "Distance from the plane."),
            *(LOSS, ACCURACY),
        ),
        ("cell_id", "seed", "kind", "epoch"),
    ),
    Table(
        "sharpness",
        f"The Hessian of the loss at the start and at the end of a trained model: {SAMPLE}, in evaluation mode.",
        "weight_atlas.analysis.landscape.sharpness",
        (
            *REPLICATE,
            EPOCH,
            number("eigenvalue", "Largest eigenvalue, by power iteration."),
            number("residual", "Its relative error at most: |Hv − λv| / |λ|, v of length 1.", optional=True),
            integer("products", "Products with the Hessian.", "products"),
        ),
        ("cell_id", "seed", "epoch"),
    ),
)

PERTURBED = (
    Table(
        "returns",
        "The distance between two points of a perturbed model: its original, its start, its end, its control's end.",
        "weight_atlas.analysis.perturbed.distance_to_original",
        (
            *REPLICATE,
            LAYER,
            string("pair", "Which two points.", ("perturbation", "original", "moved", "control")),
            SIZE,
            values("changed", "Values that are not equal."),
            number("norm_a", "Norm at the first point."),
            number("norm_b", "Norm at the second point."),
            *(DISTANCE, COSINE),
            number("relative", "Distance over the norm at the first point.", optional=True),
        ),
        ("cell_id", "seed", "layer", "pair"),
    ),
    Table(
        "precision",
        "How many of a trained network's parameters a perturbation changes, if they are held in a format.",
        "weight_atlas.analysis.perturbed.precision",
        (
            *REPLICATE,
            string("format", "What the parameters, and their sums with the perturbation, are rounded to.", Format),
            values("parameters", "Number of learnable parameters."),
            values("changed", "Parameters that the perturbation changes in this format."),
        ),
        ("cell_id", "seed", "format"),
    ),
    Table(
        "aftermath",
        "The accuracy of a model right after it was perturbed, before it is trained again.",
        "weight_atlas.analysis.perturbed.immediate_accuracy",
        (
            *REPLICATE,
            string(
                "mode",
                "How batch normalisation works: by running statistics, by the batch's, or with negated means.",
                ("eval", "batch", "flipped_means"),
            ),
            *(IMAGES, ACCURACY, LOSS),
        ),
        ("cell_id", "seed", "mode"),
    ),
    Table(
        "paths",
        "A point on the straight line from an original (t = 0) to where its perturbed model ends (t = 1).",
        "weight_atlas.analysis.perturbed.paths",
        (*REPLICATE, ALIGNMENT, T, *(IMAGES, LOSS, ACCURACY)),
        ("cell_id", "seed", "alignment", "t"),
    ),
    Table(
        "barriers",
        "What the loss rises, and accuracy falls, along such a line.",
        "weight_atlas.analysis.perturbed.paths",
        (*REPLICATE, *BARRIER),
        ("cell_id", "seed", "alignment"),
    ),
    Table(
        "symmetries",
        "What can be done to a group of channels without changing what the network computes.",
        "weight_atlas.networks.symmetry",
        (
            CELL,
            string("layer_group", "The group, by the layer that writes it."),
            integer("channels", "Number of channels.", "channels"),
            boolean("permutation", "Whether they can be renamed."),
            string("sign", "Whether they can be negated, and by what: an odd activation or batch normalisation."),
            boolean("scale", "Whether they can be multiplied by a positive factor."),
        ),
        ("cell_id", "layer_group"),
    ),
    Table(
        "facts",
        "What a transformation of the parameters does to the outputs of a small network, computed.",
        "weight_atlas.analysis.alignment.facts",
        (
            string("network", "The network in words."),
            string("transformation", "What was done to its parameters."),
            string("expected", "The function asked for: the same, or the opposite.", ("f", "-f")),
            number("error", "Largest difference from it over the largest output."),
            boolean("holds", "Whether the error is below 1e-10."),
        ),
        ("network", "transformation", "expected"),
    ),
)

CHANCE = (
    Table(
        "likeness",
        "Whether two models are more alike than independent replicates of one cell: Welch's test of Fisher's z.",
        "weight_atlas.analysis.weights.correlation_tests",
        (
            string("cell_a", "Id of the first cell."),
            string("cell_b", "Id of the second cell."),
            *(CHECKPOINT, LAYER, PARAMETER, SIZE, MATCHING),
            string("coefficient", "Which correlation.", ("pearson", "spearman")),
            integer("n", "Pairs of models.", "pairs"),
            number("mean", "Their mean correlation, by Fisher's z.", optional=True),
            *interval("the mean"),
            integer("null_n", "Independent pairs.", "pairs"),
            number("null_mean", "Their mean correlation, by Fisher's z.", optional=True),
            *interval("the mean of the independent pairs", low="null_low", high="null_high"),
            number("difference", "Mean z of the models less that of the independent pairs.", optional=True),
            *interval("the difference", low="difference_low", high="difference_high"),
            *(P, Q),
        ),
        ("cell_a", "cell_b", "checkpoint", "layer", "parameter", "matching", "coefficient"),
    ),
)
