"""The measures, in one place: to add one, write its class beside its subject, name it in one of these lists, and say in
`weight_atlas.plan.measures` what it is and when it is taken."""

from weight_atlas.analysis import course
from weight_atlas.analysis.alignment.symmetries import Facts, Symmetries
from weight_atlas.analysis.features.classes import Classes
from weight_atlas.analysis.features.convergence import Convergence
from weight_atlas.analysis.features.feature_statistics import FeatureStatistics
from weight_atlas.analysis.features.filters import FilterImages
from weight_atlas.analysis.features.laziness import Laziness
from weight_atlas.analysis.features.pairs import Pairs
from weight_atlas.analysis.features.representations import Representations
from weight_atlas.analysis.landscape.connectivity import Connectivity
from weight_atlas.analysis.landscape.landscape import Landscape
from weight_atlas.analysis.measure import CellMeasure, CourseMeasure, ModelMeasure
from weight_atlas.analysis.perturbed.retrained import Retrained
from weight_atlas.analysis.weights.checkpoints import Checkpoints, Correlations, Spectra
from weight_atlas.analysis.weights.parameters import Parameters

CELL_MEASURES: tuple[type[CellMeasure], ...] = (Parameters, Symmetries, Facts)
# They stand in `course`, since those of a replicate are also taken before its snapshots are removed.
COURSE_MEASURES: tuple[type[CourseMeasure], ...] = course.MEASURES
MODEL_MEASURES: tuple[type[ModelMeasure], ...] = (
    *(FeatureStatistics, FilterImages, Retrained, Pairs),
    *(Convergence, Laziness, Landscape, Classes, Representations, Connectivity, Checkpoints, Correlations, Spectra),
)
