"""From the labels of one cell to its settings in full, its id, and the cell that it starts from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from weight_atlas import networks
from weight_atlas.datasets import source_info
from weight_atlas.datasets.card import Facts
from weight_atlas.networks.table import Table
from weight_atlas.plan import given, spec
from weight_atlas.plan.cell import Cell, Data, LayerTransfer, Perturbation, StartSpec, Weights
from weight_atlas.plan.checks import (
    ConfigError,
    check,
    check_frozen,
    check_images,
    check_layers,
    check_penalty,
    check_snapshots,
    check_take,
    matches,
    merge,
    step_options,
)
from weight_atlas.plan.identity import digest, slug
from weight_atlas.plugins import check_options
from weight_atlas.settings import Settings, Start

T = TypeVar("T")
Json = dict[str, Any]
Labels = dict[str, str]  # axis -> label


class InFull(NamedTuple):
    """A part of a cell with its defaults filled in, and what of it counts for the cell's id."""

    full: Json
    identity: Json


class Steps(NamedTuple):
    """The steps of a perturbation: in full, what counts for the id, and a word for each."""

    full: list[Json]
    identities: list[Json]
    words: list[str]


class Resolver:
    """Turns labels into cells; one for a config, so that data sets are looked at and tables are built once."""

    def __init__(self, config: spec.Config, root: Path = Path()):
        self.config, self.root = config, root
        self.networks = dict(config.networks)  # and variants of them, which no config names
        self.cells: dict[str, Cell] = {}
        self.source_labels: dict[str, dict[str, str]] = {}
        self._data: dict[str, Data] = {}
        self._tables: dict[tuple[str, int, int, int], Table] = {}
        self._networks: dict[str, Json] = {}

    # ------------------------------------------------------------------------------------- the parts

    def data(self, label: str, key: str = "dataset") -> Data:
        """The data set called `label`; ConfigError where there is none, or where its files are not there."""
        if label not in self._data:
            chosen = self._one(self.config.datasets, label, key, "datasets")
            full, identity = _dataset(chosen, Path(self.config.data_root))
            dataset_id = f"{slug(_source_name(chosen))}-{digest(identity)}"
            card = self.root / "data" / f"{dataset_id}.json"
            try:
                facts = _card_facts(card) if card.exists() else source_info.facts(full, Path(self.config.data_root))
            except ValueError as error:
                raise ConfigError(f"datasets.{label}: {error}") from None
            self._data[label] = Data(label, dataset_id, full, facts)
        return self._data[label]

    def network(self, label: str) -> Json:
        """The network called `label`: architecture, width, options and threads."""
        if label not in self._networks:
            chosen = self._one(self.networks, label, "network", "networks")
            architecture, options = chosen.architecture or label, dict(chosen.model_extra or {})
            try:
                networks.check_options(architecture, options)
            except ValueError as error:
                raise ConfigError(f"networks.{label}: {error}") from None
            known = {name: default for name, (_, default) in networks.options(architecture).items()}
            self._networks[label] = {
                "architecture": architecture,
                "width": chosen.width,
                "options": known | options,
                "threads": chosen.threads,
            }
        return self._networks[label]

    def variant(self, label: str, options: list[Json]) -> str:
        """The name of the network called `label` with other options laid over its own; `label` itself without any."""
        changed = merge(*options)
        if not changed:
            return label
        name = f"{label} with {', '.join(f'{key} {value}' for key, value in sorted(changed.items()))}"
        if name not in self.networks:
            plain = self._one(self.networks, label, "network", "networks").model_dump()
            whole = plain | {"architecture": plain["architecture"] or label} | changed
            self.networks[name] = check(spec.Network, whole, f"networks.{name}")
        return name

    def table(self, network: Json, channels: int, size: int, classes: int, label: str) -> Table:
        """The layer table for an input of `channels` x `size` x `size`; ConfigError where the input is too small."""
        key = (digest(network), channels, size, classes)
        if key not in self._tables:
            try:
                self._tables[key] = networks.layer_table(network, channels, size, classes)
            except ValueError as error:
                raise ConfigError(f"networks.{label}: {error}") from None
        return self._tables[key]

    def training(self, optimizer: str, changes: list[Json], sets: list[Json], where: str) -> InFull:
        """The training: the optimizer called so, with the changes put on top in order."""
        chosen = self._one(self.config.optimizers, optimizer, "optimizer", "optimizers")
        training = check(spec.Training, merge(_asked(self.config.training), *changes), f"{where}.training")
        chosen = check(spec.Optimizer, merge(_asked(chosen), *sets), f"{where}.set")
        stages = training.stages or [spec.Stage(epochs=training.epochs)]
        full = training.model_dump() | {
            "optimizer": chosen.model_dump(),
            "epochs": sum(stage.epochs for stage in stages),
            "stages": [_stage(stage, training.schedule, chosen.lr, where) for stage in stages],
        }
        del full["schedule"]
        identity = _identity(training) | {"optimizer": _identity(chosen)}
        if training.stages:
            identity.pop("epochs", None)
        return InFull(full, identity)

    def _one(self, named: dict[str, T], label: str, key: str, section: str) -> T:
        if label not in named:
            raise ConfigError(f"{key}: {label!r} is not one of the {section}; allowed: {', '.join(named) or 'none'}")
        return named[label]

    # ------------------------------------------------------------------------------------- the cells

    def cell(
        self,
        labels: Labels,
        changes: list[Json],
        sets: list[Json],
        where: str,
        above: tuple[str, ...] = (),
    ) -> Cell:
        """The cell of these labels, with everything it starts from; ConfigError with one line where it cannot be."""
        data, network = self.data(labels["dataset"], f"{where}.dataset"), self.network(labels["network"])
        init = self._init(labels, where)
        start_spec = self._start(init, data, network, labels, where, above)
        if init.perturb:
            start_spec = self._changed(init, start_spec, data, network, labels)
        scheme = init.weights or ("file" if init.file else "source" if init.source else init.scheme)
        return self._cell(
            "base", scheme, start_spec, labels, self.training(labels["optimizer"], changes, sets, where), where
        )

    def perturbed(
        self,
        parent: Cell,
        labels: Labels,
        change: Perturbation,
        changes: list[Json],
        sets: list[Json],
        where: str,
    ) -> Cell:
        """The cell that starts from the parent's trained weights, changed, and is trained as the parent was."""
        if isinstance(change.take, int):
            check_take(change.take, parent.settings, f"{where}.take")
        if change.state == "carried" and not parent.settings.training.keep_optimizer:
            raise ConfigError(
                f"{where}.state: 'carried' needs the optimizer's state of {parent.cell_id}; set keep_optimizer: true "
                "in the training of its study"
            )
        steps, identities, words = self.steps(change.steps, parent.table, where)
        start = {
            "kind": "perturb",
            "cell": parent.cell_id,
            "take": change.take,
            "scheme": self._init(labels, where).scheme,
            "steps": steps,
            "order": change.order,
            "repeat": change.repeat,
            "state": change.state,
        }
        identity = {"kind": "perturb", "cell": parent.cell_id, "take": change.take, "steps": identities}
        plain = {"order": "same", "repeat": 0, "state": "fresh"}
        identity |= {key: start[key] for key in plain if start[key] != plain[key]}
        start_spec = StartSpec(start, identity, parent.settings.input.channels, parent.cell_id)
        training = self.training(labels["optimizer"], changes, sets, where)
        return self._cell("perturb", "-".join(words) or f"control-{change.order}", start_spec, labels, training, where)

    def transferred(
        self,
        base: Cell,
        labels: Labels,
        transfer: LayerTransfer,
        changes: list[Json],
        sets: list[Json],
        where: str,
    ) -> Cell:
        """The cell that has the base's first layers and a fresh rest, trained on the data set of `labels`.

        Without layers there is nothing of a base in it, and random layers are nobody's: such cells have no parent.
        """
        parent = base.cell_id if transfer.depth and transfer.mode != "random" else None
        if parent and isinstance(transfer.take, int):
            check_take(transfer.take, base.settings, f"{where}.take")
        scheme = self._init(labels, where).scheme
        start = {"kind": "graft", "scheme": scheme, "cell": parent, "take": transfer.take, "layers": transfer.depth}
        identity = {"kind": "graft", "scheme": scheme, "layers": transfer.depth}
        identity |= {"cell": parent, "take": transfer.take} if parent else {}
        training, own = self.training(labels["optimizer"], changes, sets, where)
        frozen = 0 if transfer.mode == "tuned" else transfer.depth
        for stage in training["stages"]:
            stage["frozen"] = frozen
        own |= {"frozen": frozen} if frozen else {}
        start_spec = StartSpec(start, identity, base.settings.input.channels, parent)
        word = f"{transfer.mode}-{transfer.depth}" if transfer.depth else "fresh"
        return self._cell("transfer", word, start_spec, labels, (training, own), where)

    def given(self, name: str) -> Cell:
        """The cell of some checkpoints of the config's section `given`; ConfigError where a file does not fit."""
        where, asked = f"given.{name}", self.config.given[name]
        network = self._one(self.config.networks, asked.network, f"{where}.network", "networks")
        network, outputs = self.network(asked.network), network.outputs
        data = self.data(asked.dataset, f"{where}.dataset") if asked.dataset else None
        try:
            files, epochs = given.series(asked.files, Path(self.config.data_root))
            table = given.table(network, given.header(files[0][0]), data.size if data else asked.size, outputs)
            for path in (path for own in files for path in own):
                given.check(path, table, network["architecture"])
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
        classes = table.layers[-1].out_shape[0]
        if data:
            check_images(data, table.channels, classes, where)
        identity = {
            "dataset": data and data.dataset_id,
            "network": _network_identity(network),
            "input": [table.channels, table.size, classes],
            "files": asked.files,
        }
        folder = Path(asked.files) if isinstance(asked.files, str) else Path(asked.files[0]).parent
        words = (data.dataset_id.rsplit("-", 1)[0] if data else "", network["architecture"], folder.name)
        cell_id = f"given-{slug(*filter(None, words))}-{digest(identity)}"
        settings = {
            "dataset_id": data.dataset_id if data else "",
            "classes": classes,
            "input": {"channels": table.channels, "size": table.size},
            "network": network,
            "start": {"kind": "given", "files": asked.files},
            "training": {"epochs": epochs[-1]},
            "snapshots": epochs,
        }
        self.cells[cell_id] = Cell(cell_id, "given", Settings.parse(settings), data, table, files=files)
        return self.cells[cell_id]

    def _cell(
        self,
        kind: str,
        word: str,
        start_spec: StartSpec,
        labels: Labels,
        training: InFull,
        where: str,
    ) -> Cell:
        """The cell of a start and a training; `word` stands for the start in its id."""
        data, network = self.data(labels["dataset"], f"{where}.dataset"), self.network(labels["network"])
        full, own = training
        full = dict(full)
        snapshots = check_snapshots(full.pop("snapshots"), full["epochs"], where)
        size = networks.input_size(network["architecture"], data.size)
        classes = self._outputs(labels["network"], len(data.facts["classes"]))
        table = self.table(network, start_spec.channels, size, classes, labels["network"])
        self._fits(start_spec, table, where)
        check_frozen(full["stages"], table, where)
        check_penalty(full["penalty"], table, where)
        identity = {
            "dataset": data.dataset_id,
            "network": _network_identity(network) | ({"outputs": classes} if self._wide(labels["network"]) else {}),
            "start": start_spec.identity,
            "training": own,
        }
        words = (data.dataset_id.rsplit("-", 1)[0], network["architecture"], word, full["optimizer"]["type"])
        cell_id = f"{kind}-{slug(*words)}-{digest(identity)}"
        if cell_id not in self.cells:
            settings = {
                "dataset_id": data.dataset_id,
                "classes": classes,
                "input": {"channels": start_spec.channels, "size": size},
                "network": network,
                "start": start_spec.start,
                "training": full,
                "snapshots": snapshots,
            }
            self.cells[cell_id] = Cell(
                cell_id, kind, Settings.parse(settings), data, table, start_spec.parent, start_spec.weights
            )
        return self.cells[cell_id]

    def _wide(self, label: str) -> int | None:
        """How many outputs the config gives the network, where it does."""
        return self.networks[label].outputs

    def _outputs(self, label: str, classes: int) -> int:
        """How many outputs the network has for a data set of so many classes."""
        outputs = self._wide(label) or classes
        if outputs < classes:
            raise ConfigError(f"networks.{label}.outputs: {outputs} for {classes} classes; allowed: {classes} or more")
        return outputs

    def steps(self, asked: list[spec.Step], table: Table, where: str) -> Steps:
        """The steps of a perturbation; their options are single values."""
        full, identities, words = [], [], []
        for step in asked:
            known, chosen = step_options(step.type, f"{where}.perturbations"), step.model_extra or {}
            try:
                check_options(known, chosen, f"type '{step.type}'")
            except ValueError as error:
                raise ConfigError(f"{where}.perturbations: {error}") from None
            check_layers(step.layers, table, f"{where}.perturbations: layers")
            fixed = {"type": step.type, "layers": step.layers, "tensors": step.tensors}
            full.append(fixed | {name: default for name, (_, default) in known.items()} | chosen)
            changed = {name: value for name, value in chosen.items() if value != known[name][1]}
            plain = {"layers": None, "tensors": "all"}
            identities.append({key: value for key, value in fixed.items() if value != plain.get(key)} | changed)
            words.append(step.type)
        return Steps(full, identities, words)

    def _init(self, labels: Labels, where: str) -> spec.Init:
        """The init called so: the config's (the first whose `where` matches), or the scheme of that name."""
        label = labels["init"]
        if label not in self.config.inits:
            if label in spec.SCHEMES:
                return spec.Init(scheme=label)
            known = [*self.config.inits, *(name for name in spec.SCHEMES if name not in self.config.inits)]
            raise ConfigError(f"{where}.init: {label!r} is not one of the inits; allowed: {', '.join(known)}")
        choices = self.config.inits[label]
        for choice in choices if isinstance(choices, list) else [choices]:
            if matches(choice.where, labels, f"inits.{label}.where"):
                return choice
        raise ConfigError(
            f"inits.{label}: no entry is for dataset {labels['dataset']!r} with network {labels['network']!r}; "
            f"add one, or leave the cell out with {where}.exclude"
        )

    def _start(self, init: spec.Init, data: Data, network: Json, labels: Labels, where: str, above: tuple[str, ...]):
        """Where an init takes its weights from."""
        channels = data.facts["channels"]
        if init.source:
            return self._from_source(init, data, labels, above)
        if not (init.weights or init.file):
            start = {"kind": "init", "scheme": init.scheme}
            return StartSpec(start, start, channels)
        if init.weights:
            known = networks.published_weights(network)
            if known is None:
                names = [name for name in networks.names() if hasattr(networks.load_architecture(name), "published")]
                raise ConfigError(
                    f"inits.{labels['init']}.weights: 'imagenet' is not published for network {labels['network']!r}; "
                    f"allowed: {', '.join(names)} at width 1 (resnet18 with its own stem), or a `source`"
                )
            name, layers = known
            init = init.model_copy(update={"layers": init.layers or layers})
            weights = {"published": name, "sha256": init.sha256}
            weights_id = f"{slug(name, 'imagenet')}-{digest(weights)}"
        else:
            weights = {"file": init.file, "sha256": init.sha256}
            weights_id = f"{slug(Path(init.file).stem)}-{digest(weights)}"
        start = {"kind": "weights", "weights_id": weights_id, **_graft(init)}
        wide = 3 if init.weights and channels == 1 and init.grey == "replicate" else channels
        return StartSpec(start, start, wide, None, Weights(weights_id, weights))

    def _changed(self, init: spec.Init, start_spec: StartSpec, data: Data, network: Json, labels: Labels) -> StartSpec:
        """The start with the perturbations that its init names on top."""
        where = f"inits.{labels['init']}"
        size = networks.input_size(network["architecture"], data.size)
        table = self.table(network, start_spec.channels, size, len(data.facts["classes"]), labels["network"])
        asked = [
            self._one(self.config.perturbations, name, f"{where}.perturb", "perturbations") for name in init.perturb
        ]
        flat = [step for steps in asked for step in (steps if isinstance(steps, list) else [steps])]
        steps, identities, _ = self.steps(flat, table, where)
        return replace(
            start_spec, start=start_spec.start | {"steps": steps}, identity=start_spec.identity | {"steps": identities}
        )

    def _from_source(self, init: spec.Init, data: Data, labels: Labels, above: tuple[str, ...]) -> StartSpec:
        """The start from the weights of a source cell: the same network (or the one named) on another data set."""
        where = f"sources.{init.source}"
        source = self._one(self.config.sources, init.source, f"inits.{labels['init']}.source", "sources")
        if init.source in above:
            raise ConfigError(f"{where}: is a cycle of parents ({' -> '.join([*above, init.source])}); allowed: none")
        inner = {
            "dataset": source.dataset,
            "network": source.network or labels["network"],
            "init": source.init,
            "optimizer": source.optimizer,
        }
        parent = self.cell(inner, [source.training], [], where, (*above, init.source))
        self.source_labels[parent.cell_id] = inner
        if isinstance(init.take, int):
            check_take(init.take, parent.settings, f"inits.{labels['init']}.take")
        start = {"kind": "parent", "cell": parent.cell_id, "take": init.take, **_graft(init)}
        channels = data.facts["channels"]
        if channels == 1 and parent.settings.input.channels == 3 and init.grey == "replicate":
            channels = 3
        return StartSpec(start, start, channels, parent.cell_id)

    def _fits(self, start_spec: StartSpec, table: Table, where: str) -> None:
        """Refuse a parent whose tensors, as far as they are copied, are not those of the network."""
        if start_spec.parent is None:
            return
        theirs, shapes = dict(self.cells[start_spec.parent].table.parameters()), dict(table.parameters())
        first = table.parameters()[0][0]
        for name in table.copied_tensors(Start(**start_spec.start)):
            shape = shapes.get(name)
            grey = name == first and start_spec.start.get("grey") == "sum_conv1" and shape[1] == 1
            if shape and not grey and tuple(theirs.get(name, ())) != tuple(shape):
                raise ConfigError(
                    f"{where}: {name} has the shape {list(shape)} here and {list(theirs.get(name, ()))} in the "
                    f"cell that it starts from, {start_spec.parent}; give both data sets the same channels and size"
                )


