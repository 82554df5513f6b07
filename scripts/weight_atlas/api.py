"""Results in a notebook: `wa.cells()`, `wa.table(which)`, `wa.load(cell)` and `wa.pictures(cell)`.

All take `name`, the config whose results are meant (by default the only one, or the tour), and `root`, the folder that
the workflow ran in (by default the current one, or the repository). No command imports this module. pandas and torch
are imported by the functions that need them.
"""

import difflib
import json
from pathlib import Path

from weight_atlas import records, schema, store
from weight_atlas.cell_table import read
from weight_atlas.vocabulary import SPLITS, Role, Status

REPOSITORY = Path(__file__).resolve().parents[2]
SHOWN = 5  # ids in a message


def cells(*, name=None, root=None):
    """cells.csv as a DataFrame: one row a study and cell, so that a cell that two studies share is there twice.

    `replicates` and `parameters` are whole numbers, `cell` has the settings in full as dicts, and the rest is text;
    a label that a cell does not have is empty text. Raises ValueError where there are no such results.
    """
    frame = schema.read(_results(name, root) / "cells.csv", "cells")
    return frame.assign(cell=frame["cell"].map(json.loads))


def table(which, *, name=None, root=None):
    """The table results/<name>/tables/<which>.csv (or "cells") as a DataFrame, with the labels of its cells joined on.

    The labels are study, kind, role and the axes of the config. A row of a cell that several studies or experiments
    name is there once for each of them: choose one before a mean over all. A label that is called as a column of the
    table is `<label>_label`. A table of pairs gets the labels of its first cell; a table without cells, or with labels
    of its own, is as in the file. Raises ValueError where there is no such table.
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
    labels = named[["cell_id", "study", "kind", "role", *schema.axes(named)]].rename(columns={"cell_id": key})
    return frame.merge(labels, on=key, how="left", suffixes=("", "_label"))


def load(cell, seed=0, epoch="last", *, name=None, root=None):
    """The network of a cell as a torch module, with the weights of one replicate: in eval mode, on the CPU, float32.

    cell: its id, a part of it that no other has, or a dict of labels such as {"network": "lenet5", "optimizer": "sgd"}
    (of several cells that fit, the one in the grid is taken). epoch: a number (0 is the start), "last" or "best".
    What is done to the module leaves the file of the snapshot as it is. Raises ValueError where there is no such cell,
    seed or snapshot.
    """
    folder = _results(name, root)
    cell_id, found = _find(cell, folder)
    path = _snapshot(folder.parents[1], cell_id, found, seed, epoch)

    from weight_atlas import starts  # these import torch: after the arguments are known to be right
    from weight_atlas.analysis import evaluation

    tensors = starts.load(path)
    try:
        return evaluation.module(found["cell"], tensors)
    except RuntimeError as error:  # torch's, of several lines
        code = f"scripts/weight_atlas/networks/architectures/{found['cell']['network']['architecture']}.py"
        raise ValueError(f"{path}: does not fit the network as {code} has it now; run the workflow again") from error


def pictures(cell, split="test", *, name=None, root=None):
    """(pictures, labels) of the data set of a cell: float32 [N, C, S, S], normalised, as `load(cell)` takes them, and
    int64 [N].

    cell: as `load` takes it; split: "train" (as they are, without augmentation), "valid" or "test". Raises ValueError
    where there is no such cell or split, or where the prepared data set is gone.
    """
    folder = _results(name, root)
    _, found = _find(cell, folder)
    if not found["card"]:
        raise ValueError(f"no data set is named for the given cell {cell!r}; name one in the config, and run it again")
    card = folder.parents[1] / found["card"]
    data = card.with_suffix(".safetensors")
    if not data.exists():
        raise ValueError(f"{data}: the prepared data set is not there; run the workflow again, which prepares it")

    from weight_atlas.networks import inputs

    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; allowed: {', '.join(SPLITS)}")
    tensors, card, shape = store.load_tensors(data), store.read_json(card), found["cell"]["input"]
    chosen = (tensors["split"] == SPLITS.index(split)).nonzero().squeeze(1)
    images = inputs.fit_images(tensors["images"][chosen], card, shape["channels"], shape["size"])
    return inputs.normalise(images, card["mean"], card["std"]), tensors["labels"][chosen]


def _results(name, root):
    """The folder results/<name> that is meant; ValueError where there is none, or no telling which."""
    places = [Path(root)] if root is not None else [Path.cwd(), REPOSITORY]
    found = next((found for place in places if (found := sorted(place.glob("results/*/cells.csv")))), [])
    known = {path.parent.name: path.parent for path in found}
    if not known:
        where = " or ".join(dict.fromkeys(f"{place}/results" for place in places))
        raise ValueError(f"no results in {where}; run the workflow first, or give root=, the folder that it ran in")
    chosen = name or (next(iter(known)) if len(known) == 1 else "tour")
    if chosen not in known:
        what = f"no results of a config {name!r}" if name else "several configs have results; give name="
        raise ValueError(f"{what}; {_there(', '.join(known))}")
    return known[chosen]


def _find(cell, folder):
    """(id, what `weight_atlas.cell_table.read` says of it) of the one cell that is meant; ValueError where none or
    several fit."""
    known = read(folder / "cells.csv")
    if isinstance(cell, dict):
        return _labelled(cell, known)
    found = [cell] if cell in known else [cell_id for cell_id in known if cell in cell_id]
    if not found:
        nearest = ", ".join(difflib.get_close_matches(cell, known, n=3, cutoff=0))
        raise ValueError(f"no cell {cell!r} in {folder / 'cells.csv'}; the nearest: {nearest}")
    if len(found) > 1:
        raise ValueError(f"{cell!r} is a part of {len(found)} ids; give more of one: {_few(found)}")
    return found[0], known[found[0]]


def _labelled(wanted, known):
    """As `_find`, for a dict of labels."""
    entries = [
        (cell_id, {key: entry[key] for key in ("study", "kind", "role")} | entry["labels"])
        for cell_id, cell in known.items()
        for entry in cell["named"]
    ]
    for key, label in wanted.items():
        if key not in entries[0][1]:
            raise ValueError(f"no label is called {key!r}; allowed: {', '.join(entries[0][1])}")
        if str(label) not in (labels := list(dict.fromkeys(own[key] for _, own in entries))):
            raise ValueError(f"no cell has {key} {label!r}; {_there(', '.join(filter(None, labels)))}")
    fits = [one for one in entries if all(one[1][key] == str(label) for key, label in wanted.items())]
    fits = [one for one in fits if one[1]["role"] == Role.GRID] or fits
    found = list(dict.fromkeys(cell_id for cell_id, _ in fits))
    if not found:
        raise ValueError(f"no cell has all of the labels {wanted}; leave one out, or look at wa.cells()")
    if len(found) > 1:
        differing = [key for key in fits[0][1] if len({own[key] for _, own in fits}) > 1]
        what = f"{len(found)} cells have the labels {wanted}; give more of {', '.join(differing)}, or an id"
        raise ValueError(f"{what}: {_few(found)}")
    return found[0], known[found[0]]


def _snapshot(root, cell_id, found, seed, epoch):
    """The path of a snapshot; ValueError, with those that exist, where it does not."""
    if seed not in found["seeds"]:
        raise ValueError(f"{cell_id} has no seed {seed!r}; {_there(', '.join(map(str, found['seeds'])))}")
    try:
        [(_, block, _, replicate)] = records.replicates(
            [root / block for block in found["blocks"]], [seed], check=False
        )
    except FileNotFoundError as error:
        raise ValueError(f"{cell_id} seed {seed} is not trained: {error}") from None
    wanted = replicate["epochs"] if epoch == "last" else epoch
    epochs = range(replicate["epochs"] + 1)
    there = [one for one in (*epochs, "best") if store.kept(store.snapshot_path(block, seed, one))]
    if wanted not in there:
        status = "" if replicate["status"] == Status.DONE else f" ({replicate['status']}: {replicate['cause']})"
        known = ", ".join(map(str, there))
        raise ValueError(f"{cell_id} seed {seed}{status} has no snapshot {epoch!r}; {_there(known)}")
    path = store.snapshot_path(block, seed, wanted)
    names = [part.name for part in store.parts(path)] if path.exists() else []  # a start that is made again has a hash
    if why := records.damage(block, replicate, names):
        raise ValueError(f"{why}; remove {block}/run.json and run the workflow again, which trains this replicate")
    return path


def _there(known):
    return f"there are: {known}" if known else "there are none"


def _few(ids):
    return ", ".join(ids[:SHOWN]) + (" .." if len(ids) > SHOWN else "")
