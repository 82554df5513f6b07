"""The exhibits and the answers by name: to add one, write its function beside its subject and name it here.

A chapter (`report/documents/*/chapter.yaml`) calls them by these names, and `sections` by the shape of an experiment.
Functions of a study take its Tables, functions of an experiment also the Experiment; all take options by keyword.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from weight_atlas.reporting.claims import answers as of_claims
from weight_atlas.reporting.exhibits import diagrams, documented, networks
from weight_atlas.reporting.exhibits.checkpoints import answers as of_checkpoints
from weight_atlas.reporting.exhibits.checkpoints import between_runs, checkpoints, correlations, invariants, schedules
from weight_atlas.reporting.exhibits.design import answers as by_shape
from weight_atlas.reporting.exhibits.design import (
    augmented,
    courses,
    effects,
    factorial,
    factors,
    figures,
    numbers,
    staged,
    tuned,
)
from weight_atlas.reporting.exhibits.features import convergence, features, filters, laziness, pairs, representations
from weight_atlas.reporting.exhibits.perturbed import (
    aftermath,
    amplification,
    ladder,
    mirror,
    paths,
    perturbed,
    perturbed_features,
    precision,
    pruning,
)
from weight_atlas.reporting.exhibits.runs import classes, runs, study
from weight_atlas.reporting.exhibits.runs.training import training_curves
from weight_atlas.reporting.exhibits.transfer import answers as of_transfer
from weight_atlas.reporting.exhibits.transfer import curves as transfer_curves
from weight_atlas.reporting.exhibits.transfer import effects as transfer_effects
from weight_atlas.reporting.exhibits.transfer import recommendations, references, segments, training
from weight_atlas.reporting.exhibits.weights import answers as of_weights
from weight_atlas.reporting.exhibits.weights import (
    connectivity,
    landscape,
    layers,
    movement,
    norms,
    spectra,
    statistics,
    tensors,
    tolerance,
    unchanged,
)

Function = Callable[..., list[Any]]

EXHIBITS_OF_STUDY: dict[str, Function] = {
    "accuracy": runs.accuracy,
    "accuracy-table": runs.accuracy_table,
    "sources": runs.sources,
    "training-curves": training_curves,
    "classes": classes.classes,
    "confusion": classes.confusions,
    "networks": networks.table,
    "diagrams": diagrams.diagrams,
    "documented": documented.numbers,
    # weights
    "unchanged": unchanged.unchanged,
    "unchanged-layers": unchanged.unchanged_layers,
    "tolerance": tolerance.tolerance,
    "effective": tolerance.effective,
    "movement": movement.movement,
    "interval-norms": movement.interval_norms,
    "norms": norms.norms,
    "norms-reported": norms.norms_document,
    "movement-layers": layers.movement_layers,
    "rotation": layers.rotation,
    "statistics": statistics.statistics,
    "landscape": landscape.planes,
    "connectivity": connectivity.barriers,
    "connectivity-table": connectivity.table,
    "connectivity-lines": connectivity.lines,
    "sharpness": landscape.sharpness,
    "spectra-accuracy": spectra.accuracy,
    "tensors": tensors.table,
    "tensors-roles": tensors.roles,
    "tensors-depth": tensors.depth,
    # features
    "feature-correlation": features.feature_correlation,
    "feature-correlation-summary": features.summary,
    "feature-pairs": pairs.feature_pairs,
    "feature-cross": pairs.cross_correlation,
    "representations": representations.measures,
    "representations-table": representations.table,
    "convergence": convergence.course,
    "convergence-others": convergence.others,
    "settled": convergence.settled,
    "settled-order": convergence.agreement_table,
    "laziness": laziness.lazy,
    "filter-weights": filters.weights,
    "filter-activations": filters.activations,
    "identical": filters.identical,
    # design of experiments
    "factors": factors.factors,
    "factors-table": factors.factors_table,
    # perturbed
    "triples": mirror.triples,
    "returns": perturbed.returns,
    "amplification": amplification.amplification,
    "ladder": ladder.ladder,
    "pruning": pruning.pruning,
    "pruning-table": pruning.table,
    "precision": precision.precision,
    "flip-geometry": mirror.geometry,
    "aftermath": aftermath.aftermath,
    "aftermath-layers": aftermath.aftermath_layers,
    "barriers": paths.barriers,
    "paths": paths.paths,
    "perturbed-pairs": perturbed_features.likeness,
    "perturbed-features": perturbed_features.correlations,
    "symmetries": paths.symmetries,
    "symmetries-tried": paths.tried,
    # transfer
    "segments": segments.strip,
    "segments-table": segments.table,
    "decomposition": transfer_curves.decomposition,
    "base-target": training.base_target,
    "transfer-course": training.course,
    "transfer-accuracy": transfer_curves.accuracy_depth,
    "reference-curves": references.curves,
    "reference-agreement": references.agreement_table,
    "reference-numbers": references.numbers,
    "diagnosis": transfer_effects.diagnosis,
    "diagnosis-table": transfer_effects.diagnosis_table,
    "similarity": transfer_curves.similarity,
    "outputs": transfer_curves.output_curves,
    "transfer-epochs": training.epochs,
    "transfer-epochs-table": training.saved_table,
    "recommendation": recommendations.table,
    "reported-numbers": transfer_effects.document_numbers,
    "reported-networks": transfer_effects.document_networks,
    # checkpoints
    "starts-course": schedules.course,
    "starts-overall": schedules.overall,
    "starts-epochs": schedules.epochs,
    "checkpoints": schedules.checkpoints,
    "checkpoint-statistics": checkpoints.statistics,
    "spectra": checkpoints.spectra,
    "correlation": correlations.correlation,
    "aligned": correlations.aligned,
    "between": checkpoints.between,
    "between-runs": between_runs.between_runs,
    "invariants": invariants.invariants,
    "compared": staged.compared,
    "compared-table": staged.compared_table,
}

ANSWERS_OF_STUDY: dict[str, Function] = {
    "best": study.best_answer,
    "unchanged": unchanged.answer,
    "moved": of_weights.way,
    "layers": statistics.answer,
    "tensors": tensors.answer,
    "features": of_weights.independence,
    "alike": pairs.answer,
    "in-order": convergence.answer,
    "lazy": laziness.answer,
    "landscape": landscape.answer,
    "connectivity": connectivity.answer,
    "spectra": spectra.answer,
    "classes": classes.answer,
    "representations": representations.answer,
    "factors": factors.answer,
    "distortion": of_claims.distortion,
    "returned": of_claims.returned,
    "flip": of_claims.flip,
    "pruning": pruning.answer,
    # transfer
    "segments": of_transfer.layers,
    "transfer-course": of_transfer.course,
    "agreement": of_transfer.agreement,
    "reference": references.answer,
    "similarity": of_transfer.similar,
    "outputs": of_transfer.outputs,
    "transfer-epochs": of_transfer.saved,
    "recommendation": recommendations.answer,
    "reported-numbers": transfer_effects.beside_document,
    # checkpoints
    "starts": of_checkpoints.starts,
    "starts-reported": of_checkpoints.against_document,
    "starts-conclusion": of_claims.conclusion,
    "transformed": of_checkpoints.spread,
    "between-runs": between_runs.answer,
    "higher": of_checkpoints.higher,
    "likeness": of_claims.likeness,
    "stayed": of_checkpoints.rotation,
    "turned": of_checkpoints.turned,
    "significance": of_checkpoints.significance,
    "shared-seeds": of_checkpoints.seeds,
    "matching": of_checkpoints.matching,
    "filters": filters.answer,
    "compared": staged.compared_answer,
    "effects": effects.overall,
}

# Functions of a study that tell its experiments apart: they see a cell in each that has it, all others once.
ACROSS = ("compared", "compared-table")

EXHIBITS_OF_EXPERIMENT: dict[str, Function] = {
    # one axis: a sweep, a comparison, a path
    "levels": figures.by_level,
    "levels-table": numbers.table,
    "settings": numbers.settings,
    "lines": courses.lines,
    "course": courses.course,
    "gaps": courses.gaps,
    "tuning": tuned.table,
    # several axes
    "factorial-means": factorial.heatmaps,
    "factorial-levels": factorial.distributions,
    "factorial-interactions": factorial.interactions,
    "factorial-table": factorial.table,
    "effects": effects.effects,
    "effects-table": effects.table,
    # images changed, training in stages
    "augmented-examples": augmented.examples,
    "augmented-effects": augmented.effects,
    "augmented-table": augmented.table,
    "stages-course": staged.course,
    "stages-table": staged.table,
}
ANSWERS_OF_EXPERIMENT: dict[str, Function] = {
    "levels": by_shape.answer,
    "gaps": courses.gap_answer,
    "factorial": factorial.answer,
    "augmented": augmented.answer,
    "staged": staged.answer,
    "reached": study.reached,
}


class Functions(NamedTuple):
    """The functions of one kind by name."""

    of_study: dict[str, Function]
    of_experiment: dict[str, Function]

    @property
    def names(self) -> list[str]:
        return [*self.of_study, *self.of_experiment]


EXHIBITS = Functions(EXHIBITS_OF_STUDY, EXHIBITS_OF_EXPERIMENT)
ANSWERS = Functions(ANSWERS_OF_STUDY, ANSWERS_OF_EXPERIMENT)
