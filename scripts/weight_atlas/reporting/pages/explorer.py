"""The explorer: one page on which a reader chooses an outcome, axes and networks, and sees a chart and its rows.

Vega-Lite draws it. Its scripts stand in the page, which asks for nothing else: by its content security policy no other
script runs, none is made from text (Vega's interpreter reads the expressions instead), and nothing is fetched.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import pandas as pd
import vl_convert

from weight_atlas import schema
from weight_atlas.schema.column import DATASET, INIT, NETWORK, OPTIMIZER, ROLE, STUDY
from weight_atlas.schema.outcomes import MEAN, OUTCOMES, Outcome
from weight_atlas.schema.transfer import CURVE, DEPTH
from weight_atlas.store import atomic_write, read_json

Json = dict[str, Any]
AnyPath = str | Path

PAGE_LIMIT = 5_000_000  # bytes of the page
DIGITS = 6  # significant ones of a number
# What this page calls the axes that every config has; others are called as the config calls them.
AXES = {NETWORK.name: "network", INIT.name: "start", OPTIMIZER.name: "optimizer", DATASET.name: "data set"}
BOUNDS = {"share": (0.0, 1.0)} | dict.fromkeys(("s", "images/s", "epochs"), (0.0, math.inf))  # by unit
NUMBERS = ("n", "of")  # beside the mean and its interval
# Shown by colour and shape: Okabe and Ito's, told apart by whoever sees few colours, on light and dark.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c8c8c", "#b8a800")
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "triangle-right", "triangle-left")

SNIPPET = "window.vegaEmbed = vegaEmbed;"  # what the page's own script has of the bundle


def write(cells: AnyPath, tables: AnyPath, config: AnyPath, templates: AnyPath, output: AnyPath) -> None:
    """Write the page of one config.

    Parameters
    ----------
    cells, config : paths of cells.csv and config.json
    tables, templates : folders of the tables and of the page's templates
    output : where the page goes

    Raises
    ------
    ValueError
        In one line, where a table is not as it should be.
    """
    resolved = read_json(config)
    text = page(gather(Path(cells), Path(tables), resolved["asked"]), resolved["name"], Path(templates))
    with atomic_write(output) as part:
        part.write_text(text, encoding="utf-8")


# --------------------------------------------------------------------------------------------------- its data


def gather(cells: Path, tables: Path, studies: Sequence[str]) -> Json:
    """What the page shows, for JSON.

    Returns
    -------
    dict
        axes: {column: what it is called}; studies: {name: {table: {"axes": the columns in which its rows differ in that
        study, "labels": what rows have on them}}}; outcomes: a list, each with name, words, unit, table, and, by study,
        rows of [number of the labels, n, of, mean, low, high], None for what is undefined.
    """
    every = schema.read(cells, "cells")
    further = [name for name in schema.axes(map(str, every.columns)) if name not in AXES]
    own, last = [NETWORK.name, INIT.name, OPTIMIZER.name], [DATASET.name, ROLE.name]
    columns = {"summary": [*own, *further, *last]}
    frames = {"summary": every[["cell_id", STUDY.name, *columns["summary"]]].merge(_read(tables, "summary"))}
    for name in MEAN:
        if name != "summary":
            frames[name] = _read(tables, name)
            columns[name] = [column.name for column in (*CURVE, DEPTH) if column != STUDY]
    told = {outcome.name: _told(outcome) for outcome in OUTCOMES}
    found: Json = {"axes": {name: AXES.get(name, name) for names in columns.values() for name in names}, "studies": {}}
    for study in studies:
        parts = {name: frame[frame[STUDY.name] == study] for name, frame in frames.items()}
        found["studies"][study] = {
            name: _add(frame, columns[name], name, study, told) for name, frame in parts.items() if len(frame)
        }
    return found | {"outcomes": [outcome for outcome in told.values() if outcome["rows"]]}


def _read(tables: Path, name: str) -> pd.DataFrame:
    return schema.read(tables / f"{name}.csv", name)


def _told(outcome: Outcome) -> Json:
    unit = "%" if outcome.unit == "share" else outcome.unit
    return {"name": outcome.name, "words": outcome.words, "unit": unit, "table": outcome.table, "rows": {}}


def _add(frame: pd.DataFrame, columns: Sequence[str], table: str, study: str, told: dict[str, Json]) -> Json:
    """Add the rows of a study to the outcomes of a table; the axes and labels that these rows have."""
    texts = frame[[*columns]].map(_label)
    axes = [name for name in columns if texts[name].nunique() > 1 or name in (NETWORK.name, ROLE.name)]
    numbers: dict[tuple[str, ...], int] = {}
    for outcome in OUTCOMES:
        if outcome.table == table:
            fits = pd.concat([frame[name] == value for name, value in outcome.where.items()], axis=1).all(axis=1)
            rows = list(_rows(frame[fits], texts.loc[fits, axes], outcome, numbers))
            if any(mean is not None for *_, mean, _, _ in rows):
                told[outcome.name]["rows"][study] = rows
    return {"axes": axes, "labels": [list(key) for key in numbers]}


def _rows(
    frame: pd.DataFrame, texts: pd.DataFrame, outcome: Outcome, numbers: dict[tuple[str, ...], int]
) -> Iterator[list[Any]]:
    """The rows of an outcome: [number of the labels, n, of, mean, low, high], each set of labels once per cell."""
    values = frame[[*NUMBERS, MEAN[outcome.table], "low", "high"]].to_numpy().tolist()
    ids = frame["cell_id"] if "cell_id" in frame else range(len(frame))
    seen = set()
    for cell_id, key, (n, of, *ends) in zip(ids, texts.itertuples(index=False, name=None), values, strict=True):
        if (cell_id, key) not in seen:
            seen.add((cell_id, key))
            number = numbers.setdefault(key, len(numbers))
            yield [number, int(n), int(of), *(_number(value, outcome.unit) for value in ends)]


def _label(value: Any) -> str:
    """A label as text: a whole number without its fraction, "–" where there is none."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:g}"
    return str(value) or "–"


