"""Compare the results of two runs, table by table and number by number: after a change that should not change any.

    python tests/compare_tables.py A/results/tour B/results/tour
    python tests/compare_tables.py A/results/tour B/results/tour --renamed renamed.yaml --weights

Compared are every CSV of tables/, measures/ and figures/, cells.csv, the claims and exhibits of figures/ as JSON, and
what each block's run.json says of its replicates; with --weights also every tensor of the snapshots. Times and what
else differs from run to run (LEFT_OUT) is not compared. The exit status is 0 where all is equal, 1 where something
differs, and 2 where there is nothing to compare or --renamed is wrong.

--renamed takes a YAML file of what B calls otherwise. Each name on the left is A's, so is the table of `columns`:

    tables: {runs: replicates}               # tables/runs.csv, measures/*/runs.csv
    files: {figures/dynamics: exhibits/one}  # a file or a folder
    columns: {"*": {of: asked}, accuracy: {protocol: chosen_at}}
    values: {status: {done: finished}}
"""

import argparse
import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd
import safetensors
import yaml

# Times, speeds, memory, names of machines, versions: columns, and rows whose column of NAMING says that they hold it.
LEFT_OUT = frozenset(
    {
        "started",
        "wall_seconds",
        "seconds",
        "time (s)",
        "images_per_second",
        "peak_memory_mib",
        "peak_gpu_memory_mib",
        "device_name",
        "torch",
    }
)
NAMING = ("measure", "quantity", "place")  # in JSON: keys
TIMES = re.compile(r"(?<=wall time in seconds )\S+ and \S+")  # in sentences
REPLICATE = ("seed", "status", "epochs", "best_epoch", "start_sha256")  # of run.json
RENAMED = ("tables", "files", "columns", "values")  # the keys of --renamed
# The columns of cells.csv that do not name a cell.
NOT_LABELS = frozenset(
    {"cell_id", "kind", "replicates", "blocks", "parent", "checkpoints", "group"}
    | {"dataset_id", "card", "data", "parameters", "cell"}
)
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|nan)", re.IGNORECASE)
SHOWN = 3

Ids = dict[str, str]


# ----------------------------------------------------------------------------------------------------- what there is


def tables(folder: Path, weights: bool = False) -> dict[str, Callable[[], pd.DataFrame]]:
    """{name: what reads it as a table of text} of a folder of results; the name of a file is its path in the folder.

    ValueError, in one line, where the folder has no cells.csv.
    """
    if not (folder / "cells.csv").is_file():
        raise ValueError(f"{folder} has no cells.csv; give the results/<name> of a finished run")
    found = {"cells.csv": partial(read_csv, folder / "cells.csv")}
    for part in ("tables", "measures", "figures"):
        found |= {_name(path, folder): partial(read_csv, path) for path in sorted((folder / part).rglob("*.csv"))}
    for path in sorted((folder / "figures").rglob("*.json")):
        found[_name(path, folder)] = partial(read_json, path)
    found["replicates"] = partial(replicates, folder)
    return found | ({"weights": partial(tensors, folder)} if weights else {})


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV with every cell as the text that stands there; no column where the file is empty."""
    try:
        return pd.read_csv(path, dtype=str, na_filter=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def read_json(path: Path) -> pd.DataFrame:
    """A JSON file as a table: one row per value, with its place (`exhibits.accuracy.title`) and its text."""
    values = json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
    return pd.DataFrame(_places(values, ""), columns=["place", "value"], dtype=str)


def _places(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Each value below `value`, with its place. A dict in a list goes by its id or name, so that its order is free."""
    if isinstance(value, dict):
        parts = [] if LEFT_OUT & {str(value.get(key)) for key in NAMING} else value.items()
    elif isinstance(value, list):
        names = [item.get("id") or item.get("name") if isinstance(item, dict) else None for item in value]
        named = None not in names and len(set(names)) == len(names)
        parts = zip(names if named else range(len(value)), value, strict=True)
    else:
        yield place, TIMES.sub("..", value) if isinstance(value, str) else json.dumps(value)
        return
    for key, item in parts:
        yield from _places(item, f"{place}.{key}" if place else str(key))


def blocks(folder: Path) -> list[Path]:
    """The blocks of the cells that cells.csv lists; they lie in ../cells."""
    cells = dict.fromkeys(read_csv(folder / "cells.csv").get("cell_id", []))
    return [path.parent for cell in cells for path in sorted((folder.parent / "cells" / cell).glob("*/run.json"))]


def replicates(folder: Path) -> pd.DataFrame:
    """What the blocks' run.json say of each replicate: cell_id and REPLICATE."""
    rows = []
    for block in blocks(folder):
        for own in json.loads((block / "run.json").read_text(encoding="utf-8"))["replicates"]:
            rows.append((block.parent.name, *("" if own.get(key) is None else str(own[key]) for key in REPLICATE)))
    return pd.DataFrame(rows, columns=["cell_id", *REPLICATE], dtype=str)


