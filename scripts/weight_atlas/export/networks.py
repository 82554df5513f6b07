"""The trained networks of a study in a bundle: which of their snapshots go along, the index of all, and what loads
them. No torch, no pandas."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from weight_atlas import records, schema, store
from weight_atlas.export.check import MOST_UNPACKED
from weight_atlas.export.result import Result
from weight_atlas.networks import foreign
from weight_atlas.networks.named import is_foreign, source_file
from weight_atlas.reporting.pages import markdown
from weight_atlas.schema.spreadsheet import neutralise
from weight_atlas.vocabulary import Status

INDEX, PAGE = "networks.csv", "networks.md"
KEPT = (Status.DONE, Status.DIVERGED)


class Snapshot(NamedTuple):
    """A snapshot of a replicate.

    which: `last`, `best` or its epoch; files: {name: path}, its own first, then those with the tensors that it shares;
    digests: their SHA-256 by name, as recorded when it was trained.
    """

    cell_id: str
    seed: int
    status: str
    which: str
    epoch: int
    files: dict[str, Path]
    digests: dict[str, str]

    @property
    def name(self) -> str:
        """The name of its own file."""
        return next(iter(self.files))


def snapshots(result: Result, weights: str) -> list[Snapshot]:
    """The snapshots of the replicates that are done or diverged, in the order of the cells and seeds.

    weights: `all` for every one that is kept, `best` for those of the best epoch on validation (where a replicate has
    none, its last), else the last ones.
    """
    found: list[Snapshot] = []
    for cell_id, cell in result.cells.items():
        for seed in cell["seeds"]:
            if (status := result.status(cell_id, seed)) in KEPT:
                found += _of_replicate(result, cell_id, seed, status, weights)
    return found


def _of_replicate(result: Result, cell_id: str, seed: int, status: str, weights: str) -> list[Snapshot]:
    kept = result.snapshots(cell_id, seed)
    epochs = [epoch for epoch in kept if isinstance(epoch, int)]
    if not epochs:
        return []
    block = kept[epochs[-1]].parents[2]
    [replicate] = records.replicates([block], [seed], check=False)
    chosen: Sequence[int | str] = list(kept) if weights == "all" else [epochs[-1]]
    if weights == "best" and "best" in kept:
        chosen = ["best"]
    made = []
    for at in chosen:
        epoch = at if isinstance(at, int) else replicate.record["best_epoch"]
        which = "last" if at == epochs[-1] else str(at)
        files = {path.relative_to(result.root).as_posix(): path for path in store.tensor_files(kept[at])}
        digests = {name: replicate.record["sha256"][path.name] for name, path in files.items()}
        made.append(Snapshot(cell_id, seed, status, which, epoch, files, digests))
    return made


def by_cell(chosen: Iterable[Snapshot]) -> dict[str, list[Snapshot]]:
    """{cell id: its snapshots}, in order."""
    found: dict[str, list[Snapshot]] = {}
    for one in chosen:
        found.setdefault(one.cell_id, []).append(one)
    return found


def files(chosen: Iterable[Snapshot]) -> dict[str, Path]:
    """{name: path} of all files of some snapshots."""
    return {name: path for one in chosen for name, path in one.files.items()}


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of some files."""
    return sum(path.stat().st_size for path in paths)


def to_carry(chosen: Iterable[Snapshot]) -> dict[str, Path]:
    """{name: path} of all files of some snapshots; ValueError, in one line, where no bundle can hold them."""
    found = files(chosen)
    size = size_of(found.values())
    if size > MOST_UNPACKED:
        raise ValueError(
            f"weights: these take {size / 1e9:.1f} GB, and a bundle holds at most {MOST_UNPACKED / 1e9:.1f} GB; give "
            "weights=last, or fewer studies (`studies`)"
        )
    return found


# ------------------------------------------------------------------------------------------------------ the index


def write_index(result: Result, listed: Iterable[Snapshot], carried: bool, path: Path) -> None:
    """Write networks.csv: a row per snapshot, with the labels that the first study has for its cell."""
    free = [axis for axis in _labels(result) if axis not in schema.names("bundle/networks")]
    header = [*schema.names("bundle/networks"), *free]
    accuracies = {(row["cell_id"], row["seed"], row["epoch"]): row["test_accuracy"] for row in result.rows("metrics")}
    rows = []
    for one in listed:
        cell = result.cells[one.cell_id]
        row = {
            "cell_id": one.cell_id,
            "study": ";".join(dict.fromkeys(named["study"] for named in cell["named"])),
            **cell["named"][0]["labels"],
            "seed": one.seed,
            "status": one.status,
            "snapshot": one.which,
            "epoch": one.epoch,
            "accuracy": accuracies.get((one.cell_id, str(one.seed), str(one.epoch)), ""),
            "file": one.name,
            "sha256": one.digests[one.name],
            "bytes": one.files[one.name].stat().st_size,
            "shared": ";".join(list(one.files)[1:]),
            "carried": carried,
            "model_card": card_name(one.cell_id),
        }
        rows.append([row[name] for name in header])
    schema.write(path, "bundle/networks", rows, header=header)


