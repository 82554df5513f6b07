"""The config as typed models: every key, its type, its default and its range.

`config/schema.json` is generated from these models (a test holds the two together), and so are the one-line
messages for a wrong config. Defaults live here and nowhere else: a cell carries its settings in full.
"""

from weight_atlas.plan.spec.chapters import About, Chapter, Closing, Part, Question
from weight_atlas.plan.spec.claims import JUDGES, Claim, Statement, Within
from weight_atlas.plan.spec.config import PASSING, Config
from weight_atlas.plan.spec.data import (
    Counts,
    Dataset,
    Digits,
    Folder,
    Fractions,
    ImageSource,
    RandomClasses,
    Torchvision,
)
from weight_atlas.plan.spec.messages import first, line, near, shown
from weight_atlas.plan.spec.networks import Constants, Init, LayerDrawing, Network, Normalise, Source
from weight_atlas.plan.spec.optimizers import Optimizer, OptimizerKind
from weight_atlas.plan.spec.references import PublishedCurve, PublishedMean, Reference
from weight_atlas.plan.spec.studies import (
    Adjust,
    Checkpoints,
    Design,
    Experiment,
    Given,
    Grid,
    Match,
    Overrides,
    Perturb,
    Step,
    Study,
    Transfer,
)
from weight_atlas.plan.spec.thresholds import PRESETS, Accuracies, Thresholds
from weight_atlas.plan.spec.training import (
    Augment,
    Constant,
    Cosine,
    EarlyStopping,
    MultiStep,
    OneCycle,
    Penalty,
    Plateau,
    RateTable,
    Schedule,
    Stage,
    Training,
)
from weight_atlas.plan.spec.values import SCHEMES, Model, Positive, Share, number

__all__ = [
    "About",
    "JUDGES",
    "PASSING",
    "PRESETS",
    "SCHEMES",
    "Accuracies",
    "Adjust",
    "Augment",
    "Chapter",
    "Claim",
    "Checkpoints",
    "Closing",
    "Config",
    "Constant",
    "Constants",
    "Cosine",
    "Counts",
    "Dataset",
    "Design",
    "Digits",
    "EarlyStopping",
    "Experiment",
    "Folder",
    "Fractions",
    "Given",
    "Grid",
    "ImageSource",
    "Init",
    "LayerDrawing",
    "Match",
    "Model",
    "MultiStep",
    "Network",
    "Normalise",
    "OneCycle",
    "Optimizer",
    "OptimizerKind",
    "Overrides",
    "Part",
    "Penalty",
    "Perturb",
    "Plateau",
    "Positive",
    "PublishedCurve",
    "PublishedMean",
    "Question",
    "RandomClasses",
    "RateTable",
    "Reference",
    "Schedule",
    "Share",
    "Source",
    "Stage",
    "Statement",
    "Step",
    "Study",
    "Thresholds",
    "Torchvision",
    "Training",
    "Transfer",
    "first",
    "line",
    "near",
    "number",
    "shown",
    "Within",
]
