"""Results in a notebook: `wa.cells()`, `wa.table()`, `wa.exhibits()`, `wa.load()` and `wa.images()`; and models of your
own measured, `wa.measure()`.

All but the last take `name`, the config of the results (by default the only one, or the tour), and `root`, the folder
that the workflow ran in (by default the current one, or the repository), or the one of the results, or a bundle: a zip
file, or the folder that it was unpacked to. No command imports this module. pandas and torch are imported by the
functions that need them.
"""

import dataclasses
import difflib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from weight_atlas import bundled, folders, records, schema, store
from weight_atlas.cell_table import Cell, located
from weight_atlas.networks.named import is_foreign, is_torchvision, source_file
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import SPLITS

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from weight_atlas.analysis.of_models import Model, Series
    from weight_atlas.reporting.grammar.exhibit import Exhibit

REPOSITORY = Path(__file__).resolve().parents[2]
SHOWN = 5  # ids in a message


class FoundCell(NamedTuple):
    """A cell's id, and what `weight_atlas.cell_table.read` says of it."""

    cell_id: str
    entry: Cell


class Asked(NamedTuple):
    """What cell is asked for, an id or labels, and of which results."""

    cell: str | dict[str, str]
    root: str | Path | None


class LabelledImages(NamedTuple):
    """Images, normalised float32 [N, C, S, S], and their labels, int64 [N]."""

    images: "torch.Tensor"
    labels: "torch.Tensor"


def cells(*, name: str | None = None, root: str | Path | None = None) -> "pd.DataFrame":
    """cells.csv as a DataFrame: one row per study and cell, so that a cell that two studies share has two rows.

    `replicates` and `parameters` are whole numbers, `cell` has the settings in full as dicts, and the rest is text;
    a label that a cell does not have is empty text. Raises ValueError where there are no such results.
    """
    frame = schema.read(_results(name, root) / "cells.csv", "cells")
    return frame.assign(cell=frame["cell"].map(json.loads))


def table(which: str, *, name: str | None = None, root: str | Path | None = None) -> "pd.DataFrame":
    """The table results/<name>/tables/<which>.csv (or "cells") as a DataFrame, with the labels of its cells joined on.

    The labels are study, kind, role and the axes of the config. A row of a cell that several studies or experiments
    name is repeated for each of them: choose one before a mean over all. A label with the name of a column of the table
    is `<label>_label`. A table of pairs gets the labels of its first cell; a table without cells, or with its own
    labels, is as in the file. Raises ValueError where there is no such table.
    """
    if which == "cells":
        return cells(name=name, root=root)
    path = _results(name, root) / "tables" / f"{which}.csv"
    if which not in schema.TABLES or not path.exists():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv")))
        raise ValueError(f"no table {which!r} in {path.parent}; {_there(known)}")
    frame = schema.read(path, which)
    key = next((column for column in ("cell_id", "cell_a") if column in frame), None)
    if key is None or "study" in frame:
        return frame
    named = cells(name=name, root=root)
    labels = named[["cell_id", "study", "kind", "role", *schema.axes(named.columns)]].rename(columns={"cell_id": key})
    return frame.merge(labels, on=key, how="left", suffixes=("", "_label"))


def exhibits(
    which: str,
    study: str | None = None,
    experiment: str = "",
    *,
    name: str | None = None,
    root: str | Path | None = None,
    **options: Any,
) -> "list[Exhibit]":
    """The figures or tables of one name, such as "sweep" or "movement", drawn of a study as the report has them.

    Each has its `figure` (of matplotlib; None for a table), its `data` (the numbers behind it, a DataFrame), `caption`
    and `title`.

    Parameters
    ----------
    which : str
        Its name in `weight_atlas.reporting.registry`.
    study : str
        By default the only one of the config.
    experiment : str
        One of the study's experiments, where it has several.
    **options
        Those of the exhibit.

    Raises
    ------
    ValueError
        Where there is no such study or exhibit.
    weight_atlas.faults.NothingToShow
        Where the tables hold nothing to draw; its message says why.
    """
    folder = _results(name, root)
    config, places = store.read_json(folder / "config.json"), folders.read(folder)
    if study is None and len(config["asked"]) > 1:
        raise ValueError(f"the config has several studies; give one of them; {_there(', '.join(config['asked']))}")
    chosen = study or config["asked"][0]
    if chosen not in config["asked"]:
        raise ValueError(f"no study {chosen!r}; {_there(', '.join(config['asked']))}")

    from weight_atlas.plan import chapters  # these import pandas and matplotlib
    from weight_atlas.reporting import telling

    files = {"cells": "cells.csv", "config": "config.json", "tables": "tables", "measures": "measures"}
    asked = config["definitions"][chosen]
    document = asked["document"]
    tables = telling.open_study(
        chosen,
        {key: folder / file for key, file in files.items()},
        chapters.folder(document) if document else None,
        sorted((Path(places.data) if places else folder.parents[1] / "data").glob("*.json")),
        chapters.references(asked.get("references", [])),
    )
    return telling.draw(which, tables, experiment, **options)


