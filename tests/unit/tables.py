"""Tables written by hand: as far as a test says them, with the rest of what the schema declares."""

from pathlib import Path

import pandas as pd

from weight_atlas import schema

FILLED = {"int64": 0, "float64": 0.0, "bool": False, "str": "-"}


def read_table(path: Path) -> pd.DataFrame:
    """The table in a file <table>.csv."""
    return schema.read(path, path.stem)


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table; a declared column that `frame` lacks is empty, or the same in all rows where it may not be."""
    declared = schema.TABLES[path.stem]
    unknown = set(frame) - set(declared.names)
    assert declared.free or not unknown, f"{path.stem} has no column {', '.join(unknown)}"
    if path.stem == "runs":
        frame = frame.assign(counted=_counted(frame))
    for column in declared.columns:
        values = frame.get(column.name, pd.Series(pd.NA, frame.index, dtype=object))
        if column.empty == "never":
            values = values.where(values.notna(), FILLED[column.dtype]).astype(column.dtype)
        frame = frame.assign(**{column.name: values})
    further = [name for name in frame if name not in declared.names]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame[[*declared.names, *further]].to_csv(path, index=False, lineterminator="\n")


def _counted(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Which replicates means count: the finished ones that learnt, or all finished ones of a cell where none did."""
    done = runs["status"].eq("done")
    sound = done & runs.get("learnt", pd.Series(True, runs.index)).ne(False)
    return done & (sound | ~sound.groupby(runs["cell_id"]).transform("any"))


def complete(folder: Path) -> None:
    """Write the header of every table that is not in a folder of tables yet: one without rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in schema.COLLECTED:
        if not (folder / f"{name}.csv").exists():
            (folder / f"{name}.csv").write_text(",".join(schema.names(name)) + "\n", encoding="utf-8")
