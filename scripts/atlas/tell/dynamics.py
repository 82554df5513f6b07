"""The chapter on parameter dynamics: what training changes, how far it goes, and how the learnt features correlate."""

from atlas.tell import exhibit, features, movement, study, style, unchanged
from atlas.tell.exhibit import NothingToShow
from atlas.tell.runs import whose
from atlas.tell.tables import last, summarise

TITLE = "Parameter dynamics"

PARTS = {
    "accuracy": study.PARTS["accuracy"],
    "accuracy-table": study.PARTS["accuracy-table"],
    "sources": study.PARTS["sources"],
    "training-curves": study.PARTS["training-curves"],
    "unchanged": unchanged.unchanged,
    "movement": movement.movement,
    "interval-norms": movement.interval_norms,
    "norms": movement.norms,
    "movement-layers": movement.movement_layers,
    "feature-correlation": features.feature_correlation,
    "feature-correlation-summary": features.summary,
    "statistics": study.PARTS["statistics"],
}


def exhibits(tables):
    """The study's exhibits, list[Exhibit]; reasons for those left out go to tables.left_out."""
    return exhibit.build(PARTS, tables)


def facts(tables):
    """Those of every study, and `unchanged` (see unchanged.facts), `moved` and `features` (see `spans`): lists of dicts
    with a sentence, one a data set and network. `sentences` gets the same by network, data sets together."""
    found = study.facts(tables)
    for key, function in {"unchanged": unchanged.facts, "moved": moved, "features": correlated}.items():
        try:
            found[key] = function(tables)
            found["sentences"] += [item["sentence"] for item in function(tables, by=("network",))]
        except NothingToShow:
            found[key] = []
    return found


TRAVELLED = "The distance of the parameters of {} from their start, relative to its norm, is {}"


def moved(tables, by=("dataset", "network")):
    """Relative distance from the start to the last epoch, by optimizer."""
    rows = last(movement.steps(tables, "start"), "to_epoch")
    return spans(rows, "relative", by, TRAVELLED)


def correlated(tables, by=("dataset", "network")):
    """Mean absolute correlation of features, by optimizer."""
    return spans(tables.done("features"), "mean_absolute", by, "The mean absolute correlation of features of {} is {}")


def spans(rows, column, by, text):
    """One dict a group of cells (`by` columns): these columns, by_optimizer (optimizer -> lowest and highest of the
    cells' means of `column`), sentence (`text`, filled with whose they are and the spans)."""
    means = summarise(rows, ["dataset", "network", "optimizer", "cell_id"], column).dropna(subset="mean")
    found = []
    for key, cells in means.groupby(list(by), sort=False):
        ends = cells.groupby("optimizer", sort=False)["mean"].agg(["min", "max"])
        words = [f"{between(end['min'], end['max'])} with {name}" for name, end in ends.iterrows()]
        found.append(
            {
                **dict(zip(by, key, strict=True)),
                "by_optimizer": {name: [end["min"], end["max"]] for name, end in ends.iterrows()},
                "sentence": f"{text.format(whose(cells), ' and '.join(words))} (lowest and highest mean of a cell).",
            }
        )
    return found


def between(low, high):
    """ "0.31 to 0.35", or one number where they are equal to three digits."""
    low, high = style.number(low, 3), style.number(high, 3)
    return low if low == high else f"{low} to {high}"
