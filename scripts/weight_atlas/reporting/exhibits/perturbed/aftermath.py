"""Exhibits on accuracy right after a perturbation, before training again, and after it."""

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, LAYERS, OTHER, SAME, Blocks, Part
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, shares

# The modes in which a perturbed model is looked at, the last of them after training again: words, marker, colour.
MODES = {
    "eval": ("right after: running statistics", "o", style.PALETTE[0]),
    "batch": ("right after: statistics of the batch", "s", style.PALETTE[4]),
    "flipped_means": ("right after: running means flipped too", "^", style.PALETTE[3]),
    "trained": ("after training again", "D", style.PALETTE[2]),
}
NORMS = "Where a network has BatchNorm, it is also looked at with the statistics of each batch"
FLIPPED = (
    ", and after a flip with its running means flipped: a flip of all signs leaves the running means of the unflipped "
    "network behind, so accuracy shows their mismatch as much as the flip"
)


def aftermath(tables: Tables) -> list[Exhibit]:
    """Accuracy right after the perturbation, in its modes, and after training again."""
    rows = families.shown(families.family(tables))
    return _accuracies(tables, rows[rows["what"] != OTHER], "aftermath", "Right after, and after training again")


def aftermath_layers(tables: Tables) -> list[Exhibit]:
    """Accuracy right after perturbations of single layers, and after training again; none where there is none."""
    found = families.family(tables)
    rows = found[found["what"] == LAYERS]
    controls = found[found["branch"].isin(rows["branch"]) & (found["what"] == SAME)]
    both = pd.concat([controls, rows])
    return _accuracies(tables, both, "aftermath-layers", "Perturbed layer by layer") if len(rows) else []


def _accuracies(tables: Tables, rows: pd.DataFrame, name: str, title: str) -> list[Exhibit]:
    """The exhibits of some rows of `families.family`."""
    after, ends = families.children(tables, "aftermath"), families.children(tables, "accuracy")
    both = pd.concat([after, ends[ends["protocol"] == "last"].assign(mode="trained")])
    found = [families.means(both[both["mode"] == mode], "accuracy").assign(mode=mode) for mode in MODES]
    data = pd.concat(found)
    data = data[data["cell_id"].isin(rows["cell_id"]) & ((data["mode"] != "flipped_means") | (data["what"] == FLIP))]
    if data.empty:
        raise NothingToShow("aftermath.csv has no finished perturbed replicate.")
    return [_exhibit(tables, part, name, title) for part in families.split(tables, rows, data)]


def _exhibit(tables: Tables, part: Part, name: str, title: str) -> Exhibit:
    """The exhibit of one part."""
    blocks = Blocks(tables, part.rows, "accuracy (%)", around=1.05)
    for row in part.data.to_dict("records"):
        marks.dot(*blocks.place(row), row, *MODES[row["mode"]], scale=100, bounds=SHARE)
    for axes in blocks.panels.values():
        axes.set_xlim(-3, 103)
    blocks.shortfall(tables, part.rows)
    marks.legend(blocks.figure, blocks.panels.values(), ncols=2)
    modes = set(part.data["mode"])
    looked = f"{NORMS}{FLIPPED if 'flipped_means' in modes else ''}. " if "batch" in modes else ""
    caption = (
        "Test accuracy right after the perturbation, before any training, and after training again: means over the "
        "finished replicates; right after no perturbation it is that of the original. "
        f"{intervals('Lines', part.data)} {looked}{_seen(part.data)} {families.shortfall(tables, part.rows)}"
    )
    return families.exhibit(name, title, caption, f"Dot plot. {_seen(part.data)}", part.data, blocks.figure, part.tab)


def _seen(data: pd.DataFrame) -> str:
    """A sentence on the lowest and highest mean accuracy by perturbation, right after and after training again."""

    def accuracies(rows: pd.DataFrame) -> str:
        right, end = (shares(rows.loc[rows["mode"] == mode, "mean"]) for mode in ("eval", "trained"))
        return f"{right} right after and {end} after training again" if right and end else ""

    told = families.told(data[data["what"] != SAME], accuracies)
    return f"Accuracy: {told}." if told else "No perturbed cell has both accuracies."