def load(
    cell: str | Path | Mapping[str, str] | None = None,
    seed: int = 0,
    epoch: int | str = "last",
    *,
    name: str | None = None,
    root: str | Path | None = None,
    trust_code: bool = False,
    **labels: str,
) -> "torch.nn.Module":
    """The network of a cell with the weights of one replicate: in eval mode, on the CPU, float32.

    Changes to the module leave the file of the snapshot as it is. Its SHA-256 is compared with the recorded one before
    it is opened.

    Parameters
    ----------
    cell : str, dict or path
        Its id, a part of it that no other has, or labels such as {"network": "lenet5", "optimizer": "sgd"} (of several
        cells that fit, the one in the grid is taken). Or the results, as `root` takes them, with labels beside it.
    seed : int
    epoch : int, "last" or "best"
        0 is the start.
    trust_code : bool
        Whether code that a bundle carries or names may run: the source of a network of its sender's own.
    **labels
        Labels of the cell, instead of a dict of them: network="lenet5".

    Raises
    ------
    ValueError
        In one line, where there is no such cell, seed or snapshot, or where a file is not as recorded.
    """
    asked, root = _asked(cell, root, labels)
    folder = _results(name, root)
    cell_id, entry = _find(asked, folder)
    settings = entry["cell"]
    if settings.network.tensors:
        raise ValueError(
            f"no network is named for the given cell {asked or cell_id!r}; wa.measure reads its files without one"
        )
    _bring(root, entry, seed)
    path = _snapshot(folder, cell_id, entry, seed, epoch)

    from weight_atlas import starts  # these import torch: after the arguments are known to be right
    from weight_atlas.analysis import evaluation

    tensors = starts.load(path)
    if bundled.is_bundle(folder) and is_foreign(settings.network.architecture):
        return _of_bundle(folder, settings, tensors, trust_code)
    try:
        model: torch.nn.Module = evaluation.module(_beside(settings, bundled.base(folder)), tensors)
    except RuntimeError as error:  # torch's, of several lines
        code = f"scripts/weight_atlas/networks/architectures/{settings.network.architecture}.py"
        raise ValueError(f"{path}: does not fit the network as {code} has it now; run the workflow again") from error
    return model


def images(
    cell: str | Path | Mapping[str, str] | None = None,
    split: str = "test",
    *,
    name: str | None = None,
    root: str | Path | None = None,
    **labels: str,
) -> LabelledImages:
    """The images of the data set of a cell, as `load(cell)` takes them, and their labels.

    Parameters
    ----------
    cell, labels : as `load` takes them
    split : "train" (without augmentation), "valid" or "test"

    Raises
    ------
    ValueError
        Where there is no such cell or split, or where the prepared data set is missing.
    """
    asked, root = _asked(cell, root, labels)
    folder = _results(name, root)
    cell_id, entry = _find(asked, folder)
    if not entry["card"]:
        raise ValueError(
            f"no data set is named for the given cell {asked or cell_id!r}; name one in the config, and run it again"
        )
    card_path = bundled.base(folder) / entry["card"]
    data = card_path.with_suffix(".safetensors")
    if not data.exists() and bundled.is_bundle(folder):
        raise ValueError(f"{entry['card']}: a bundle has no images; give root=, a folder that the workflow ran in")
    if not data.exists():
        raise ValueError(f"{data}: the prepared data set is missing; run the workflow again, which prepares it")

    from weight_atlas.networks import inputs

    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; allowed: {', '.join(SPLITS)}")
    tensors, card, shape = store.load_tensors(data), store.read_json(card_path), entry["cell"].input
    positions = (tensors["split"] == SPLITS.index(split)).nonzero().squeeze(1)
    fitted = inputs.fit_images(tensors["images"][positions], card, shape.channels, shape.size)
    return LabelledImages(inputs.normalise(fitted, *inputs.constants(card, shape)), tensors["labels"][positions])