def _number(value: float, unit: str) -> float | None:
    """A number in the unit of the page; shares are per cent. Intervals end where the quantity does: at 0, and 100 %."""
    if math.isnan(value):
        return None
    if unit in BOUNDS:
        least, most = BOUNDS[unit]
        value = min(max(value, least), most)
    return float(f"{value * 100 if unit in ('share', 'points') else value:.{DIGITS}g}")


# --------------------------------------------------------------------------------------------------- its chart


def charts() -> dict[str, Json]:
    """The two charts as Vega-Lite, without their rows: `dots`, a line per level of an axis, and `curve`, over numbers.
    The page puts the words in for $along, $value and $colour."""
    colour = alt.Color("colour:N", sort=None, title="$colour", scale=alt.Scale(range=[*COLOURS]))
    plain = alt.Color("colour:N", sort=None, scale=alt.Scale(range=[*COLOURS]), legend=None)  # the points have it
    wide = alt.Scale(zero=False, padding=12)
    shape = alt.Shape("colour:N", sort=None, title="$colour", scale=alt.Scale(range=[*SHAPES]))
    said = [
        alt.Tooltip("label:N", title="Cell"),
        alt.Tooltip("text:N", title="Mean and interval"),
        alt.Tooltip("n:Q", title="Replicates"),
    ]
    base = alt.Chart(alt.NamedData("rows")).encode(tooltip=said)
    along = alt.Y("along:N", sort=None, title="$along")
    offset = alt.YOffset("colour:N", sort=None)
    value = alt.X("value:Q", title="$value", scale=wide)
    low = alt.X("low:Q", title="$value")
    lines = base.mark_rule(strokeWidth=2).encode(y=along, yOffset=offset, x=low, x2="high:Q", color=plain)
    dots = base.mark_point(filled=True, size=70, opacity=1)
    dots = dots.encode(y=along, yOffset=offset, x=value, shape=shape, color=colour)
    over = alt.X("along:Q", title="$along", scale=wide)
    up, foot = alt.Y("value:Q", title="$value", scale=wide), alt.Y("low:Q", title="$value")
    joined = base.mark_line(strokeWidth=1.5).encode(x=over, y=up, detail="series:N", color=plain)
    bars = base.mark_rule(strokeWidth=1.5).encode(x=over, y=foot, y2="high:Q", color=plain)
    ends = base.mark_point(filled=True, size=55, opacity=1).encode(x=over, y=up, shape=shape, color=colour)
    whole = {"dots": alt.layer(lines, dots), "curve": alt.layer(joined, bars, ends)}
    return {
        name: chart.resolve_legend(color="independent", shape="independent").to_dict() for name, chart in whole.items()
    }


@cache
def bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, as vl-convert brings them: nothing is fetched."""
    return _harmless(vl_convert.javascript_bundle(SNIPPET))


def page(data: Json, name: str, templates: Path) -> str:
    """The page, whole: the data, the charts and all scripts stand in it."""
    scripts = {"bundle": bundle(), "script": _harmless((templates / "explorer.js").read_text(encoding="utf-8"))}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("explorer.html.j2").render(
        name=name,
        data=_json(data | {"charts": charts()}),
        hashes=[_hash(script) for script in scripts.values()],
        **scripts,
    )
    if len(text.encode()) > PAGE_LIMIT:
        raise ValueError(f"the explorer would have {len(text.encode()) / 1e6:.1f} MB; allowed: {PAGE_LIMIT / 1e6:g} MB")
    return text


def _json(data: Json) -> str:
    """Data as JSON that can stand in a script element, whatever texts are in it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _harmless(script: str) -> str:
    """A script that can stand in a page: it ends, or hides, no element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    """What a content security policy calls a script that stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
