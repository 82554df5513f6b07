"""The chapter on checkpoints that the user gave: how far they moved, in what way, and what they know of a data set."""

from weight_atlas.reporting.chapters import dynamics, study
from weight_atlas.reporting.exhibits.checkpoints import checkpoints
from weight_atlas.reporting.exhibits.runs.runs import ESTIMATE, plural
from weight_atlas.reporting.exhibits.weights import statistics, unchanged
from weight_atlas.reporting.grammar import exhibit
from weight_atlas.reporting.grammar.exhibit import NothingToShow

TITLE = "Your own checkpoints"

# What needs pictures, and what needs two files of a series.
SEEN = ("accuracy", "accuracy-table", "training-curves")
SEEN += ("feature-correlation", "feature-correlation-summary", "feature-pairs", "feature-cross")
MOVED = ("movement", "interval-norms", "norms", "movement-layers", "rotation")
MOVED += ("unchanged", "unchanged-layers", "tolerance", "effective")

PARTS = {name: dynamics.PARTS[name] for name in (*SEEN, *MOVED, "statistics")}
PARTS |= {"spectra": checkpoints.spectra, "between": checkpoints.between}


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out.

    What no cell can have, without pictures or of a single file, is not tried, and said in one sentence.
    """
    idle = ()
    if not any(tables.cells["dataset_id"]):
        tables.left_out.append("No data set is named for these checkpoints, so nothing is told that needs pictures.")
        idle += SEEN
    if all(len(tables.settings[cell].snapshots) == 1 for cell in tables.cells["cell_id"]):
        tables.left_out.append("Every series is a single file, so nothing is told that needs two.")
        idle += (*MOVED, "between")
    return exhibit.build({name: part for name, part in PARTS.items() if name not in idle}, tables)


def facts(tables):
    """Those of every study; the numbers behind the answers, by question; and `answers`: question -> its sentences."""
    numbers, told, sources = study.reckoned(QUESTIONS, tables)
    found = study.facts(tables) | numbers | {"answers": told, "answer_sources": sources}
    files = sum(len(tables.settings[cell.cell_id].snapshots) * cell.replicates for cell in tables.cells.itertuples())
    found["sentences"] = [f"{plural(files, 'file')} in {found['replicates']['asked']} series."]
    found["sentences"] += told["moved"] + found["trouble"] + told["known"]
    return found


def moved(tables):
    """One dict a cell: cell_id, n, and mean, low, high of the relative distance of the last file from the first."""
    return tables.summary("relative_from_start")[["cell_id", *ESTIMATE]].to_dict("records")


def way(_, found):
    """The answer on distances, from `moved`."""
    if not found:
        return []
    low, high = min(one["mean"] for one in found), max(one["mean"] for one in found)
    cells = "" if len(found) == 1 else f" (lowest and highest mean of {len(found)} cells)"
    return [
        f"Relative to the norm of the first file, the parameters of the last one are at a distance of "
        f"{dynamics.between(low, high)}{cells}."
    ]


def correlated(tables):
    """The mean |r| of two features over all files at the end, of "activations" and of the "weights" that make them."""
    means = tables.done("features").groupby("of")["mean_absolute"].mean().dropna()
    if means.empty:
        raise NothingToShow("features.csv has no correlation.")
    return means.to_dict()


def independence(_, found):
    """The answer on features, from `correlated`."""
    words = {"activations": "activations on test pictures", "weights": "the weights that make them"}
    means = [f"{dynamics.three(found[key])} of {text}" for key, text in words.items() if key in found]
    return [f"The mean magnitude of the correlation between two features is {' and '.join(means)}."]


# question -> (the numbers, the sentences that they make)
QUESTIONS = {
    "known": (study.best_cells, study.best_answer),
    "moved": (moved, way),
    "unchanged": (unchanged.facts, unchanged.answer),
    "features": (correlated, independence),
    "layers": (statistics.facts, statistics.answer),
}