def measure(
    models: "Model | Series | Mapping[str, Series]", *, roles: Mapping[str, str] | None = None, spectra: bool = True
) -> "dict[str, pd.DataFrame]":
    """How the tensors of models move, what they are, and how alike runs are: models that no workflow trained.

    Nothing but the tensors is looked at, as of given checkpoints without a network. Of files one tensor at a time is in
    memory.

    Parameters
    ----------
    models : list or dict
        A series of models in order (their epochs are 0, 1, 2 ..), or {epoch: model}; or several of them by the names
        of their runs. A model is a torch module, a state dict, or the path of a safetensors file or of the index of
        several. All have the same tensors.
    roles : dict, optional
        {pattern: role}: weight, bias, norm, embedding or buffer, instead of what is guessed from names and shapes.
        Buffers of modules are such.
    spectra : bool
        Whether singular values are computed, which take longest.

    Returns
    -------
    dict of DataFrame
        statistics, movement, unchanged, tolerance, parameters, spectra and correlations, with the columns of these
        tables. `cell_id` is the name of the run ("run" where it has none), `layer` the tensor, `parameter` its role.

    Raises
    ------
    ValueError
        In one line, where something is no model, a file is not whole, or tensors differ.
    """
    import pandas as pd

    from weight_atlas.analysis import of_models
    from weight_atlas.networks.stored import ROLES

    for pattern, role in (roles or {}).items():
        if role not in ROLES:
            raise ValueError(f"roles: {pattern}: {role!r} is no role; allowed: {', '.join(ROLES)}")
    rows = of_models.measure(of_models.named(models), roles or {}, spectra)
    declared = {name: {column.name: column.dtype for column in schema.TABLES[name].columns} for name in rows}
    return {
        name: pd.DataFrame(found, columns=schema.names(name)).astype(declared[name]) for name, found in rows.items()
    }


def _asked(cell: str | Path | Mapping[str, str] | None, root: str | Path | None, labels: Mapping[str, str]) -> Asked:
    """What cell is asked for, and of which results: the first argument may be either."""
    if root is None and (isinstance(cell, Path) or (isinstance(cell, str) and _is_results(Path(cell)))):
        cell, root = None, cell
    if isinstance(cell, str | Path) and labels:
        raise ValueError(f"{cell}: an id and labels are given; give one of them")
    return Asked(str(cell) if isinstance(cell, str | Path) else {**(cell or {}), **labels}, root)


def _is_results(path: Path) -> bool:
    return path.suffix == ".zip" or (path / "cells.csv").is_file()


def _results(name: str | None, root: str | Path | None) -> Path:
    """The folder results/<name>, or that of a bundle; ValueError where there is none, or where it is ambiguous."""
    if root is not None and (Path(root) / "cells.csv").is_file():
        return Path(os.path.abspath(root))
    if root is not None and Path(root).is_file():
        return bundled.unpacked(Path(root)).folder
    if root is not None and not Path(root).exists():
        raise ValueError(f"{root}: there is no such folder or bundle")
    places = [Path(root)] if root is not None else [Path.cwd(), REPOSITORY]
    tables = next((paths for place in places if (paths := sorted(place.glob("results/*/cells.csv")))), [])
    known = {path.parent.name: path.parent for path in tables}
    if not known:
        where = " or ".join(dict.fromkeys(f"{place}/results" for place in places))
        raise ValueError(f"no results in {where}; run the workflow first, or give root=, the folder that it ran in")
    chosen = name or (next(iter(known)) if len(known) == 1 else "tour")
    if chosen not in known:
        what = f"no results of a config {name!r}" if name else "several configs have results; give name="
        raise ValueError(f"{what}; {_there(', '.join(known))}")
    return known[chosen]


def _find(cell: str | Mapping[str, str], folder: Path) -> FoundCell:
    """The one cell that fits an id or labels; ValueError where none or several do."""
    known = located(folder / "cells.csv")
    if not isinstance(cell, str):
        return _find_labelled(cell, known)
    ids = [cell] if cell in known else [cell_id for cell_id in known if cell in cell_id]
    if not ids:
        nearest = ", ".join(difflib.get_close_matches(cell, known, n=3, cutoff=0))
        raise ValueError(f"no cell {cell!r} in {folder / 'cells.csv'}; the nearest: {nearest}")
    if len(ids) > 1:
        raise ValueError(f"{cell!r} is a part of {len(ids)} ids; give more of one: {_few(ids)}")
    return FoundCell(ids[0], known[ids[0]])


def _find_labelled(labels: Mapping[str, str], known: Mapping[str, Cell]) -> FoundCell:
    """As `_find`, for labels."""
    entries = [
        (cell_id, {key: entry[key] for key in ("study", "kind", "role")} | entry["labels"])
        for cell_id, cell in known.items()
        for entry in cell["named"]
    ]
    for key, label in labels.items():
        if key not in entries[0][1]:
            raise ValueError(f"no label is called {key!r}; allowed: {', '.join(entries[0][1])}")
        if str(label) not in (choices := list(dict.fromkeys(entry[key] for _, entry in entries))):
            raise ValueError(f"no cell has {key} {label!r}; {_there(', '.join(filter(None, choices)))}")
    fits = [(x, entry) for x, entry in entries if all(entry[key] == str(label) for key, label in labels.items())]
    fits = [(cell_id, entry) for cell_id, entry in fits if entry["role"] == "grid"] or fits
    ids = list(dict.fromkeys(cell_id for cell_id, _ in fits))
    if not ids:
        raise ValueError(f"no cell has all of the labels {dict(labels)}; leave one out, or look at wa.cells()")
    if len(ids) > 1:
        levels = {key: list(dict.fromkeys(entry[key] or "none" for _, entry in fits)) for key in fits[0][1]}
        differing = [f"{key} ({_few(own)})" for key, own in levels.items() if len(own) > 1]
        what = f"{len(ids)} cells have the labels {dict(labels)}; give more of {', '.join(differing)}, or an id"
        raise ValueError(f"{what}: {_few(ids)}")
    return FoundCell(ids[0], known[ids[0]])


