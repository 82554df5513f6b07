"""What a report tells, read from the files of a config: cells, runs, exhibits, answers and claims, as one dict."""

import datetime
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weight_atlas import folders, schema
from weight_atlas.plan import measure_faults, recipe
from weight_atlas.plan.pages import DATA, METHODS, RUNS, STUDY, SUMMARY, pages
from weight_atlas.reporting.pages.markdown import slug, slugs
from weight_atlas.settings import Settings
from weight_atlas.store import read_json
from weight_atlas.vocabulary import Kind, Role, Status

Json = dict[str, Any]
AnyPath = str | Path

AXES = {"dataset": "data set", "network": "network", "init": "start", "optimizer": "optimizer"}  # and in words
# The template of each page; a page that shows all has each in this order.
PARTS = {SUMMARY: "summary", STUDY: "chapter", DATA: "data", RUNS: "runs", METHODS: "methods"}
MEASURED = ("wall_seconds", "images_per_second", "peak_memory_mib", "peak_gpu_memory_mib")  # of a replicate


def gather(
    cells: AnyPath,
    tables: AnyPath,
    figures: AnyPath,
    cards: Iterable[AnyPath],
    config: AnyPath,
    code: str | None = None,
    page: str = SUMMARY,
    whole: bool = False,
) -> Json:
    """Everything that the templates of a page may use, as a dict, read from the files that :func:`report` is given.

    whole: as for one page that shows all, whatever the config says.
    """
    runs_path = Path(tables) / "runs.csv"
    resolved, rows = read_json(config) | ({"page": "single"} if whole else {}), read_rows(cells)
    for row in rows:
        row["settings"] = Settings.parse(json.loads(row["cell"]))
    runs = {(run["cell_id"], int(run["seed"])): run for run in read_rows(runs_path)}
    told = [_cell(row, runs) for row in rows]
    asked, single = _asked(resolved), resolved.get("page") == "single"
    chapters_of = pages(list(asked), resolved.get("page", ""))
    slugs_of = slugs([DATA, *asked])
    places = folders.read(Path(cells).parent)
    logs = os.path.relpath(places.logs) if places else "logs"
    drawn = {Path(figures) / name: slugs_of[name] for name in chapters_of[page]}
    chapters = _chapters(drawn, f"{logs}/draw/{resolved['name']}")
    data = chapters.get("data", _NOTHING)
    groups = {row["cell_id"]: row["group"] for row in rows}
    unmeasured = measure_faults.read(Path(tables), groups, f"{logs}/measure/{resolved['name']}")
    studies = [
        chapters.get(name, _NOTHING) | _study(name, one or {}, told, unmeasured) | {"slug": slugs_of[name]}
        for name, one in asked.items()
    ]
    unique = _unique(told)
    troubles = _troubles(unique)
    return _page(page, resolved, studies, single) | {
        "config": resolved,
        "names": list(chapters_of),
        "date": datetime.date.today().isoformat(),
        "studies": studies,
        "cells": unique,
        "given": [cell for cell in unique if cell["given"]],
        "trained": [cell for cell in unique if not cell["given"]],
        "unlearnt": [cell for cell in unique if cell["unlearnt"]],
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
        "measured": {path.stem for path in Path(tables).glob("*.csv") if read_rows(path, limit=1)},
        "files": {"cells": {"path": cells, "rows": len(rows)}, "runs": {"path": runs_path, "rows": len(runs)}},
    }


def _page(page: str, config: Json, studies: Sequence[Json], single: bool) -> Json:
    """What a page is: its title, the studies and parts that it shows, and all pages with their titles."""
    titles = {SUMMARY: "Summary", **{study["page"]: study["title"] for study in studies}}
    titles |= {DATA: "Data", RUNS: "Runs", METHODS: "Methods"}
    parts = list(PARTS.values()) if single else [PARTS.get(page, PARTS[STUDY])]
    whole = page == SUMMARY
    return {
        "page": page,
        "single": single,
        "pages": [{"name": name, "title": title} for name, title in titles.items()],
        "title": config["title"] if whole else titles[page],
        "subtitle": f"What the config “{config['name']}” asked for, and what came out" if whole else "",
        "parts": [*parts, "references"],
        "wide": whole and not single,  # without contents beside the text
        "shown": [study for study in studies if single or study["page"] == page],
    }


