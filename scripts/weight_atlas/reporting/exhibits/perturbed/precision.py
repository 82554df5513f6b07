"""The exhibit on how many parameters an addition changes at all, where they are held with fewer digits."""

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.perturbed.families import ADD, Blocks, Part
from weight_atlas.reporting.exhibits.runs.runs import intervals
from weight_atlas.reporting.grammar import marks, style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import SHARE, shares
from weight_atlas.vocabulary import Format

LOOKS = dict(zip(Format, (("o", style.PALETTE[0]), ("s", style.PALETTE[1]), ("^", style.PALETTE[2])), strict=True))


def precision(tables: Tables) -> list[Exhibit]:
    """The share of parameters that each addition changes, in 32 and in 16 bits."""
    found = families.family(tables)
    rows = found[found["what"] == ADD]
    if rows.empty:
        raise NothingToShow("no perturbation adds to all weights.")
    counts = families.children(tables, "precision")
    counts = counts[counts["what"] == ADD].assign(share=counts["changed"] / counts["parameters"])
    if counts.empty:
        raise NothingToShow("precision.csv has no finished replicate that something was added to.")
    each = [families.means(counts[counts["format"] == name], "share").assign(format=name) for name in Format]
    return [_exhibit(tables, part) for part in families.split(tables, rows, pd.concat(each))]


def _exhibit(tables: Tables, part: Part) -> Exhibit:
    """The exhibit of one part."""
    blocks = Blocks(tables, part.rows, "parameters that change (%)")
    for row in part.data.to_dict("records"):
        marker, colour = LOOKS[row["format"]]
        marks.dot(*blocks.place(row), row, row["format"], marker, colour, scale=100, bounds=SHARE)
    for axes in blocks.panels.values():
        axes.set_xlim(-3, 103)
    blocks.shortfall(tables, part.rows)
    marks.legend(blocks.figure, blocks.panels.values(), ncols=3)
    seen = f"Parameters that change: {families.told(_smallest(part.data), _shares)}."
    caption = (
        "How many of a trained network's parameters an addition changes at all, if they are held in a format and what "
        "is added is rounded to it: training here holds them in float32. Means over the finished replicates. "
        f"{intervals('Lines', part.data)} {seen} {families.shortfall(tables, part.rows)}"
    )
    title = "What an addition changes in 32 and in 16 bits"
    return families.exhibit("precision", title, caption, f"Dot plot. {seen}", part.data, blocks.figure, part.tab)


def _smallest(data: pd.DataFrame) -> pd.DataFrame:
    """The rows of the smallest addition that is no rung of a ladder, or of the lowest rung."""
    plain = data[data["ladder"] == ""]
    found = plain if len(plain) else data
    smallest: pd.DataFrame = found[found["size"] == found["size"].min()]
    return smallest


def _shares(rows: pd.DataFrame) -> str:
    """ "100 % in float32, 13 % in float16"."""
    return ", ".join(f"{shares(own['mean'])} in {name}" for name, own in rows.groupby("format", sort=False))
