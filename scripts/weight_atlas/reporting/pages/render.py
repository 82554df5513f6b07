"""The report: from the tables and exhibits of one config to a Quarto document, and from that to one HTML page.

The document is written by Jinja templates in which every value is escaped by itself: `{{ label }}` puts plain text,
whatever it holds, and only what a filter here marks as Markdown is let through as such. It is rendered by Quarto where
`quarto` is on PATH and by Pandoc otherwise, in a temporary folder of its own.
"""

import datetime
import itertools
import json
import math
import re
import shutil
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from weight_atlas import schema
from weight_atlas.plan import measure_faults, recipe
from weight_atlas.settings import Settings
from weight_atlas.store import atomic_write, read_json
from weight_atlas.text import literal
from weight_atlas.vocabulary import Kind, Role, Status

Json = dict[str, Any]
AnyPath = str | Path

PAGE_LIMIT = 20_000_000  # bytes of report.html
CSV_LIMIT = 1_000_000  # bytes of a CSV file that the page carries
ROWS = 200  # rows of an exhibit's table on the page, which scrolls in a box; its CSV has them all
NARROW = 400  # pixels: a picture of at most these fits on a phone as it is
FILES = (  # of the templates' folder: what the document needs beside it
    *("style.css", "dark.scss", "page.js", "exhibits.js", "template.html"),
    *("filter.lua", "embed.lua", "references.bib"),
)
AXES = {"dataset": "data set", "network": "network", "init": "start", "optimizer": "optimizer"}  # and in words
MEASURED = (
    "wall_seconds",
    "images_per_second",
    "peak_memory_mib",
    "peak_gpu_memory_mib",
)  # of a replicate, in runs.csv
SHORT = 7  # characters of a number that is shown as it is written
DASH = "–"


def report(
    cells: AnyPath,
    tables: AnyPath,
    figures: AnyPath,
    cards: Iterable[AnyPath],
    config: AnyPath,
    templates: AnyPath,
    output: AnyPath,
    code: str | None = None,
) -> str:
    """Render the report of one config to `output`; the .qmd goes beside it. Returns "quarto" or "pandoc".

    All arguments are paths (`cards` a list of them), as the command line names them, but `code`: the SHA-256 of the
    training code of today, where replicates that others trained are adopted. ValueError, in one line, where a
    file does not hold what it should, or where the document does not render without a fault.
    """
    context = gather(cells, tables, figures, cards, config, code)
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder = Path(made)
        _copy(context, templates, folder)
        (folder / "report.qmd").write_text(document(templates, context), encoding="utf-8")
        renderer = render(folder)
        _check_size(folder)
        for name, target in (("report.qmd", Path(output).with_suffix(".qmd")), ("report.html", Path(output))):
            with atomic_write(target) as part:
                shutil.copyfile(folder / name, part)
    return renderer


# ------------------------------------------------------------------------------------------- what is told


def gather(
    cells: AnyPath,
    tables: AnyPath,
    figures: AnyPath,
    cards: Iterable[AnyPath],
    config: AnyPath,
    code: str | None = None,
) -> Json:
    """Everything that the templates may use, as a dict, read from the files that :func:`report` is given."""
    runs_path = Path(tables) / "runs.csv"
    resolved, rows = read_json(config), _rows(cells)
    for row in rows:
        row["settings"] = Settings.parse(json.loads(row["cell"]))
    runs = {(run["cell_id"], int(run["seed"])): run for run in _rows(runs_path)}
    told = [_cell(row, runs) for row in rows]
    chapters = _chapters(Path(figures), f"logs/draw/{resolved['name']}")
    data = chapters.get("data", _NOTHING)
    groups = {row["cell_id"]: row["group"] for row in rows}
    unmeasured = measure_faults.read(resolved["name"], Path(tables), groups)
    studies = [_study(name, asked or {}, told, chapters, unmeasured) for name, asked in _asked(resolved).items()]
    unique = _unique(told)
    troubles = _troubles(unique)
    return {
        "config": resolved,
        "date": datetime.date.today().isoformat(),
        "studies": studies,
        "cells": unique,
        "asked": sum(cell["asked"] for cell in unique),
        "done": sum(cell["done"] for cell in unique),
        "troubles": troubles,
        "unmeasured": unmeasured,
        "advice": measure_faults.ADVICE,
        "faults": [fault for chapter in [data, *studies] for fault in chapter["faults"]],
        "ends": _ends(troubles),
        "machines": _machines(unique),
        "today": code and code[: recipe.SHOWN],
        "wall_seconds": sum(_numbers([run for cell in unique for run in cell["runs"]], "wall_seconds")),
        "datasets": _datasets(cards, told, data, resolved.get("titles") or {}),
        "data": data,
        "measured": {path.stem for path in Path(tables).glob("*.csv") if _rows(path, limit=1)},
        "files": {"cells": {"path": cells, "rows": len(rows)}, "runs": {"path": runs_path, "rows": len(runs)}},
    }


