"""The networks of a study, counted from their layer tables: layers, parameters, and what Keras counts."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from weight_atlas import networks
from weight_atlas.networks import Table
from weight_atlas.reporting.exhibits.design.numbers import written
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural
from weight_atlas.settings import Frozen, Settings

POOLS = ("MaxPool2d", "AvgPool2d")


@dataclass(frozen=True)
class Form:
    """A network as some cells of a study have it.

    Attributes
    ----------
    label : str
        What the config calls it.
    network : str
        The same with the options in which it differs from others of that label.
    datasets : tuple of str
        The data sets that it is trained on.
    table : Table
    frozen : int or list of str
        The layers that do not learn in the first stage of training.
    """

    label: str
    network: str
    datasets: tuple[str, ...]
    table: Table
    frozen: Frozen = 0


def forms(tables: Tables) -> list[Form]:
    """The networks of a study's grid in the config's order, one for each that differs in a shape or in what learns.

    A probability of dropout is no shape: cells that differ in nothing else share a form.
    """
    found: dict[tuple[str, str], tuple[Settings, Table, list[str]]] = {}
    cells = zip(tables.cells["network"], tables.cells["dataset"], tables.cells["cell_id"], strict=True)
    for network, dataset, cell_id in cells:
        settings = tables.settings[cell_id]
        table = networks.layer_table(*settings.network_arguments)
        _, _, datasets = found.setdefault((network, repr((_rows(table), _frozen(settings)))), (settings, table, []))
        datasets += [dataset] if dataset and dataset not in datasets else []
    same: dict[str, list[dict[str, Any]]] = {}
    for (network, _), (settings, _, _) in found.items():
        same.setdefault(network, []).append(settings.network.options)
    return [
        Form(
            network, _named(network, settings.network.options, same[network]), tuple(datasets), table, _frozen(settings)
        )
        for (network, _), (settings, table, datasets) in found.items()
    ]


def _rows(table: Table) -> list[Any]:
    """What tells layer tables apart."""
    return [(layer.kind, layer.inputs, layer.in_shape, layer.out_shape, layer.parameters) for layer in table.layers]


def _frozen(settings: Settings) -> Frozen:
    """The layers that are frozen in the first stage; none of given checkpoints."""
    return settings.stages[0].frozen if settings.stages else 0


def _named(network: str, options: Mapping[str, Any], others: list[dict[str, Any]]) -> str:
    """A label with the options in which it is not as all others of that label: "handmade (blocks 3, kernel 2)"."""
    differ = [name for name in options if any(one.get(name) != options[name] for one in others)]
    told = ", ".join(f"{name.replace('_', ' ')} {written(options[name])}" for name in differ)
    return f"{network} ({told})" if told else network


def named(network: Mapping[str, Any]) -> Form:
    """The form of a network that no cell needs to have: architecture, options, channels, size, classes, frozen."""
    table = networks.layer_table(network, network["channels"], network["size"], network["classes"])
    words = f"{network['architecture']} on {size(table)}, {network['classes']:,} classes"
    return Form(network["architecture"], words, (), table, network.get("frozen", 0))


# ------------------------------------------------------------------------------------------- counts


def _depth(table: Table, *kinds: str) -> int:
    return table.depths(*kinds)[table.layers[-1].name]


def statistics(table: Table) -> int:
    """Number of running means and variances of BatchNorms, which Keras counts as weights that do not learn."""
    return sum(
        math.prod(shape)
        for layer in table.layers
        for name, shape in layer.buffers.items()
        if name != "num_batches_tracked"
    )


def learning(form: Form) -> int:
    """Number of parameters that learn in the first stage of training."""
    held = set(form.table.select(form.frozen)) if form.frozen else set()
    return sum(layer.parameter_count for layer in form.table.layers if layer.name not in held)


# What a document may count of a network.
COUNTS: dict[str, Callable[[Form], int]] = {
    "parameters": lambda form: form.table.parameter_count,
    "learning": learning,
    "with_statistics": lambda form: form.table.parameter_count + statistics(form.table),
    "layers": lambda form: _depth(form.table),
    "layers_with_batchnorm": lambda form: _depth(form.table, "BatchNorm2d"),
    "layers_with_pooling": lambda form: _depth(form.table, *POOLS),
}


def table(tables: Tables) -> list[Exhibit]:
    """The networks of a study, as a table: layers on the longest way, parameters, those that learn at first."""
    found = forms(tables)
    rows = [
        {
            "network": form.network,
            "images": f"{size(form.table)}: {enumerated(form.datasets)}" if form.datasets else size(form.table),
            "layers": str(_depth(form.table)),
            "with BatchNorm": str(_depth(form.table, "BatchNorm2d")),
            "with pooling": str(_depth(form.table, *POOLS)),
            "parameters": f"{form.table.parameter_count:,}",
            "learn at first": f"{learning(form):,}",
            "with statistics": f"{form.table.parameter_count + statistics(form.table):,}",
        }
        for form in found
    ]
    same = {
        "with BatchNorm": all(row["with BatchNorm"] == row["layers"] for row in rows),
        "learn at first": all(row["learn at first"] == row["parameters"] for row in rows),
        "with statistics": all(row["with statistics"] == row["parameters"] for row in rows),
    }
    columns = [name for name in rows[0] if not same.get(name)]
    words = {
        "with BatchNorm": "With BatchNorm and with pooling these are counted too.",
        "learn at first": "Learn at first: parameters that are not frozen in the first stage.",
        "with statistics": "With statistics: and the running means and variances of BatchNorm, as Keras counts.",
    }
    caption = (
        "The networks, counted from their shapes. Layers are convolutions and linear layers on the longest way from "
        f"the image to the classes. {' '.join(text for name, text in words.items() if not same[name])}"
    )
    alt = f"Table of {plural(len(rows), 'network')}. {rows[0]['network']} has {rows[0]['parameters']} parameters."
    return [Exhibit("networks", "Networks, layers and parameters", caption, alt, pd.DataFrame(rows), columns=columns)]


def size(table: Table) -> str:
    """ "3 × 32 × 32": the images that a network takes."""
    return f"{table.channels} × {table.size} × {table.size}"
