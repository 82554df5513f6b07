"""Full configs at the smallest scale, made by rule: what a config asks stays, and how much it takes goes.

Networks have a sixteenth of their width, a stretch of training has one epoch, a data set has about 200 made images (60
large ones) in the layout in which it is published, and ImageNet's weights are drawn.
"""

import copy
import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weight_atlas import networks, store
from weight_atlas.datasets.known import DATASETS, IDX
from weight_atlas.plan.labels import matches
from weight_atlas.plan.study import Plan

Config = dict[str, Any]
WIDTH = 1 / 16
IMAGES, LARGE_IMAGES, TEST_SHARE = 200, 60, 0.4  # of a data set; validation has half of the test images
REPLICATES = 2


# ------------------------------------------------------------------------------------------------------------ configs


def small(config: Config, data_root: Path) -> Config:
    """A config at the smallest scale; its images and its weights are made in `data_root`."""
    made = copy.deepcopy(config) | {"device": "cpu", "data_root": str(data_root)}
    made |= {"replicates": REPLICATES, "replicates_per_job": REPLICATES}
    made["datasets"] = {name: _dataset(spec, data_root) for name, spec in made["datasets"].items()}
    made["networks"] = {name: network | {"width": WIDTH} for name, network in made["networks"].items()}
    for name, start in made.get("inits", {}).items():
        if isinstance(start, list) or start.get("weights"):
            starts = start if isinstance(start, list) else [start]
            made["inits"][name] = [one for each in starts for one in _starts(each, made["networks"], data_root)]
    for training in _under(made, "training"):
        _shorten(training)
    for checkpoint in itertools.chain(*_under(made, "checkpoints")):
        if "epochs" in checkpoint:
            checkpoint["epochs"] = {name: min(epoch, 1) for name, epoch in checkpoint["epochs"].items()}
    return made


def covered(config: Config) -> Config:
    """A config with the fewest cells of each grid that bring each of their `kinds`, and one that each rule finds; where
    further axes are crossed, which is a factorial, with their corners (the cells of first and last levels). Grids from
    which something is transferred stay whole; of its depths the ends stay, or the last where it is an extra. Of the
    studies the first of each document stays: the chapter of the next is the same."""
    made, plan = copy.deepcopy(config), Plan(config)
    first = {study["document"]: name for name, study in reversed(made["definitions"].items()) if "document" in study}
    made["studies"] = [name for name in made["definitions"] if name in first.values()]
    for name, study in made["definitions"].items():
        for label, design in study["experiments"].items() if "experiments" in study else [("", study)]:
            for transfer in design.get("transfer", {}).values():
                depths = [1, 2] if transfer.get("depths", "all") == "all" else transfer["depths"]
                transfer["depths"] = depths[-1:] if transfer.get("extra") else sorted({depths[0], depths[-1]})
            if "transfer" not in design:
                rules = [rule["where"] for rule in design.get("adjust", [])]
                crossed = list(design.get("vary", {})) if len(design.get("vary", {})) > 1 else []
                design["exclude"] = [*design.get("exclude", []), *_spare(plan, name, label, rules, crossed)]
    return made


def kinds(plan: Plan, study: str, experiment: str = "") -> dict[str, set[Any]]:
    """{a cell of an experiment's grid: what is told apart of it and of what belongs to it, its children and what it
    starts from}: the labels of each axis but depth, and the roles and the kind of its start."""
    own = [entry for entry in plan.entries if entry.study == study]
    found: dict[str, set[Any]] = {}
    for entry in own:
        if entry.role == "grid" and entry.labels.get("experiment", "") == experiment:
            start = plan.cells[entry.cell_id].settings.start.kind
            family = {entry.cell_id, plan.cells[entry.cell_id].parent}
            family |= {cell_id for cell_id, cell in plan.cells.items() if cell.parent == entry.cell_id}
            related = [one for one in own if one.cell_id in family]
            labels = {label for one in related for label in one.labels.items() if label[0] != "depth"}
            found[entry.cell_id] = labels | {("role", one.role) for one in related} | {("start", start)}
    return found


def _spare(plan: Plan, study: str, experiment: str, rules: list[Config], crossed: list[str]) -> list[dict[str, str]]:
    """The cells of an experiment's grid, by their labels, that are neither corners of the crossed axes nor needed
    beside them: the cell that brings the most kinds is taken first, and so on."""
    has = kinds(plan, study, experiment)
    spare = {
        entry.cell_id: dict(entry.labels) for entry in plan.entries if entry.study == study and entry.cell_id in has
    }
    for cell_id, labels in spare.items():
        labels.pop("experiment", None)
        has[cell_id] |= {("rule", number) for number, rule in enumerate(rules) if matches(rule, labels)}
    levels = {axis: [*dict.fromkeys(labels[axis] for labels in spare.values())] for axis in crossed}
    ends = {axis: (every[0], every[-1]) for axis, every in levels.items()}
    kept = {cell_id for cell_id, labels in spare.items() if ends and all(labels[axis] in ends[axis] for axis in ends)}
    missing = set().union(*has.values()) - set().union(*(has[cell_id] for cell_id in kept))
    while missing:
        best = max(spare, key=lambda cell_id: len(has[cell_id] & missing))
        kept.add(best)
        missing -= has[best]
    return [labels for cell_id, labels in spare.items() if cell_id not in kept]