def _asked(config: Json) -> Json:
    """{study: its title and text}, in order, from the resolved config."""
    if isinstance(config["studies"], dict):
        return config["studies"]
    return {name: config["definitions"][name] for name in config["asked"]}


_LISTS = ("exhibits", "questions", "closing", "claims", "sentences", "left_out", "faults")
_NOTHING: Json = {"facts": {}} | {name: [] for name in _LISTS}


def _rows(path: AnyPath, limit: int | None = None) -> list[Json]:
    """The rows of a CSV file as dicts of str; at most `limit`."""
    try:
        return list(itertools.islice(schema.dicts(path), limit))
    except FileNotFoundError:
        raise ValueError(f"{path}: is not there; the report needs it, run the rule that makes it") from None


def _cell(row: Json, runs: Mapping[tuple[str, int], Json]) -> Json:
    """One dict a study and cell: its labels, and its replicates (seeds 0, 1, ..) as far as `runs` records them."""
    found = {seed: runs.get((row["cell_id"], seed)) for seed in range(int(row["replicates"]))}
    done = [run for run in found.values() if run and run["status"] == Status.DONE]
    axes = [*AXES, *(axis for axis in schema.axes(row) if axis not in (*AXES, "settings"))]
    return row | {
        "axes": {axis: row[axis] for axis in axes if row[axis]},
        "words": " · ".join(row[axis] for axis in axes if row[axis]),
        "asked": len(found),
        "found": found,
        "runs": done,
        "done": len(done),
        "unlearnt": [seed for seed, run in found.items() if run in done and run.get("learnt") == "False"],
        "parameters": int(row["parameters"]),
        "epochs": row["settings"].epochs,
        "given": row["kind"] == Kind.GIVEN,
        "epochs_done": 0 if row["kind"] == Kind.GIVEN else sum(int(count) for count in _numbers(done, "epochs")),
    } | {key: _numbers(done, key) for key in MEASURED}  # fmt: skip


def _unique(told: Iterable[Json]) -> list[Json]:
    """Each cell once, as the study that asks for most of its replicates has it."""
    found: dict[str, Json] = {}
    for cell in told:
        if cell["asked"] > found.get(cell["cell_id"], {"asked": 0})["asked"]:
            found[cell["cell_id"]] = cell
    return list(found.values())


def _study(
    name: str, asked: Json, told: Sequence[Json], chapters: Mapping[str, Json], unmeasured: Sequence[Any]
) -> Json:
    """One study: its words from the config, its cells, those measures of them that raised, and its chapter."""
    cells = [cell for cell in told if cell["study"] == name]
    own = {cell["cell_id"] for cell in cells}
    return chapters.get(name, _NOTHING) | {
        "name": name,
        "slug": slug(name),
        "title": asked.get("title") or name,
        "text": asked.get("text") or "",
        "cells": cells,
        "grid": _unique(cell for cell in cells if cell["role"] == Role.GRID),  # one may stand in two experiments
        "sources": [cell for cell in cells if cell["role"] == Role.SOURCE],
        "children": [_kind(cells, role, *words) for role, words in CHILDREN.items()],
        "axes": list(dict.fromkeys(axis for cell in cells for axis in cell["axes"])),
        "unmeasured": [fault for fault in unmeasured if own & {*fault.cells}],
    }