def tensors(folder: Path) -> pd.DataFrame:
    """Every tensor of the blocks' snapshots and of the measures: its dtype, shape and the SHA-256 of its bytes."""
    found = [(block.parent.name, block / "snapshots") for block in blocks(folder)] + [("", folder / "measures")]
    rows = []
    for cell, below in found:
        for path in sorted(below.rglob("*.safetensors")):
            for name, own in sorted(safetensors.deserialize(path.read_bytes())):
                digest = hashlib.sha256(own["data"]).hexdigest()
                rows.append((cell, _name(path, below), name, own["dtype"], str(own["shape"]), digest))
    return pd.DataFrame(rows, columns=["cell_id", "file", "tensor", "dtype", "shape", "sha256"], dtype=str)


# ---------------------------------------------------------------------------------------------------- what is renamed


class WrongName(ValueError):
    """What --renamed says does not fit A, in one line."""


class Renamed:
    """What B calls otherwise than A. WrongName where `given` is not what the head of this file says."""

    def __init__(self, given: dict | None = None, ids: Ids | None = None) -> None:
        """given: what the YAML file holds; ids: {id in A: id in B}, wherever it stands."""
        given = {} if given is None else given
        if not isinstance(given, dict) or not all(isinstance(part, dict) for part in given.values()):
            raise WrongName(f"is no mapping of names; allowed: {', '.join(RENAMED)}, each a mapping")
        if unknown := sorted(map(str, given.keys() - set(RENAMED))):
            raise WrongName(f"unknown key {unknown[0]!r}; allowed: {', '.join(RENAMED)}")
        for part in ("columns", "values"):
            for key, own in given.get(part, {}).items():
                if not isinstance(own, dict):
                    raise WrongName(f"{part}.{key} is {own!r}; allowed: a mapping of old names to new ones")
        self.given, self.ids = {part: given.get(part, {}) for part in RENAMED}, ids or {}
        self.values = {
            column: {str(old): str(new) for old, new in own.items()} for column, own in self.given["values"].items()
        }
        self.met: set[tuple[str, ...]] = set()
        longest_first = "|".join(map(re.escape, sorted(self.ids, key=len, reverse=True)))
        self.pattern = re.compile(rf"(?<!\w)({longest_first})(?!\w)") if self.ids else None

    def file(self, name: str) -> str:
        """B's name of a table of A."""
        path = PurePosixPath(name)
        if path.parts[0] in ("tables", "measures") and path.stem in self.given["tables"]:
            self.met.add(("tables", path.stem))
            path = path.with_stem(str(self.given["tables"][path.stem]))
        for old in map(str, (PurePosixPath(name), *PurePosixPath(name).parents)):
            if old in self.given["files"]:
                self.met.add(("files", old))
                path = PurePosixPath(self.given["files"][old]) / (path.relative_to(old) if old != name else "")
                break
        return self._ids(str(path))

    def frame(self, name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, frozenset[str]]:
        """(a table of A in the words of B, what is left out of both in these words)."""
        frame, left_out = frame.copy(), set(LEFT_OUT)
        for column in frame.columns:
            texts = {text: self._value(column, text) for text in frame[column].unique()}
            left_out |= {new for old, new in texts.items() if old in LEFT_OUT}
            frame[column] = frame[column].map(texts)
        new = {column: self._column(name, column) for column in frame.columns}
        if len(set(new.values())) < len(new):
            raise WrongName(f"columns: {name} would have a column twice")
        left_out |= {new[column] for column in frame.columns if column in LEFT_OUT}
        return frame.rename(columns=new), frozenset(left_out)

    def _value(self, column: str, text: str) -> str:
        new = self.values.get(column, {}).get(text)
        if new is None:
            return self._ids(text)
        self.met.add(("values", column, text))
        return new

    def _column(self, name: str, column: str) -> str:
        for table in (name, PurePosixPath(name).stem, "*"):
            if column in self.given["columns"].get(table, {}):
                self.met.add(("columns", table, column))
                return str(self.given["columns"][table][column])
        return column

    def _ids(self, text: str) -> str:
        return self.pattern.sub(lambda found: self.ids[found[0]], text) if self.pattern else text

    def check(self) -> None:
        """WrongName for the first name that A does not have."""
        asked = [(part, str(old)) for part in ("tables", "files") for old in self.given[part]]
        for part in ("columns", "values"):
            asked += [(part, str(key), str(old)) for key, own in self.given[part].items() for old in own]
        for place in asked:
            if place not in self.met:
                raise WrongName(f"{'.'.join(place)}: A has no such {place[0].removesuffix('s')}")


