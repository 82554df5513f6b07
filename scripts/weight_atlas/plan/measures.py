"""The measures of trained cells: what each of them is, when it is taken, and the tables and files that it leaves.

`weight_atlas.analysis.measures` has their code, by the same names. No torch.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

MeasureName = Literal[
    "statistics",
    "movement",
    "unchanged",
    "parameters",
    "features",
    "pairs",
    "retrained",
    "symmetries",
    "facts",
    "checkpoints",
    "correlations",
    "spectra",
    "filters",
    "identical",
    "convergence",
    "laziness",
    "landscape",
    "classes",
    "representations",
    "connectivity",
]

# Of convergence: test images that are shown, values of a layer's map, and channels that are matched, at most.
CONVERGENCE_IMAGES, LAYER_VALUES, MATCHED_CHANNELS = 250, 4096, 512
# Of laziness: test images on which a network is compared with its linearisation, and those of its kernel, at most.
LINEAR_IMAGES, KERNEL_IMAGES = 1000, 20
# Of landscape: test (and training) images, points along a side of a plane, and products with a Hessian, at most.
LANDSCAPE_IMAGES, LANDSCAPE_SIDE, HESSIAN_STEPS = 250, 17, 100
REPRESENTED_IMAGES = 500  # of representations: test images, at most


class Taken(StrEnum):
    """When a measure is taken of a cell."""

    ALWAYS = "always"
    IMAGES = "where there are images"
    PERTURBED = "where cells are perturbed"
    CHECKPOINTS = "where checkpoints are named, or asked for"
    ASKED = "asked for"


class Measure(NamedTuple):
    """A measure. tables: the CSV files that it writes rows of; tensors: the safetensors file, "" for none; network:
    whether it needs to know what a model computes, and not its tensors alone."""

    meaning: str
    taken: Taken
    tables: tuple[str, ...] = ()
    tensors: str = ""
    network: bool = True


MEASURES: Final[dict[MeasureName, Measure]] = {
    "statistics": Measure(
        "mean, deviation, extremes and norm of each tensor, by epoch", Taken.ALWAYS, ("statistics",), network=False
    ),
    "movement": Measure("distance of each layer from its start, by epoch", Taken.ALWAYS, ("movement",), network=False),
    "unchanged": Measure("values that never changed, and why", Taken.ALWAYS, ("unchanged", "tolerance"), network=False),
    "parameters": Measure("values that training can move on their own", Taken.ALWAYS, ("parameters",), network=False),
    "features": Measure(
        "correlations between a model's features (where there are images) and between their weights",
        Taken.ALWAYS,
        ("features",),
        "features",
    ),
    "pairs": Measure("parameters, features and predictions of two models", Taken.IMAGES, ("pairs",), "pairs"),
    "retrained": Measure(
        "distances, accuracy and the line from perturbed models to their originals",
        Taken.PERTURBED,
        ("returns", "precision", "aftermath", "paths", "barriers"),
    ),
    "symmetries": Measure("what leaves the function of a network as it is", Taken.PERTURBED, ("symmetries",)),
    "facts": Measure("symmetries of small networks, computed", Taken.PERTURBED, ("facts",)),
    "checkpoints": Measure("the epochs of the checkpoints", Taken.CHECKPOINTS, ("checkpoints",), network=False),
    "correlations": Measure(
        "correlations of weights at checkpoints", Taken.CHECKPOINTS, ("correlations",), network=False
    ),
    "spectra": Measure("singular values of weights at checkpoints", Taken.CHECKPOINTS, ("spectra",), network=False),
    "filters": Measure("images of the filters and activations of the end convolutions", Taken.ASKED, (), "filters"),
    "identical": Measure("distinct filters of the first convolution, by epoch", Taken.ASKED, ("identical",)),
    "convergence": Measure(
        "likeness of each layer to its end and to other models' ends, by epoch", Taken.ASKED, ("convergence", "settled")
    ),
    "laziness": Measure(
        "each model beside its linearisation at the start, and the change of its tangent kernel",
        Taken.ASKED,
        ("laziness",),
    ),
    "landscape": Measure(
        "loss on planes of weights around the end, and the Hessian's largest eigenvalue at start and end",
        Taken.ASKED,
        ("landscape", "landmarks", "sharpness"),
    ),
    "classes": Measure("what each model takes the test images of each class for", Taken.ASKED, ("confusion",)),
    "representations": Measure(
        "likeness of what two models make of the same images, by four measures", Taken.ASKED, ("representations",)
    ),
    "connectivity": Measure(
        "loss and accuracy on the line between two models, and half-way, before and after their channels are matched",
        Taken.ASKED,
        ("connectivity", "lines"),
    ),
}