# The roles of cells that start from others, and what one and several of them are called.
CHILDREN = {
    Role.PERTURBED: ("cell perturbed and trained again", "cells perturbed and trained again"),
    Role.CONTROL: ("control", "controls trained again without a perturbation"),
    Role.TRANSFER: ("transfer", "transfers"),
    Role.EXTRA: ("further transfer", "further transfers"),
}


def _kind(cells: Iterable[Json], role: Role, one: str, many: str) -> Json:
    """How many cells have a role, and how many of their replicates are done; one under several labels counts once."""
    own = {cell["cell_id"]: cell for cell in cells if cell["role"] == role}.values()
    sums = {key: sum(cell[key] for cell in own) for key in ("asked", "done")}
    return {"role": role, "cells": len(own), "one": one, "many": many} | sums


def _chapters(figures: Path, logs: str) -> dict[str, Json]:
    """The exhibits by chapter, from each chapter's exhibits.json; logs: the folder of the logs of drawing."""
    found = {}
    for path in sorted(figures.glob("*/exhibits.json")):
        chapter = read_json(path)
        for exhibit in chapter["exhibits"]:
            exhibit |= _places(exhibit, path.parent)
        facts = chapter.get("facts") or {}
        ledger = path.with_name("claims.json")
        chapter["claims"] = read_json(ledger) if ledger.exists() else []
        lists = {key: facts.get(key) or [] for key in ("sentences", "left_out")}
        log = f"{logs}/{path.parent.name}.log"
        chapter["faults"] = [fault | {"log": log} for fault in chapter.get("faults", [])]
        found[path.parent.name] = _NOTHING | chapter | {"facts": facts} | lists
    return found


def _places(exhibit: Json, folder: Path) -> Json:
    """Where an exhibit's files are, and where the document has them: names that need no escaping anywhere."""
    chapter, name = slug(folder.name), slug(exhibit["name"])
    stem = f"figures/{chapter}/{name}"
    file = exhibit.get("file")
    places = {"chapter": chapter, "slug": name, "csv_path": folder / exhibit["csv"], "csv": f"{stem}.csv"}
    return places | {"path": folder / file, "picture": stem + Path(file).suffix} if file else places


def _troubles(cells: Iterable[Json]) -> list[Json]:
    """What was asked for and is not done: one dict a cell, status and cause, with the seeds that it befell."""
    troubles: dict[tuple[str, str, str], Json] = {}
    for cell in cells:
        for seed, run in cell["found"].items():
            run = run or {"status": Status.MISSING, "cause": "no run is recorded"}
            if run["status"] != Status.DONE:
                key = (cell["cell_id"], run["status"], run["cause"] or "no cause is recorded")
                troubles.setdefault(key, {"cell": cell, "seeds": []})["seeds"].append(seed)
    return [trouble | {"status": status, "cause": cause} for (_, status, cause), trouble in troubles.items()]


def _ends(troubles: Iterable[Json]) -> dict[str, int]:
    """{status: number of replicates} of what is not done."""
    counts: Counter[str] = Counter()
    for trouble in troubles:
        counts[trouble["status"]] += len(trouble["seeds"])
    return dict(sorted(counts.items()))


def _machines(cells: Iterable[Json]) -> list[Json]:
    """What ran the replicates: one dict per device, thread count, torch version and training code. Given cells were not
    run."""
    keys = ("device", "device_name", "threads", "torch", "code")
    groups: dict[tuple[str, ...], list[Json]] = {}
    for cell in (cell for cell in cells if not cell["given"]):
        for run in cell["runs"]:
            groups.setdefault(tuple(run.get(key, "") for key in keys), []).append(run)
    return [
        dict(zip(keys, machine, strict=True))
        | {"replicates": len(runs), "cells": len({run["cell_id"] for run in runs})}
        | {key: _numbers(runs, key) for key in MEASURED}
        for machine, runs in sorted(groups.items())
    ]