def _under(part: Any, key: str) -> Iterator[Any]:
    """What stands under a key, wherever that is."""
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name == key:
            yield value
        yield from _under(value, key)


def _shorten(training: Config) -> None:
    """One epoch for each stretch, in place; two where a rate falls at a milestone."""
    for stretch in [training, *training.get("stages", [])]:
        milestones = stretch.get("schedule", {}).get("milestones")
        if milestones:
            stretch["schedule"]["milestones"] = [1]
        if "epochs" in stretch:
            stretch["epochs"] = 2 if milestones else 1
    if isinstance(training.get("snapshots"), list):
        training["snapshots"] = [1]


# --------------------------------------------------------------------------------------------------------------- data


def _dataset(spec: Config, data_root: Path) -> Config:
    """A data set with made images: MNIST's in its files, CIFAR's (whose files torchvision knows by their MD5) and
    those of folders as PNG in a folder per class."""
    if spec["source"] == "folder":
        names = [f"{number:03d}.made" for number in range(1, 11)] + spec.get("without", [])
        images = IMAGES if spec.get("size", 32) == 32 else LARGE_IMAGES
        _folders(data_root / spec["path"], names, ["."] if "split" in spec else ["train", "valid", "test"], images)
        return spec
    known = DATASETS[spec["dataset"]]
    if known.files == IDX:
        _idx_files(data_root / known.folder)
        return spec
    _folders(data_root / known.folder, known.classes, ["train", "test"])
    return spec | {"instead": {"source": "folder", "path": known.folder}}


def _images(label: int, count: int, draw: np.random.Generator) -> np.ndarray:
    """Noise, brighter or darker by class."""
    return (draw.integers(0, 128, (count, 32, 32, 3)) + 12 * (label % 10)).astype(np.uint8)


def _idx_files(folder: Path) -> None:
    if folder.exists():
        return
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name, count in zip(("train", "t10k"), _counts(10, ["train", "test"]), strict=True):
        labels = draw.permutation(np.repeat(np.arange(10, dtype=np.uint8), count))
        images = np.stack([_images(label, 1, draw)[0, 2:30, 2:30, 0] for label in labels])
        head = struct.pack(">IIII", 0x803, len(images), 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())


def _folders(folder: Path, classes: list[str], parts: list[str], images: int = IMAGES) -> None:
    if folder.exists():
        return
    draw = np.random.default_rng(0)
    for part, count in zip(parts, _counts(len(classes), parts, images), strict=True):
        for label, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for number, image in enumerate(_images(label, count, draw)):
                Image.fromarray(image).save(folder / part / name / f"{number}.png")


def _counts(classes: int, parts: list[str], images: int = IMAGES) -> list[int]:
    """Images per class of each part: at least two, so that a test set can be halved."""
    shares = {1: [1.0], 2: [1 - TEST_SHARE, TEST_SHARE], 3: [1 - TEST_SHARE, TEST_SHARE / 2, TEST_SHARE / 2]}
    return [max(2, round(images * share / classes)) for share in shares[len(parts)]]


# ------------------------------------------------------------------------------------------------------------ weights


def _starts(start: Config, named: dict[str, Config], data_root: Path) -> Iterator[Config]:
    """A start; from a file for each network, with what torchvision publishes of it, where it has ImageNet's weights."""
    if not start.get("weights"):
        yield start
        return
    asked = start.get("where", {}).get("network", list(named))
    for name in [asked] if isinstance(asked, str) else asked:
        architecture = named[name].get("architecture", name)
        options = {key: named[name].get(key, option.default) for key, option in networks.options(architecture).items()}
        network = {"architecture": architecture, "width": 1.0, "options": options}
        published = networks.published_weights(network)
        if published is None:
            continue
        path = data_root / "weights" / f"{name}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _draw_weights(network | {"width": WIDTH}, path)
        rest = {key: value for key, value in start.items() if key != "weights"}
        rest |= {"file": f"weights/{name}.safetensors", "normalise": "imagenet", "grey": "sum_conv1"}
        if published.layers:
            rest["layers"] = published.layers
        yield rest | {"where": rest.get("where", {}) | {"network": name}}


def _draw_weights(network: Config, path: Path) -> None:
    """Drawn weights of a network for ImageNet's images, with the tensors that torchvision publishes and others."""
    table = networks.layer_table(network, 3, 224, 1000)
    draw = np.random.default_rng(0)
    tensors = {}
    for name, shape in (*table.parameters(), *table.buffers()):
        fan_in = max(1, int(np.prod(shape[1:])))
        drawn = draw.normal(0, (2 / fan_in) ** 0.5, shape) if len(shape) > 1 else np.full(shape, "bias" not in name)
        tensors[name] = drawn.astype(np.float32)
    store.save_tensors(path, tensors)
