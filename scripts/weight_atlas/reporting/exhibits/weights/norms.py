"""Tables of norms: at the start, at the end, the distance between, and what the study's document reports."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from weight_atlas.reporting.exhibits.runs.runs import counted, everywhere, half, labels, of_asked, printed, shortfall
from weight_atlas.reporting.exhibits.weights.movement import steps
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import PUBLISHED, Tables, last
from weight_atlas.reporting.grammar.words import DIFFERENCE, SIZE, mean_text, plural, span
from weight_atlas.stats import summarise

# heading -> measure of summary.csv
MEASURES = {
    "‖θ‖": "norm_at_end",
    "‖θ − θ₀‖": "distance_from_start",
    "relative": "relative_from_start",
    "cosine": "cosine_from_start",
}

REACH = "‖θ₀‖ ±"  # half the interval of a start's norm, which all but repeats the scheme: in the CSV alone


def norms(tables: Tables) -> list[Exhibit]:
    """‖θ₀‖, ‖θ‖ at the end, ‖θ − θ₀‖, the relative distance and the cosine of each cell, as a table."""
    starts = summarise(last(steps(tables, "start"), "to_epoch"), ["cell_id"], "norm_from")
    means = {"‖θ₀‖": starts} | {words: tables.summary(measure) for words, measure in MEASURES.items()}
    means = {words: found.set_index("cell_id") for words, found in means.items()}
    status = tables.status()
    rows = []
    for cell in tables.cells.to_dict("records"):
        row = labels(tables, cell) | {"done": of_asked(status.loc[cell["cell_id"]])}
        for words, found in means.items():
            there, decimals = cell["cell_id"] in found.index, 3 if words == "cosine" else None
            digits = 4 if words in ("‖θ₀‖", "‖θ‖") else 3
            bounds = DIFFERENCE if words == "cosine" else SIZE
            row[words] = (
                mean_text(found.loc[cell["cell_id"]].to_dict(), 1, decimals, digits, bounds) if there else "none"
            )
        row["‖θ₀‖"], _, row[REACH] = row["‖θ₀‖"].partition(" ± ")
        rows.append(row)
    table = pd.DataFrame(rows)
    columns = [name for name in printed(tables, table) if name != REACH]
    caption = (
        f"Norms of all learnable parameters θ{everywhere(tables)}, at the start (θ₀) and after the last epoch: means "
        f"over the finished replicates{counted(columns)}. {half(means['‖θ − θ₀‖'])} (That of ‖θ₀‖ is in the CSV.) "
        "Relative is ‖θ − θ₀‖ / ‖θ₀‖; cosine is that of the angle between θ₀ and θ: near 1, θ still points where θ₀ "
        f"pointed. {shortfall(tables)}"
    )
    alt = f"Table of norms of {plural(len(rows), 'cell')}."
    return [Exhibit("norms", "Norms", caption, alt, table, columns=columns)]


def norms_document(tables: Tables) -> list[Exhibit]:
    """The norms that the study's document reports and what follows from them, beside the cells of the same kind.

    None where no cell is of the same kind as any.
    """
    ends = tables.summary("norm_at_end").set_index("cell_id")["mean"]
    triples = tables.document.get("norms", [])
    here = [[norm for cell, norm in ends.items() if _is_of(tables, str(cell), triple)] for triple in triples]
    if not any(here):
        return []
    rows = [
        {
            "slide": triple["slide"],
            "network": triple["architecture"],
            "data": PUBLISHED.get(triple["dataset"], triple["dataset"]),
            "|θ₁|": f"{triple['first']:.2f}",
            "|θ₂|": f"{triple['second']:.2f}",
            "|θ₁ − θ₂|": f"{triple['distance']:.2f}",
            "|θ₁ − θ₂| / |θ₁|": f"{triple['distance'] / triple['first'] * 100:.2f} %",
            "cosine": f"{cosine(**triple):.6f}".replace("-", "−"),
            "‖θ‖ here": span(own, digits=4),
        }
        for triple, own in zip(triples, here, strict=True)
    ]
    caption = (
        f"The norms that the {tables.document['source']} report: of a trained model (θ₁) and the one that a slide sets "
        "beside it (θ₂), and what follows from them, the relative distance and the cosine, "
        "(|θ₁|² + |θ₂|² − |θ₁ − θ₂|²) / (2 |θ₁| |θ₂|). Which network a slide means is read from the size of its "
        "norms. At the right, the norm after training of the cells here with that architecture and those images "
        "(lowest and highest mean)."
    )
    alt = f"Table of {plural(len(rows), 'triple')} of norms that the {tables.document['source']} report."
    return [Exhibit("norms-document", "Reported norms", caption, alt, pd.DataFrame(rows))]


def _is_of(tables: Tables, cell_id: str, triple: Mapping[str, Any]) -> bool:
    """Whether a cell has the data and the network, at full width, of one of the document's triples."""
    settings = tables.settings[cell_id]
    network, dataset = settings.network, settings.dataset_id.partition("-")[0]
    return network.width == 1 and (network.architecture, dataset) == (triple["architecture"], triple["dataset"])


def cosine(first: float, second: float, distance: float, **_: Any) -> float:
    """The cosine of the angle between two vectors, from their lengths and their distance (law of cosines)."""
    return (first**2 + second**2 - distance**2) / (2 * first * second)