def _datasets(cards: Iterable[AnyPath], told: Iterable[Json], chapter: Json, titles: Mapping[str, str]) -> list[Json]:
    """The cards of the data sets in use, those of grids before those of sources, with their labels and exhibits."""
    known = {card["dataset_id"]: card for card in map(read_json, cards)}
    used: dict[str, set[str]] = {}
    for cell in sorted((cell for cell in told if cell["dataset_id"]), key=lambda cell: cell["role"] != Role.GRID):
        used.setdefault(cell["dataset_id"], set()).add(cell["dataset"])
    missing = [name for name in used if name not in known]
    if missing:
        raise ValueError(f"--cards: none is for the data set {missing[0]}; give data/{missing[0]}.json too")
    datasets = [
        known[name] | {"title": titles.get(name) or known[name]["title"], "labels": sorted(labels), "slug": slug(name)}
        for name, labels in used.items()
    ]
    owners = {exhibit["slug"]: _owner(exhibit, datasets) for exhibit in chapter["exhibits"]}
    for card in datasets:
        card["exhibits"] = [exhibit for exhibit in chapter["exhibits"] if owners[exhibit["slug"]] is card]
    return datasets


def _owner(exhibit: Json, datasets: Iterable[Json]) -> Json | None:
    """The data set whose id or label an exhibit's name ends with (the longest, where there are several), or None."""
    ends = [(end, card) for card in datasets for end in (card["slug"], *map(slug, card["labels"]))]
    fitting = [(len(end), card) for end, card in ends if exhibit["slug"].endswith(f"-{end}")]
    return max(fitting, key=lambda one: one[0], default=(0, None))[1]


def _numbers(rows: Iterable[Json], column: str) -> list[float]:
    """The numbers of a column, as float; empty fields are left out."""
    return [float(row[column]) for row in rows if row.get(column)]


