"""The rows of figures by layer: what stands beside one, and which layers share one where there are too many to read."""

from collections.abc import Iterable, Sequence

import pandas as pd

from weight_atlas.tensor_names import family

MOST = 60  # layers of a network that have a row each
# The kinds of what a layer holds, in the order of a figure's rows. Those of a model of which only the tensors are known
# are roles (weight_atlas.networks.stored).
LEARNT = ("weight", "embedding", "norm", "bias")
KINDS = (*LEARNT, "running_mean", "running_var", "buffer")


def shared(layers: Iterable[str]) -> dict[str, str]:
    """{layer: its row}: itself, or of more than MOST layers what those have in common whose names differ in their first
    number, "h.*.ln_1.weight"; where these are still too many, in any number, and then the beginning of the names,
    "model.layers.*"."""
    rows = {layer: layer for layer in layers}
    for shorter in (by_first, by_all):
        if len({*rows.values()}) > MOST:
            rows = {layer: shorter(layer) for layer in rows}
    parts = max(row.count(".") for row in rows.values())
    while len({*rows.values()}) > MOST and parts:
        rows = {layer: ".".join(row.split(".")[:parts]) for layer, row in rows.items()}
        parts -= 1
    return rows


def by_first(name: str) -> str:
    """A name with * for its first number."""
    template, numbers = family(name)
    return template.replace("{}", "*", 1).format(*numbers[1:])


def by_all(name: str) -> str:
    """A name with * for each of its numbers."""
    return family(name)[0].replace("{}", "*")


def is_shared(data: pd.DataFrame) -> bool:
    """Whether layers of a network share rows."""
    return bool((data.groupby("network")["layer"].nunique() > MOST).any())


def merged(data: pd.DataFrame, keys: Sequence[str], value: str = "mean") -> pd.DataFrame:
    """The data of a figure by row, where layers share rows: the mean of `value` of those that share one.

    Parameters
    ----------
    data : DataFrame
        network, layer, the other `keys`, and value.
    keys : sequence of str
        What tells the values of a figure apart, `layer` among them.
    """
    if not is_shared(data):
        return data
    found = []
    for _, own in data.groupby("network", sort=False):
        rows = shared(own["layer"])
        by_row = own.assign(layer=own["layer"].map(rows)).groupby(list(keys), sort=False, dropna=False)
        found.append(by_row[value].mean().reset_index())
    return pd.concat(found, ignore_index=True)


def told(data: pd.DataFrame, noun: str = "layer") -> str:
    """A sentence on rows that layers share; empty where none do."""
    if not is_shared(data):
        return ""
    return f"{noun.capitalize()}s whose names differ in numbers alone (*) share a row, their mean; each is in the CSV."


def ordered(rows: pd.DataFrame) -> pd.MultiIndex:
    """The distinct (layer, parameter) of a frame: kind by kind as KINDS has them, in layer order."""
    found = rows.loc[rows["parameter"].isin(KINDS), ["layer", "parameter"]].drop_duplicates()
    order = found["parameter"].map(KINDS.index).sort_values(kind="stable").index
    return pd.MultiIndex.from_frame(found.loc[order])


def texts(rows: pd.Index, are_tensors: bool) -> list[str]:
    """What stands beside rows of (layer, parameter): "conv1.weight"; the layer alone where it is a tensor."""
    return [str(row[0]) if are_tensors else ".".join(row) for row in rows]
