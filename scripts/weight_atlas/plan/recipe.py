"""What data sets, weights and trainings are made from, as digests: what was made from the same is taken as it is."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weight_atlas import networks, store
from weight_atlas.networks.named import source_file
from weight_atlas.plan import code
from weight_atlas.plan.identity import digest
from weight_atlas.settings import Settings, Start

PREPARING = "weight_atlas/datasets/prepare.py"
CONVERTING = "weight_atlas/datasets/weights.py"
TRAINING = "weight_atlas/training/block.py"
LENGTH = 64  # hex digits of a digest
SHOWN = 12  # of them where people read it

CODE = ("code", "own_code")

Recipe = dict[str, str | None]  # what a block was trained from: part -> digest


def dataset(spec: Mapping[str, Any], fingerprint: str | None) -> str:
    """The digest of what a data set is made from; fingerprint: what tells the images of its source apart."""
    return digest([spec, fingerprint, code.digest(PREPARING)], LENGTH)


def weights(spec: Mapping[str, Any]) -> str:
    """The digest of what a file of weights is made from."""
    return digest([spec, code.digest(CONVERTING)], LENGTH)


def block(
    settings: Settings,
    card: Path | None,
    weights: Path | None,
    parents: Iterable[Mapping[str, Any]],
    seeds: Iterable[int],
) -> Recipe:
    """What the replicates of a block are trained from.

    Parameters
    ----------
    settings : the resolved cell
    card : the card of its data set
    weights : the prepared weights that it starts from
    parents : the records of the parent's replicates, as in the run.json of its blocks
    seeds : the replicates' seeds

    Returns
    -------
    Digests of the settings, of the content of the data, of the files that the start is taken from, of the code that all
    trainings run, and of its own (see `own_files`).
    """
    start = store.tensor_header(weights)[0]["sha256"] if weights else _parent_digest(settings.start, parents, seeds)
    return {
        "settings": digest(settings.json, LENGTH),
        "data": store.read_json(card)["sha256"] if card else None,
        "start": start,
        "code": training_code(),
        "own_code": own_code(settings),
    }


def training_code() -> str:
    """The digest of the code that all trainings run."""
    return code.digest(TRAINING)


def own_files(settings: Settings) -> list[str]:
    """The files that a cell's training runs beside those of all others, relative to `scripts/`: its network's and its
    perturbations'."""
    steps = sorted({step["type"] for step in settings.start.steps or []})
    architecture = settings.network.architecture
    network = f"architectures/{architecture}" if architecture else "stored"
    network = "construct" if networks.is_foreign(architecture) else network
    return [f"weight_atlas/{file}.py" for file in (f"networks/{network}", *(f"perturbations/{step}" for step in steps))]


def own_code(settings: Settings) -> str:
    """The digest of the code that a cell's training runs beside all others: of `own_files`, and of the user's file that
    its network is made by."""
    own, file = code.digest(*own_files(settings)), source_file(settings.network.architecture)
    return digest([own, code.behaviour(str(file.absolute()))], LENGTH) if file else own


def _parent_digest(start: Start, parents: Iterable[Mapping[str, Any]], seeds: Iterable[int]) -> str | None:
    """The digest of the parent's files that each replicate starts from, or None without a parent.

    Of a parent that was not trained to its end it is that of its status.
    """
    by_seed = {record["seed"]: record for record in parents}
    if not by_seed:
        return None
    taken: list[list[Any]] = []
    for seed in seeds:
        record = by_seed.get(seed, {"status": None})
        if record["status"] == "done":
            names = [store.snapshot_file("", start.taken_snapshot(record["epochs"])).name]
            names += ["optimizer.safetensors"] if start.carries_state else []
            taken.append([seed, *(record["sha256"].get(name) for name in names)])
        else:
            taken.append([seed, record["status"]])
    return digest(taken, LENGTH)


def agrees(recorded: Mapping[str, str | None], today: Recipe, adopt: bool) -> bool:
    """Whether what was made is what would be made today; with `adopt`, whatever code made it."""
    return all(recorded.get(part) == today[part] for part in today if not (adopt and part in CODE))