def settings(cells: Sequence[Json]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """({setting: value} that all cells share, {cell_id: {setting: value}} of those that differ); values are str.

    Settings have dotted names (`training.optimizer.lr`); `dataset` is left out, which the data chapter tells.
    """
    flat = [_flat({key: value for key, value in cell["settings"].json.items() if key != "dataset"}) for cell in cells]
    names = list(dict.fromkeys(name for one in flat for name in one))
    shared = {name: flat[0][name] for name in names if all(one.get(name) == flat[0].get(name) for one in flat)}
    own = [{name: one.get(name, "") for name in names if name not in shared} for one in flat]
    return shared, dict(zip([cell["cell_id"] for cell in cells], own, strict=True))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        items = [(f"{name}.{key}" if name else key, inner) for key, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        items = [(f"{name}[{at}]", inner) for at, inner in enumerate(value)]
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return {name: "none" if value in (None, [], {}, "") else text}
    return {key: text for inner_name, inner in items for key, text in _flat(inner, inner_name).items()}


# ------------------------------------------------------------------------------------------- text to Markdown


def escape(value: object) -> Markup:
    """Plain text as Markdown inline text that shows it literally, on one line; what is Markdown already stays.

    Pandoc lets every punctuation character be escaped by a backslash (extension all_symbols_escapable). Smart
    punctuation is off in the document, so that quotes, dashes and dots need none.
    """
    if isinstance(value, Markup):
        return value
    text = re.sub(r"([\\`*_{}\[\]<>#|$^~@&])", r"\\\1", _line(value))
    # What would be a list, a rule, a definition or a caption at the start of a line.
    return Markup(_START.sub(lambda mark: f"{mark[0][:-1]}\\{mark[0][-1]}", text))


_START = re.compile(r"^([-+=:]|\(?\w{1,9}[.)](?=\s|$)|[Tt]able:)")


def _line(value: object) -> str:
    """Text on one line, without the colours of a log; other controls, and marks that turn the direction, escaped."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(value))
    return literal(re.sub(r"[ \t\r\n\f\v]+", " ", text).strip())


def paragraphs(text: object) -> Markup:
    """Plain text with blank lines between paragraphs as Markdown paragraphs."""
    return Markup("\n\n".join(escape(part) for part in re.split(r"\n\s*\n", str(text).strip())))


def attribute(text: object) -> Markup:
    """Plain text as a quoted Markdown attribute value: fig-alt={{ text | attribute }}."""
    return Markup('"' + re.sub(r"([\\\"&<>{}|`])", r"\\\1", _line(text)) + '"')


def code(text: object) -> Markup:
    """Plain text as inline code, where it holds nothing that could end it or mean something to Quarto."""
    return Markup(f"`{text}`") if re.fullmatch(r"[\w.+/:=,@-]+", str(text)) else escape(text)


def fence(text: object) -> Markup:
    """Plain text as a block of code, in which Quarto looks for no shortcodes."""
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", str(text)))])
    lines = "\n".join(literal(line) for line in str(text).strip().split("\n"))
    return Markup(f'{ticks} {{.text shortcodes="false"}}\n{lines}\n{ticks}')


def slug(text: object) -> str:
    """`text` for a label of Quarto's: lower case, hyphens, no underscores."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")


def quoted(text: object) -> Markup:
    """Plain text as a double-quoted YAML value that Pandoc and Quarto read as Markdown."""
    return Markup(json.dumps(str(escape(text)), ensure_ascii=False))


def number(value: float | str | None, digits: int = 3) -> Markup:
    """A number with `digits` significant digits: 0.0123, 1,230, 3.20 × 10^−7^; a dash for None and NaN."""
    if value is None or value == "" or math.isnan(float(value)):
        return Markup(DASH)
    value = float(value)
    if value and math.isfinite(value):
        power = math.floor(math.log10(abs(value)))
        if not -4 <= power < 9:
            mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
            return Markup(f"{mantissa} × 10^{int(exponent)}^".replace("-", "−"))
        return _fixed(value, max(0, digits - 1 - power))
    return _fixed(value, 0)


def _fixed(value: float, decimals: int) -> Markup:
    """A number with so many decimals, commas between groups of three, and a real minus sign."""
    return Markup(f"{value:,.{decimals}f}".replace("-", "−"))


def duration(seconds: float) -> Markup:
    """Seconds as 4.23 s, 12 min 30 s or 3 h 05 min."""
    if seconds < 60:
        return Markup(f"{number(seconds)}\u00a0s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return Markup(f"{minutes}\u00a0min\u00a0{rest:02d}\u00a0s")
    return Markup(f"{_fixed(minutes // 60, 0)}\u00a0h\u00a0{minutes % 60:02d}\u00a0min")


def column(values: Sequence[object]) -> tuple[list[Markup], bool]:
    """(cells as Markdown, whether they are numbers) of a table's column, given as text or Markdown.

    Whole numbers get commas; numbers that are all written in a few characters stay as they are written (0.001 is a
    setting); the others of one column get the same number of decimals (four significant digits for the largest), or
    each three significant digits where they span too many orders of magnitude. Empty and NaN become a dash.
    """
    if any(isinstance(value, Markup) for value in values):
        cells = [escape(value) or Markup(DASH) for value in values]
        return cells, all(re.match(r"[−–\d]", cell) for cell in cells)
    texts = [_line(value) for value in values]
    try:
        numbers = [None if text.lower() in ("", "nan", "none") else float(text) for text in texts]
    except ValueError:
        numbers = []
    if all(value is None for value in numbers):
        return [escape(text) or Markup(DASH) for text in texts], False
    show = _format([(text, value) for text, value in zip(texts, numbers, strict=True) if value is not None])
    return [
        Markup(DASH) if value is None else show(text, value) for text, value in zip(texts, numbers, strict=True)
    ], True


def _format(column: Sequence[tuple[str, float]]) -> Callable[[str, float], Markup]:
    """How to write one number of a column of (text, number)."""
    if all(re.fullmatch(r"[-+]?\d+", text) for text, _ in column):
        return lambda _, value: _fixed(value, 0)
    if all(len(text) <= SHORT for text, _ in column):
        return lambda text, _: escape(text.replace("-", "−"))
    sizes = [abs(value) for _, value in column if value and math.isfinite(value)] or [1.0]
    decimals = min(4, max(0, 3 - math.floor(math.log10(max(sizes)))))
    if min(sizes) < 0.5 * 10**-decimals or max(sizes) >= 1e9:
        return lambda _, value: number(value)
    return lambda _, value: _fixed(value, decimals)


def table(header: Sequence[object], rows: Sequence[Sequence[object]], caption: str = "", label: str = "") -> Markup:
    """A pipe table. `header`: texts; `rows`: lists of texts (numbers are aligned right); `caption` plain text.

    A table with a `label` (tbl-..) can be referred to and gets a number.
    """
    columns = [column([row[at] for row in rows]) for at in range(len(header))]
    rule = ["---:" if numeric else ":---" for _, numeric in columns]
    cells: Iterable[Sequence[str]] = zip(*(own for own, _ in columns), strict=True)
    lines: list[Sequence[str]] = [[escape(text) for text in header], rule, *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    if caption or label:
        text += f"\n\n: {escape(caption)}" + (f" {{#{label}}}" if label else "")
    return Markup(text)


# ------------------------------------------------------------------------------------------- the document


def document(templates: AnyPath, context: Json, name: str = "report.qmd.j2") -> str:
    """The Quarto document as text. A name that the context lacks is an error of the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="<#",  # {# is how Quarto begins a label
        comment_end_string="#>",
        extensions=["jinja2.ext.do"],
    )
    filters = (attribute, code, duration, fence, number, paragraphs, quoted, slug)
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters |= {"thousands": lambda value: _fixed(value, 0), "axis": lambda name: AXES.get(name, name)}
    environment.globals |= {"schema": schema.TABLES}
    environment.globals |= {"table": table, "settings": settings, "size": _size, "rows_of": _rows_of}
    environment.globals |= {"mean": statistics.fmean, "median": statistics.median, "carried": _carried}
    environment.globals |= {"families": _families, "questions": _questions}
    text = environment.get_template(name).render(context)
    return re.sub(r"\n{3,}", "\n\n", text)


def _size(exhibit: Json) -> Markup:
    """The width and height attributes of a picture in the page's pixels, so that nothing moves when it is decoded, and
    the class of one that a phone shows whole.

    A PNG has two pixels for each of the page's, and an SVG says its size in points or pixels.
    """
    header = exhibit["path"].read_bytes()[:2000]
    if exhibit["path"].suffix == ".png":  # signature, length, "IHDR", width, height: https://www.w3.org/TR/png-3/
        sizes = [int.from_bytes(header[at : at + 4], "big") / 2 for at in (16, 20)]
    else:
        found = re.findall(rb'<svg[^>]*?\swidth="([\d.]+)(pt)?"[^>]*?\sheight="([\d.]+)(pt)?"', header)
        sizes = [float(found[0][at]) * (4 / 3 if found[0][at + 1] else 1) for at in (0, 2)] if found else []
    told = "".join(f" {name}={round(size)}" for name, size in zip(("width", "height"), sizes, strict=False))
    return Markup(f"{told} .narrow" if sizes and sizes[0] <= NARROW else told)


def _questions(study: Json) -> tuple[list[Json], list[Json]]:
    """(the questions of a study's chapter that have exhibits, in order; the exhibits of none).

    Each question is a dict: key, heading, words, its `exhibits`, and `answer`, a list of `Answer.json`.
    """
    by_name = {exhibit["name"]: exhibit for exhibit in study["exhibits"]}
    asked = []
    for question in study["questions"]:
        own = [by_name.pop(name) for name in question["exhibits"] if name in by_name]
        asked += [question | {"exhibits": own}] if own else []
    return asked, list(by_name.values())


def _families(exhibits: Iterable[Json]) -> list[list[Json]]:
    """The exhibits in lists, in order: neighbours of one title that each have a tab together, any other alone."""
    found: list[list[Json]] = []
    for exhibit in exhibits:
        if found and exhibit.get("tab") and found[-1][0].get("tab") and found[-1][0]["title"] == exhibit["title"]:
            found[-1].append(exhibit)
        else:
            found.append([exhibit])
    return found


def _rows_of(exhibit: Json) -> Json:
    """An exhibit's table: its header, its first rows, and how many rows there are."""
    rows = _rows(exhibit["csv_path"])
    names = exhibit["columns"]
    shown = [[row[name] for name in names] for row in rows[:ROWS]]
    return {"header": [name.replace("_", " ") for name in names], "rows": shown, "all": len(rows)}


def _carried(path: AnyPath) -> bool:
    """Whether a CSV file is small enough for the page to carry it."""
    return Path(path).stat().st_size <= CSV_LIMIT


def _copy(context: Json, templates: AnyPath, folder: Path) -> None:
    """Put what the document needs into `folder`: figures, CSV files, styles, scripts, filters, bibliography."""
    for name in FILES:
        shutil.copyfile(Path(templates) / name, folder / name)
    for chapter in [context["data"], *context["studies"]]:
        for exhibit in chapter["exhibits"]:
            bring(exhibit["csv_path"], folder / exhibit["csv"])
            if "picture" in exhibit:
                bring(exhibit["path"], folder / exhibit["picture"])
    for name, file in context["files"].items():
        bring(file["path"], folder / f"{name}.csv")


def bring(
    source: AnyPath, target: Path, todo: str = ", though exhibits.json names it; draw the exhibits again"
) -> None:
    """Copy a file, its folder made where needed; ValueError in one line, with what to do, where there is none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise ValueError(f"{source}: is not there{todo}") from None


# ------------------------------------------------------------------------------------------- the page


def render(folder: Path) -> str:
    """Render report.qmd in `folder` to report.html there; returns "quarto" or "pandoc".

    ValueError where the renderer fails or warns of something that a reader would stumble over.
    """
    quarto = shutil.which("quarto")
    if quarto:
        log = _run([quarto, "render", "report.qmd", "--to", "html"], folder)
        # Quarto exits 0 with a reference to nothing (WARNING: Unable to resolve crossref @fig-x).
        faults = [line for line in log.splitlines() if _WARNING.search(line) and _FAULT.search(line)]
    else:
        faults = by_pandoc(folder)
    if faults:
        raise ValueError(f"report.qmd: {faults[0].strip()}; mend the template or the exhibit that it names")
    if not (folder / "report.html").is_file():
        raise ValueError(f"report.qmd: {quarto or 'pandoc'} made no report.html; its log ends: {_end(log)}")
    return "quarto" if quarto else "pandoc"


def by_pandoc(folder: Path) -> list[str]:
    """Render report.qmd in `folder` to report.html there, by plain Pandoc; returns the lines of its warnings."""
    return [line for line in _run(_pandoc(), folder).splitlines() if _WARNING.search(line)]


_WARNING = re.compile(r"\bWARN(ING)?\b")
_FAULT = re.compile(r"crossref|citation|citeproc|resource|not found|could not|unable", re.IGNORECASE)


def _pandoc() -> list[str]:
    """The command for plain Pandoc. The filter goes before citeproc, which would take @fig-x for a citation."""
    import pypandoc

    return [
        *(pypandoc.get_pandoc_path(), "report.qmd", "--output=report.html"),
        *("--from=markdown-smart", "--to=html5", "--standalone", "--template=template.html"),
        *("--toc", "--toc-depth=3", "--mathml", "--embed-resources"),
        *("--lua-filter=filter.lua", "--citeproc", "--lua-filter=embed.lua"),
    ]


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`; returns what it printed. ValueError where it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = done.stdout.decode("utf-8", errors="replace")
    if done.returncode:
        raise ValueError(f"report.qmd: {Path(command[0]).name} failed ({done.returncode}): {_end(log)}")
    return log


def _end(log: str, lines: int = 6) -> str:
    """The last lines of a log in one line."""
    return " / ".join(line.strip() for line in log.split("stack traceback")[0].strip().splitlines()[-lines:])


def _check_size(folder: Path) -> None:
    size = (folder / "report.html").stat().st_size
    if size > PAGE_LIMIT:
        files = sorted((folder / "figures").rglob("*.*"), key=lambda path: path.stat().st_size)[-3:]
        largest = ", ".join(f"{path.relative_to(folder)} {path.stat().st_size / 1e6:.1f} MB" for path in files[::-1])
        raise ValueError(
            f"report.html: {size / 1e6:.1f} MB; allowed: {PAGE_LIMIT / 1e6:.0f} MB. Draw the largest exhibits "
            f"({largest}) as rasters, or split the config"
        )
