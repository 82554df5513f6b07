"""Make docs/datasets.md, the table of torchvision's data sets, from weight_atlas/datasets/known.py."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from weight_atlas.datasets.known import DATASETS, KnownDataset, known  # noqa: E402

HEAD = """# What torchvision reads

The data sets of `source: torchvision`, by the names of torchvision's classes. This page is made from
`scripts/weight_atlas/datasets/known.py` by `python docs/datasets.py`. [Data sets](data.md) says how they are used.

- *splits*: those that the data set has. Where `train` and one other are there, the other is halved into validation and
  test; where there are none, the shares of `split` hold.
- *images*: train / test, as published; otherwise they are counted in the files, which a run then downloads before it
  plans.
- *size*: in pixels. Where it is that of the files, images of several sizes need the key `size` in the config.
- *files*: what must lie below `data_root`; a run downloads what is missing, unless `download: false`.

| `dataset` | title | splits | classes | images | size | files |
| --- | --- | --- | --- | --- | --- | --- |
"""


def variants() -> list[tuple[str, KnownDataset]]:
    """(the dataset as a config names it, with its options, and what is known of it) of each data set and option."""
    rows: list[tuple[str, KnownDataset]] = []
    for name, entry in DATASETS.items():
        if entry.option is None:
            rows.append((f"`{name}`", entry))
            continue
        values = list(entry.option.values)
        if isinstance(values[0], int):  # the ten partitions of DTD differ in nothing else that is listed
            values = values[:1]
        for value in values:
            text = f"{values[0]} to {len(entry.option.values)}" if isinstance(value, int) else str(value)
            default = ", the default" if value == entry.option.default and not isinstance(value, int) else ""
            chosen = known({"dataset": name, "options": {entry.option.name: value}})
            rows.append((f"`{name}` with `{entry.option.name}: {text}`{default}", chosen))
    return rows


def row(name: str, entry: KnownDataset) -> str:
    """One line of the table."""
    splits = ", ".join(part for part in entry.parts if part != "all") or "none"
    images = f"{sum(entry.train):,} / {sum(entry.test):,}" if entry.train and entry.test else "counted"
    colour = "grey" if entry.channels == 1 else "colour"
    size = f"{entry.size[0]} x {entry.size[1]}, {colour}" if entry.size else "of the files"
    base = "" if entry.folder == "." else f"{entry.folder}/"
    files = f"`{base}{entry.files[0]}` and {len(entry.files) - 1} more" if len(entry.files) > 3 else ""
    files = files or ", ".join(f"`{base}{file.lstrip('.')}`" for file in entry.files)
    classes = len(entry.classes) or "counted"
    return f"| {name} | {entry.title} | {splits} | {classes} | {images} | {size} | {files} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=ROOT / "docs/datasets.md")
    rows = [row(*variant) for variant in variants()]
    parser.parse_args().path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