def _asked(config: Json) -> Json:
    """{study: its title and text}, in order, from the resolved config."""
    if isinstance(config["studies"], dict):
        return config["studies"]
    return {name: config["definitions"][name] for name in config["asked"]}


_LISTS = ("exhibits", "questions", "closing", "claims", "sentences", "left_out", "faults")
_NOTHING: Json = {"facts": {}, "document": None} | {name: [] for name in _LISTS}


def read_rows(path: AnyPath, limit: int | None = None) -> list[Json]:
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


def _study(name: str, asked: Json, told: Sequence[Json], unmeasured: Sequence[Any]) -> Json:
    """One study: its words from the config, its cells, and those measures of them that raised."""
    cells = [cell for cell in told if cell["study"] == name]
    own = {cell["cell_id"] for cell in cells}
    return {
        "name": name,
        "page": STUDY + name,
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
    Role.TUNING: ("cell at another learning rate", "cells at other learning rates"),
    Role.PERTURBED: ("cell perturbed and trained again", "cells perturbed and trained again"),
    Role.CONTROL: ("control", "controls trained again without a perturbation"),
    Role.TRANSFER: ("transfer", "transfers"),
    Role.EXTRA: ("further transfer", "further transfers"),
}


def questions(study: Json) -> tuple[list[Json], list[Json]]:
    """(the questions of a study's chapter that have exhibits, in order; the exhibits of none).

    Each question is a dict: key, heading, words, its `exhibits`, and `answer`, a list of `Answer.json`.
    """
    by_name = {exhibit["name"]: exhibit for exhibit in study["exhibits"]}
    asked = []
    for question in study["questions"]:
        own = [by_name.pop(name) for name in question["exhibits"] if name in by_name]
        asked += [question | {"exhibits": own}] if own else []
    return asked, list(by_name.values())


def _kind(cells: Iterable[Json], role: Role, one: str, many: str) -> Json:
    """How many cells have a role, and how many of their replicates are done; one under several labels counts once."""
    own = {cell["cell_id"]: cell for cell in cells if cell["role"] == role}.values()
    sums = {key: sum(cell[key] for cell in own) for key in ("asked", "done")}
    return {"role": role, "cells": len(own), "one": one, "many": many} | sums


def _chapters(folders: Mapping[Path, str], logs: str) -> dict[str, Json]:
    """The exhibits by chapter, from {its folder: its slug}; logs: the folder of the logs of drawing."""
    found = {}
    for folder, slug_of in folders.items():
        path = folder / "exhibits.json"
        chapter = read_json(path)
        for exhibit in chapter["exhibits"]:
            exhibit |= _places(exhibit, folder, slug_of)
        facts = chapter.get("facts") or {}
        ledger = path.with_name("claims.json")
        chapter["claims"] = read_json(ledger) if ledger.exists() else []
        for figure in filter(None, (claim.get("figure") for claim in chapter["claims"])):
            figure |= {"path": folder / figure["file"], "picture": f"figures/{slug_of}/{figure['file']}"}
        lists = {key: facts.get(key) or [] for key in ("sentences", "left_out")}
        log = f"{logs}/{path.parent.name}.log"
        chapter["faults"] = [fault | {"log": log} for fault in chapter.get("faults", [])]
        found[path.parent.name] = _NOTHING | chapter | {"facts": facts} | lists
    return found


def _places(exhibit: Json, folder: Path, chapter: str) -> Json:
    """Where an exhibit's files are, and where the document has them: names that need no escaping anywhere."""
    name = slug(exhibit["name"])
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