def card_name(cell_id: str) -> str:
    """The name of a network's card in a bundle."""
    return f"cards/{cell_id}.md"


def _labels(result: Result) -> list[str]:
    """The axes of the cells."""
    return list(dict.fromkeys(axis for cell in result.cells.values() for axis in cell["named"][0]["labels"]))


def page(result: Result, listed: Iterable[Snapshot], carried: bool, bundle: str) -> str:
    """The index to read, as Markdown: a row per cell. bundle: the name of the archive."""
    chosen = list(listed)
    means, cells, found = accuracy(result), by_cell(chosen), files(chosen)
    axes = _labels(result)
    rows = []
    for cell_id, own in cells.items():
        labels = result.cells[cell_id]["named"][0]["labels"]
        link = Markup(f"[{markdown.escape(cell_id)}]({card_name(cell_id)})")
        numbers = sorted({one.seed for one in own})
        said = in_words(means[cell_id]) if cell_id in means else ""
        rows.append([link, *(neutralise(labels[axis]) for axis in axes), ", ".join(map(str, numbers)), said])
    header = ["Network", *axes, "Seeds", "Test accuracy at the last epoch"]
    size = size_of(found.values()) / 1e6
    here = f"Their weights are in this archive: {len(found)} files, {size:.1f} MB."
    without = f"Their weights are not in this archive; `snakemake bundle --config weights=last` adds {size:.1f} MB."
    text = (
        f"# The networks of {markdown.escape(result.config['title'])}\n\n"
        f"{len(cells)} networks, {len(chosen)} snapshots. {here if carried else without}\n"
        "Brackets give 95 % intervals of means over n replicates. `networks.csv` has a row per snapshot, with its "
        "file,\nSHA-256 and size.\n"
    )
    if carried and chosen:
        code = f'model = wa.load("{chosen[0].cell_id}", root="{bundle}")'
        text += f"\n```python\nimport weight_atlas as wa\n\n{code}\n```\n"
    return f"{text}\n{markdown.table(header, rows)}\n"


def accuracy(result: Result) -> dict[str, dict[str, str]]:
    """{cell id: the row of summary.csv on its accuracy at the last epoch}."""
    rows = result.rows("summary")
    return {row["cell_id"]: row for row in rows if (row["measure"], row["key"]) == ("accuracy", "last")}


def in_words(row: dict[str, str]) -> str:
    """A mean accuracy of summary.csv with n and its interval, which ends where an accuracy can: "0.91 [0.88, 1.00],
    n = 3", with three decimals."""
    low, high = row["low"], row["high"]
    interval = f" [{max(float(low), 0):.3f}, {min(float(high), 1):.3f}]" if low and high else ""
    return f"{float(row['mean']):.3f}{interval}, n = {row['n']}" if row["mean"] else "undefined"


# ------------------------------------------------------------------------------------------- what loads the weights


def write_records(result: Result, chosen: Iterable[Snapshot], folder: Path) -> None:
    """Write, beside weights that go along, the records that have their digests, and the traced layer tables.

    A network of the user's own has its source beside its table, as text.
    """
    for cell_id in by_cell(chosen):
        for block in result.cells[cell_id]["blocks"]:
            if result.path(block).joinpath("run.json").exists():
                store.write_json(folder / block / "run.json", records.read(result.path(block)))
        settings = result.cells[cell_id]["cell"]
        if is_foreign(settings.network.architecture) and not settings.network.tensors:
            _write_table(settings.network_arguments, folder)


def _write_table(arguments: tuple[Any, int, int, int], folder: Path) -> None:
    stem = foreign.stem(*arguments)
    source = source_file(arguments[0]["architecture"])
    text = None if source is None else f"networks/{stem}.py.txt"
    kept = {"source": text, "record": foreign.record(*arguments)}
    target = folder / "networks" / f"{stem}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if source is not None and text is not None:
        (folder / text).write_bytes(source.read_bytes())