# ------------------------------------------------------------------------------------------- small pieces


def _card_facts(path: Path) -> Facts:
    """What a prepared data set holds, from its card."""
    card = json.loads(path.read_text(encoding="utf-8"))
    return {
        "classes": card["classes"],
        "channels": card["channels"],
        "size": card["size"],
        "counts": {split: sum(counts) for split, counts in card["counts"].items()},
    }


def _asked(model: BaseModel) -> Json:
    return model.model_dump(exclude_unset=True)


def _identity(model: BaseModel) -> Json:
    """What of a model's settings differs from the defaults, and which branch of a union it is."""
    found = model.model_dump(exclude_defaults=True)
    for name in ("type", "source"):
        if hasattr(model, name):
            found[name] = getattr(model, name)
    return found


def _dataset(chosen: spec.Dataset, data_root: Path) -> InFull:
    """A data set; what of it changes the images counts for its id. `instead` is taken where its files exist."""
    instead = getattr(chosen, "instead", None)
    if instead and all((data_root / path).exists() for path in _paths(instead)):
        common = {key: value for key, value in _asked(chosen).items() if key in spec.ImageSource.model_fields}
        chosen = spec.Folder(**merge(common, _asked(instead)))
    identity = _identity(chosen)
    for delivery in ("title", "download", "archive", "instead"):
        identity.pop(delivery, None)
    full = chosen.model_dump()
    for label in ("title", "instead"):
        full.pop(label, None)
    return InFull(full, identity)


