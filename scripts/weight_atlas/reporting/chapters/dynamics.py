"""The chapter on parameter dynamics: what training changes, how far it goes, and whether features are learnt alike."""

from weight_atlas.reporting.chapters import study
from weight_atlas.reporting.claims import claims_dynamics, claims_perturbed
from weight_atlas.reporting.exhibits.design import factors
from weight_atlas.reporting.exhibits.features import features, pairs
from weight_atlas.reporting.exhibits.perturbed import perturbed, perturbed_answers
from weight_atlas.reporting.exhibits.weights import layers, movement, norms, statistics, tolerance, unchanged
from weight_atlas.reporting.grammar import exhibit, style

TITLE = "Parameter dynamics"

PARTS = {
    "accuracy": study.PARTS["accuracy"],
    "accuracy-table": study.PARTS["accuracy-table"],
    "sources": study.PARTS["sources"],
    "training-curves": study.PARTS["training-curves"],
    "unchanged": unchanged.unchanged,
    "unchanged-layers": unchanged.unchanged_layers,
    "tolerance": tolerance.tolerance,
    "effective": tolerance.effective,
    "movement": movement.movement,
    "interval-norms": movement.interval_norms,
    "norms": norms.norms,
    "norms-document": norms.norms_document,
    "movement-layers": layers.movement_layers,
    "rotation": layers.rotation,
    "feature-correlation": features.feature_correlation,
    "feature-correlation-summary": features.summary,
    "feature-pairs": pairs.feature_pairs,
    "feature-cross": pairs.cross_correlation,
    "factors": factors.factors,
    "factors-table": factors.factors_table,
    "statistics": study.PARTS["statistics"],
}

CLAIMS = claims_dynamics.TESTS | claims_perturbed.TESTS


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out."""
    return exhibit.build(PARTS | (perturbed.PARTS if tables.children else {}), tables)


def facts(tables):
    """Those of every study; the numbers behind the answers (`unchanged`, `moved`, `features`, `alike`, `factors`, and
    where cells are perturbed `flip`, `distortion`: lists of dicts); and `answers`: question -> its one or two
    sentences, most of which `sentences` has too."""
    questions = QUESTIONS | (perturbed_answers.QUESTIONS if tables.children else {})
    numbers, told, sources = study.reckoned(questions, tables)
    found = study.facts(tables) | numbers | {"answers": told, "answer_sources": sources}
    found["sentences"] += told["unchanged"] + told["moved"] + told["features"][:1] + told["alike"]
    found["sentences"] += told.get("distortion", [])[-1:] + told.get("flip", [])[:1]
    return found


def moved(tables):
    """Relative distance from the start to the last epoch, by network and optimizer: see `spans`."""
    return spans(tables.summary("relative_from_start"))


def correlated(tables):
    """Mean absolute correlation of activations, by network and optimizer: see `spans`."""
    return spans(tables.summary("mean_absolute"))


def spans(means):
    """One dict a network: network, by_optimizer (optimizer -> lowest and highest of the means of the cells)."""
    found = []
    for network, cells in means.groupby("network", sort=False):
        ends = cells.groupby("optimizer", sort=False)["mean"].agg(["min", "max"])
        found.append(
            {"network": network, "by_optimizer": {name: [end["min"], end["max"]] for name, end in ends.iterrows()}}
        )
    return found


def told(found):
    """ "0.28 to 0.42 with sgd and 0.16 to 0.18 with adam in lenet5; ..", of what `spans` returns."""
    return "; ".join(
        " and ".join(between(*ends) + (f" with {name}" if name else "") for name, ends in item["by_optimizer"].items())
        + f" in {item['network']}"
        for item in found
    )


def way(_, found):
    """The answer on distances."""
    text = f"Relative to the norm of their start, parameters end at a distance of {told(found)}"
    return [f"{text} (lowest and highest mean of a cell)."] if found else []


def independence(tables, found):
    """The answer on correlations: of activations, and of the weights beside them."""
    answers = [f"The mean magnitude of the correlation between two features is {told(found)}."] if found else []
    rows = tables.done("features")
    means = rows.groupby("of")[["mean_correlation", "mean_absolute"]].mean()
    if {"activations", "weights"} <= set(means.index):
        active, weights = means.loc["activations"], means.loc["weights"]
        answers.append(
            f"Over all runs activations have a mean r of {three(active['mean_correlation'])} and a mean |r| of "
            f"{three(active['mean_absolute'])}, the weights that make them {three(weights['mean_correlation'])} and "
            f"{three(weights['mean_absolute'])}."
        )
    return answers


def three(value):
    """A number with three significant digits."""
    return style.number(value, 3)


def between(low, high):
    """ "0.31 to 0.35", or one number where they are equal to three digits."""
    low, high = three(low), three(high)
    return low if low == high else f"{low} to {high}"


def alike(_, found):
    """The answer on pairs of models."""
    return pairs.answer(found)


# question -> (the numbers, a list of dicts; the sentences that they make)
QUESTIONS = {
    "learnt": (study.best_cells, study.best_answer),
    "unchanged": (unchanged.facts, unchanged.answer),
    "moved": (moved, way),
    "features": (correlated, independence),
    "alike": (pairs.likeness, alike),
    "factors": (factors.facts, factors.answer),
    "layers": (statistics.facts, statistics.answer),
}