def _bring(root: str | Path | None, entry: Cell, seed: int) -> None:
    """Unpack the snapshots of a replicate, where the results are a zip file."""
    if root is not None and Path(root).is_file():
        block = next((block for block in entry["blocks"] if seed in store.block_seeds(block)), None)
        bundled.unpacked(Path(root)).bring(f"{block}/snapshots/seed{seed}/")


def _beside(settings: Settings, root: Path) -> Settings:
    """The same settings, with the user's file that makes the network where it is: here, or where the workflow ran."""
    network = settings.json["network"]
    file = source_file(network["architecture"])
    if file is None or file.is_file() or not (root / file).is_file():
        return settings
    made = {**network, "architecture": f"{root / file}:{network['architecture'].partition(':')[2]}"}
    return dataclasses.replace(settings, json={**settings.json, "network": made})


def _of_bundle(
    folder: Path, settings: Settings, tensors: "Mapping[str, torch.Tensor]", trust_code: bool
) -> "torch.nn.Module":
    """A network of a bundle that a module of Python makes: torchvision's, or where it is trusted its sender's own."""
    from weight_atlas.networks import build, foreign

    network, channels, size, classes = settings.network_arguments
    kept = folder / "networks" / f"{foreign.stem(network, channels, size, classes)}.json"
    if not kept.is_file():
        raise ValueError(f"{folder}: has no table of {network['architecture']} ({kept.name}); get the bundle again")
    made = store.read_json(kept)
    if not trust_code and not is_torchvision(network["architecture"]):
        what = f"networks/{kept.stem}.py.txt of the bundle" if made["source"] else "a module of this machine"
        raise ValueError(
            f"{network['architecture']} is made by code of the bundle's sender, {what}; read it, and give "
            "trust_code=True, which runs it"
        )
    if made["source"] is None:
        return build.recorded((network, channels, size, classes), made["record"], tensors)
    with tempfile.TemporaryDirectory() as temporary:
        source, _, maker = network["architecture"].partition(":")
        file = Path(temporary) / Path(source).name
        shutil.copyfile(kept.with_suffix(".py.txt"), file)
        own = {**network, "architecture": f"{file}:{maker}"}
        return build.recorded((own, channels, size, classes), made["record"], tensors)


def _snapshot(folder: Path, cell_id: str, entry: Mapping[str, Any], seed: int, epoch: int | str) -> Path:
    """The path of a snapshot; ValueError, with those that exist, where it does not."""
    if seed not in entry["seeds"]:
        raise ValueError(f"{cell_id} has no seed {seed!r}; {_there(', '.join(map(str, entry['seeds'])))}")
    root, is_bundle = bundled.base(folder), bundled.is_bundle(folder)
    try:
        [replicate] = records.replicates([root / block for block in entry["blocks"]], [seed], check=False)
    except FileNotFoundError as error:
        without = "is not in the bundle, which was made without its weights (snakemake bundle --config weights=last)"
        raise ValueError(f"{cell_id} seed {seed} {without if is_bundle else f'is not trained: {error}'}") from None
    block, record = replicate.block, replicate.record
    chosen = record["epochs"] if epoch == "last" else epoch
    epochs: Iterable[int | str] = (*range(record["epochs"] + 1), "best")
    kept = [x for x in epochs if store.is_kept(store.snapshot_path(block, seed, x))]
    if chosen not in kept:
        status = "" if record["status"] == "done" else f" ({record['status']}: {record['cause']})"
        known = ", ".join(map(str, kept))
        raise ValueError(f"{cell_id} seed {seed}{status} has no snapshot {epoch!r}; {_there(known)}")
    path = store.snapshot_path(block, seed, chosen)
    # A start that is kept as a hash has no file.
    names = [part.name for part in store.tensor_files(path)] if path.exists() else []
    if why := records.find_damage(block, record, names):
        again = f"remove {block}/run.json and run the workflow again, which trains this replicate"
        raise ValueError(f"{why}; {'get the bundle again' if is_bundle else again}")
    return path


def _there(known: str) -> str:
    return f"there are: {known}" if known else "there are none"


def _few(ids: list[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (" .." if len(ids) > SHOWN else "")