def same_labels(a: Path, b: Path, renamed: Renamed) -> Ids:
    """{id in A: id in B} of the cells, groups and data sets that the two call otherwise, by the cells' labels.

    Labels are the study, the role and the axes of cells.csv; a cell without a counterpart keeps its id.
    """
    one, two = renamed.frame("cells.csv", read_csv(a / "cells.csv"))[0], read_csv(b / "cells.csv")
    labels = [column for column in one.columns if column in two.columns and column not in NOT_LABELS]
    there = {tuple(row[label] for label in labels): row for row in two.to_dict("records")}
    found: Ids = {}
    for row in one.to_dict("records"):
        other = there.get(tuple(row[label] for label in labels), {})
        for column in ("cell_id", "group", "dataset_id"):
            if row.get(column) and other.get(column) and row[column] != other[column]:
                found[row[column]] = other[column]
    return found


# ------------------------------------------------------------------------------------------------------- what differs


@dataclass
class Found:
    """What comparing one table gave: how many numbers were compared, the differences, and remarks that are none."""

    numbers: int = 0
    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def compare(a: pd.DataFrame, b: pd.DataFrame, left_out: frozenset[str] = LEFT_OUT, rtol: float = 0.0) -> Found:
    """Compare two tables of text. Numbers are equal as numbers, within `rtol` of the larger one; NaN equals NaN."""
    a, b = (without(side, left_out) for side in (a, b))
    found = Found()
    for name, one, other in (("A", a, b), ("B", b, a)):
        if only := [column for column in one.columns if column not in other.columns]:
            found.differences.append(f"columns only in {name}: {', '.join(only)}")
    both = [column for column in a.columns if column in b.columns]
    a, b = a[both], b[both]
    keys = key_columns(a, b)
    places_a, places_b = places(a, b, keys)
    for name, side, own in (("A", a, places_a), ("B", b, places_b)):
        if lone := sorted(set(range(len(side))) - set(own)):
            shown = [row_name(side, keys, row) for row in lone[:SHOWN]] + ["..."] * (len(lone) > SHOWN)
            found.differences.append(f"rows only in {name}: {len(lone)} ({'; '.join(shown)})")
    if places_b != sorted(places_b):
        found.remarks.append("the rows stand in another order")
    a, b = a.iloc[places_a], b.iloc[places_b]
    for column in both:
        found.numbers += int(pd.to_numeric(a[column], errors="coerce").notna().sum())
        found.differences += column_differences(a, b, column, keys, rtol)
    return found


def without(frame: pd.DataFrame, left_out: frozenset[str]) -> pd.DataFrame:
    """A table without the columns that are left out, and without the rows that hold nothing else (of NAMING)."""
    frame = frame[[column for column in frame.columns if column not in left_out]]
    for column in NAMING:
        if column in frame:
            frame = frame[[text.rpartition(".")[2] not in left_out for text in frame[column]]]
    return frame