def _paths(folder: spec.Folder) -> list[str]:
    return [folder.path] if folder.path else [*(folder.train or []), *(folder.valid or []), *(folder.test or [])]


def _source_name(chosen: spec.Dataset) -> str:
    """What a data set is called in the names of files: by where it comes from, not by its label."""
    if isinstance(chosen, spec.Folder):
        return Path(_paths(chosen)[0]).name.split(".")[0]
    return chosen.dataset if isinstance(chosen, spec.Torchvision) else chosen.source


def _network_identity(network: Json) -> Json:
    defaults = {name: default for name, (_, default) in networks.options(network["architecture"]).items()}
    options = {name: value for name, value in network["options"].items() if value != defaults[name]}
    found = {"architecture": network["architecture"]} | ({"options": options} if options else {})
    found |= {key: network[key] for key in ("width", "threads") if network[key] != 1}
    return found


def _graft(init: spec.Init) -> Json:
    chosen = {"layers": init.layers} if init.layers else {}
    return {"scheme": init.scheme, "head": init.head, "grey": init.grey} | chosen


def _stage(stage: spec.Stage, schedule: spec.Schedule, lr: float, where: str) -> Json:
    """A stage in full: its own rate and schedule, or those of the training."""
    chosen = stage.schedule or schedule
    if isinstance(chosen, spec.RateTable) and len(chosen.rates) < stage.epochs:
        raise ConfigError(
            f"{where}.training.schedule.rates: {len(chosen.rates)} rates for {stage.epochs} epochs; allowed: one each"
        )
    return {
        "epochs": stage.epochs,
        "lr": stage.lr or lr,
        "schedule": chosen.model_dump(),
        "frozen": stage.frozen,
    }
