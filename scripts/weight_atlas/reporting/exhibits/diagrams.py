"""A network as a diagram of its layer table: kind, channels, output and parameters of each layer, and its skips."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from weight_atlas.faults import NothingToShow
from weight_atlas.networks import Table
from weight_atlas.reporting.exhibits.networks import Form, forms, size
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.flow import Box, flow
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import enumerated, plural, slug

MOST = 80  # boxes of a diagram: of a deeper network none is drawn
# What is written of a layer in the box of the one that it follows; nothing is written of a flattening.
FOLLOWING = {"BatchNorm2d": "BN", "ReLU": "ReLU", "Tanh": "tanh", "Dropout": "drop", "Flatten": ""}
# Light colours that differ in lightness too; the words in the box say the kind.
TINTS = {"input": "#FFFFFF", "Conv2d": "#BBD7EC", "Linear": "#F6CFA8", "Add": "#E3E3E3"}
POOL = "#D9EFC9"


@dataclass
class Row:
    """A box of the diagram: the layers in it, and the boxes that feed it; the first of all stands for the image."""

    kind: str
    words: list[str]
    shape: tuple[int, ...]
    sources: tuple[int, ...] = ()
    layers: list[str] = field(default_factory=list[str])
    parameters: int = 0


def rows(table: Table) -> list[Row]:
    """The boxes of a network: one for each layer, with what follows it alone."""
    readers = Counter(name for layer in table.layers for name in layer.inputs)
    made = [Row("input", ["input"], (table.channels, table.size, table.size))]
    place = {"input": 0}
    for layer in table.layers:
        last = made[-1]
        alone = bool(last.layers) and layer.inputs == (last.layers[-1],) and readers[layer.inputs[0]] == 1
        if alone and (layer.kind in FOLLOWING or last.kind == "ZeroPad2d"):
            row = last
            row.kind = layer.kind if row.kind == "ZeroPad2d" else row.kind
            row.shape = row.shape if layer.kind == "Flatten" else layer.out_shape
        else:
            row = Row(layer.kind, [], layer.out_shape, tuple(dict.fromkeys(place[name] for name in layer.inputs)))
            made.append(row)
        row.words += [_word(layer.kind, layer.options, layer.out_shape)]
        row.layers.append(layer.name)
        row.parameters += layer.parameter_count
        place[layer.name] = len(made) - 1
    return made


def _word(kind: str, options: dict[str, object], shape: Sequence[int]) -> str:
    """What is written of a layer: "3×3 conv 64", "max pool 2×2", "linear 10"."""
    if kind in FOLLOWING or kind == "ZeroPad2d":
        return FOLLOWING.get(kind, "")
    if kind == "Linear":
        return f"linear {shape[0]}"
    if kind == "AdaptiveAvgPool2d":
        return f"average to {_times(options['output_size'])}"
    window, stride = options.get("kernel_size"), options.get("stride")
    step = f" /{_once(stride)}" if stride not in ((1, 1), window) else ""
    if kind == "Conv2d":
        step = f" /{_once(stride)}" if stride != (1, 1) else ""
        return f"{_times(window)} conv {shape[0]}{step}"
    if kind in ("MaxPool2d", "AvgPool2d"):
        return f"{'max' if kind == 'MaxPool2d' else 'mean'} pool {_times(window)}{step}"
    return {"Add": "sum"}.get(kind, kind)


def _times(pair: object) -> str:
    """ "3×3" of a kernel."""
    return "×".join(map(str, pair)) if isinstance(pair, tuple | list) else f"{pair}×{pair}"


def _once(pair: object) -> str:
    """ "2" of a stride in both directions, else "2×1"."""
    alike = isinstance(pair, tuple | list) and len(set(pair)) == 1
    return str(pair[0]) if alike and isinstance(pair, tuple | list) else _times(pair)


# ------------------------------------------------------------------------------------------- exhibits


def diagrams(tables: Tables) -> list[Exhibit]:
    """A diagram for each network of a study, that of its first form where its options differ."""
    found: dict[str, Form] = {}
    for form in forms(tables):
        found.setdefault(form.label, form)
    made = [_diagram(form, several=len(found) > 1) for form in found.values() if len(rows(form.table)) <= MOST]
    if not made:
        raise NothingToShow(f"its networks have more than {MOST} layers each.")
    return made


def _diagram(form: Form, several: bool) -> Exhibit:
    """The diagram of one form."""
    boxes = rows(form.table)
    fig = flow(
        [
            Box(
                ", ".join(filter(None, row.words)),
                "×".join(map(str, row.shape)),
                f"{row.parameters:,}" if row.parameters else "",
                TINTS.get(row.kind, POOL),
                row.sources,
            )
            for row in boxes
        ],
        "output",
        "parameters",
    )
    data = pd.DataFrame(
        {
            "box": at,
            "layers": " ".join(row.layers),
            "what": ", ".join(filter(None, row.words)),
            "output": "×".join(map(str, row.shape)),
            "parameters": row.parameters,
            "fed by": " ".join(map(str, row.sources)),
        }
        for at, row in enumerate(boxes)
    )
    skips = sum(source != at - 1 for at, row in enumerate(boxes) for source in row.sources)
    passed = f" {plural(skips, 'line')} at the left pass layers by." if skips else ""
    on = f" ({enumerated(form.datasets)})" if form.datasets else ""
    caption = (
        f"The layers of {form.network} for images of {size(form.table)}{on}: {form.table.parameter_count:,} "
        "parameters. "
        f"BN is batch normalisation, drop is dropout, /2 is a stride of 2.{passed}"
    )
    listed = "; ".join(f"{row.what} ({row.output})" for row in data.itertuples())
    alt = f"Diagram of {len(boxes)} boxes in order: {listed}."
    name = slug("diagram", form.label)
    return Exhibit(name, "Layers", caption, alt, data, fig, tab=form.label if several else "", behind="networks")