def key_columns(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """The fewest columns, leftmost first, that tell all rows apart in both tables; [] where none do.

    Columns of other than whole numbers and words are taken only where needed, and where both tables have the same
    values in them (the steps of a path, the limits of a tolerance).
    """
    whole = [column for column in a.columns if _is_whole(a[column]) and _is_whole(b[column])]
    steps = [column for column in a.columns if column in whole or set(a[column]) == set(b[column])]
    for allowed in (whole, steps):
        sides = [canonical(side[allowed]) for side in (a, b)]
        for last in range(1, len(allowed) + 1):
            if _apart(sides, allowed[:last]):
                keys = allowed[:last]
                for column in reversed(keys[:-1]):
                    fewer = [key for key in keys if key != column]
                    keys = fewer if _apart(sides, fewer) else keys
                return keys
    return []


def _is_whole(column: pd.Series) -> bool:
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    return bool((numbers % 1 == 0).all())


def _apart(sides: list[pd.DataFrame], keys: list[str]) -> bool:
    return not any(side.duplicated(keys).any() for side in sides)


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with one text for each number: "1" for "1", "1.0" and "1e0"."""
    return frame.apply(lambda column: column.map({text: _canonical(text) for text in column.unique()}))


def _canonical(text: str) -> str:
    if not NUMBER.fullmatch(text):
        return text
    try:
        return str(int(text))
    except ValueError:
        value = float(text)
        return str(int(value)) if value.is_integer() else repr(value)


def places(a: pd.DataFrame, b: pd.DataFrame, keys: list[str]) -> tuple[list[int], list[int]]:
    """The rows of A that B has too, and where B has them, by keys; without keys by position.

    Without keys, rows that are the same in another order are matched as such.
    """
    if keys:
        one, two = (pd.MultiIndex.from_frame(canonical(side[keys])) for side in (a, b))
        there = two.get_indexer(one)
        return [row for row, at in enumerate(there) if at >= 0], [int(at) for at in there if at >= 0]
    sides = [list(canonical(side).itertuples(index=False, name=None)) for side in (a, b)]
    orders = [sorted(range(len(side)), key=side.__getitem__) for side in sides]
    if sides[0] != sides[1] and sorted(sides[0]) == sorted(sides[1]):
        at = dict(zip(orders[0], orders[1], strict=True))
        return list(range(len(sides[0]))), [at[row] for row in range(len(sides[0]))]
    shared = min(len(side) for side in sides)
    return list(range(shared)), list(range(shared))


def row_name(frame: pd.DataFrame, keys: list[str], row: int) -> str:
    """A row in words: its keys, or its number."""
    return ", ".join(f"{key} {frame[key].iloc[row]}" for key in keys) or f"row {row + 1}"


def column_differences(a: pd.DataFrame, b: pd.DataFrame, column: str, keys: list[str], rtol: float) -> list[str]:
    """At most one text: how many values of a column differ, by how much at most, and the first of them."""
    rows, apart = [], []
    for row in (a[column].to_numpy() != b[column].to_numpy()).nonzero()[0]:
        one, two = (_canonical(side[column].iloc[row]) for side in (a, b))
        numbers = bool(NUMBER.fullmatch(one) and NUMBER.fullmatch(two))
        if one == two or (numbers and rtol and math.isclose(float(one), float(two), rel_tol=rtol)):
            continue
        rows.append(int(row))
        if numbers:
            apart.append(distances(float(one), float(two)))
    if not rows:
        return []
    text = f"{column}: {len(rows)} of {len(a)} differ"
    if apart:
        text += f", by at most {max(one for one, _ in apart):.3g} (relative {max(one for _, one in apart):.3g})"
    for row in rows[:SHOWN]:
        text += f"\n    {row_name(a, keys, row)}: {a[column].iloc[row]!r} | {b[column].iloc[row]!r}"
    return [text]


def distances(one: float, two: float) -> tuple[float, float]:
    """(distance, distance relative to the larger number); infinity where only one of them is finite."""
    apart = abs(one - two)
    if not math.isfinite(apart):
        return math.inf, math.inf
    return apart, apart / max(abs(one), abs(two))


def compare_results(a: Path, b: Path, renamed: Renamed, rtol: float = 0.0, weights: bool = False) -> dict[str, Found]:
    """{name in B: what comparing the table gave}; a table that only one has is a difference."""
    ours, theirs, found = tables(a, weights), tables(b, weights), {}
    for name, read in ours.items():
        frame, left_out = renamed.frame(name, read())
        new = renamed.file(name)
        if new in found:
            raise WrongName(f"tables, files: two tables of A would be {new}")
        found[new] = (
            compare(frame, theirs[new](), left_out, rtol) if new in theirs else Found(differences=["only in A"])
        )
    renamed.check()
    return found | {name: Found(differences=["only in B"]) for name in theirs if name not in found}


def report(found: dict[str, Found]) -> str:
    """What to print: the tables that differ, those with remarks, and one line of totals."""
    lines = []
    for name, own in found.items():
        if own.differences or own.remarks:
            lines += [name, *(f"  {text}" for text in own.differences + own.remarks)]
    different = sum(bool(own.differences) for own in found.values())
    end = f"different tables: {different}" if different else "all equal"
    return "\n".join([*lines, f"{len(found)} tables, {sum(own.numbers for own in found.values()):,} numbers, {end}"])


def main(arguments: list[str] | None = None) -> int:
    """Compare, print the report, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path, help="results/<name> of the one run")
    parser.add_argument("b", type=Path, help="results/<name> of the other")
    parser.add_argument("--renamed", type=Path, help="YAML of what B calls otherwise")
    parser.add_argument("--by-labels", action="store_true", help="match cells with other ids by study, role and labels")
    parser.add_argument("--rtol", type=float, default=0.0, help="relative tolerance of numbers (default: 0, exact)")
    parser.add_argument("--weights", action="store_true", help="compare the tensors of all snapshots by their bytes")
    options = parser.parse_args(arguments)
    try:
        given = yaml.safe_load(options.renamed.read_text(encoding="utf-8")) if options.renamed else None
        renamed = Renamed(given)
        if options.by_labels:
            renamed = Renamed(given, same_labels(options.a, options.b, renamed))
        found = compare_results(options.a, options.b, renamed, options.rtol, options.weights)
    except (ValueError, OSError, yaml.YAMLError) as error:
        where = f"{options.renamed}: " if isinstance(error, WrongName) else ""
        print(f"compare_tables.py: {where}{' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(report(found))
    return int(any(own.differences for own in found.values()))


if __name__ == "__main__":
    sys.exit(main())
