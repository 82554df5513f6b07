"""From the labels of one cell to its settings in full, its id, and the cell that it starts from."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from weight_atlas import networks, perturbations
from weight_atlas.datasets import source_info
from weight_atlas.plan import given, spec
from weight_atlas.plan.identity import digest, slug
from weight_atlas.plugins import check_options

AXES = ("dataset", "network", "init", "optimizer")


class Problem(ValueError):
    """Something in the config that cannot be run, in one line."""


@dataclass(frozen=True)
class Data:
    """A data set as the config defines it: what `prepare` needs to make it, and what it will hold."""

    label: str
    dataset_id: str
    spec: dict
    facts: dict

    @property
    def size(self) -> int:
        """The longer side of its pictures in pixels."""
        size = self.facts["size"]
        return max(size) if isinstance(size, list | tuple) else size


@dataclass(frozen=True)
class Weights:
    """A file of weights to start from, as `prepare` makes it."""

    weights_id: str
    spec: dict


@dataclass(frozen=True)
class Cell:
    """A combination of settings, fully resolved, without the seed.

    Of a given cell `files` are those of each replicate, in order, and data is None where no data set is named.
    """

    cell_id: str
    kind: str
    settings: dict
    data: Data | None
    table: networks.Table
    parent: str | None = None
    weights: Weights | None = None
    files: list[list[Path]] = field(default_factory=list)

    @property
    def architecture(self) -> str:
        return self.settings["network"]["architecture"]


@dataclass(frozen=True)
class Begin:
    """Where a cell's weights come from: in full, what of it counts for the id, and what must be there first."""

    start: dict
    identity: dict
    channels: int
    parent: str | None = None
    weights: Weights | None = None


@dataclass(frozen=True)
class Change:
    """What is done to a parent's weights before they are trained again; without steps it is a control."""

    steps: list[spec.Step]
    take: str | int = "last"
    order: str = "same"
    repeat: int = 0
    state: str = "fresh"


@dataclass(frozen=True)
class Graft:
    """How many layers of a base are taken, and whether they are frozen, tuned, or replaced by random frozen ones."""

    depth: int
    mode: str
    take: str | int = "best"


class Resolver:
    """Turns labels into cells; one for a config, so that data sets are looked at and tables are built once."""

    def __init__(self, config: spec.Config, root: Path = Path()):
        self.config, self.root = config, root
        self.networks = dict(config.networks)  # and variants of them, which no config names
        self.cells: dict[str, Cell] = {}
        self.source_labels: dict[str, dict[str, str]] = {}
        self._data: dict[str, Data] = {}
        self._tables: dict[tuple, networks.Table] = {}
        self._networks: dict[str, dict] = {}

    # ------------------------------------------------------------------------------------- the parts

    def data(self, label: str, key: str = "dataset") -> Data:
        """The data set called `label`; Problem where there is none, or where its files are not there."""
        if label not in self._data:
            chosen = self._one(self.config.datasets, label, key, "datasets")
            full, identity = _dataset(chosen, Path(self.config.data_root))
            dataset_id = f"{slug(_source_name(chosen))}-{digest(identity)}"
            card = self.root / "data" / f"{dataset_id}.json"
            try:
                facts = _card_facts(card) if card.exists() else source_info.facts(full, Path(self.config.data_root))
            except ValueError as error:
                raise Problem(f"datasets.{label}: {error}") from None
            self._data[label] = Data(label, dataset_id, full, facts)
        return self._data[label]

    def network(self, label: str) -> dict:
        """The network called `label`: architecture, width, options and threads."""
        if label not in self._networks:
            chosen = self._one(self.networks, label, "network", "networks")
            architecture, options = chosen.architecture or label, dict(chosen.model_extra)
            try:
                networks.check_options(architecture, options)
            except ValueError as error:
                raise Problem(f"networks.{label}: {error}") from None
            known = {name: default for name, (_, default) in networks.options(architecture).items()}
            self._networks[label] = {
                "architecture": architecture,
                "width": chosen.width,
                "options": known | options,
                "threads": chosen.threads,
            }
        return self._networks[label]

    def variant(self, label: str, options: list[dict]) -> str:
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

    def table(self, network: dict, channels: int, size: int, classes: int, label: str) -> networks.Table:
        """The layer table for an input of `channels` x `size` x `size`; Problem where the input is too small."""
        key = (digest(network), channels, size, classes)
        if key not in self._tables:
            try:
                self._tables[key] = networks.layer_table(network, channels, size, classes)
            except ValueError as error:
                raise Problem(f"networks.{label}: {error}") from None
        return self._tables[key]

    def training(self, optimizer: str, changes: list[dict], sets: list[dict], where: str) -> tuple[dict, dict]:
        """(the training in full, its identity): the optimizer called so, with the changes put on top in order."""
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
        return full, identity

    def _one(self, named: dict, label: str, key: str, section: str):
        if label not in named:
            raise Problem(f"{key}: {label!r} is not one of the {section}; allowed: {', '.join(named) or 'none'}")
        return named[label]

    # ------------------------------------------------------------------------------------- the cells

    def cell(
        self, labels: dict[str, str], changes: list[dict], sets: list[dict], where: str, above: tuple = ()
    ) -> Cell:
        """The cell of these labels, with everything it starts from; Problem with one line where it cannot be."""
        data, network = self.data(labels["dataset"], f"{where}.dataset"), self.network(labels["network"])
        init = self._init(labels, where)
        begin = self._start(init, data, network, labels, where, above)
        if init.perturb:
            begin = self._changed(init, begin, data, network, labels)
        scheme = init.weights or ("file" if init.file else "source" if init.source else init.scheme)
        return self._cell(
            "base", scheme, begin, labels, self.training(labels["optimizer"], changes, sets, where), where
        )

    def perturbed(
        self, parent: Cell, labels: dict, change: Change, changes: list[dict], sets: list[dict], where: str
    ) -> Cell:
        """The cell that starts from the parent's trained weights, changed, and is trained as the parent was."""
        if isinstance(change.take, int):
            check_take(change.take, parent.settings, f"{where}.take")
        if change.state == "carried" and not parent.settings["training"]["keep_optimizer"]:
            raise Problem(
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
        begin = Begin(start, identity, parent.settings["input"]["channels"], parent.cell_id)
        training = self.training(labels["optimizer"], changes, sets, where)
        return self._cell("perturb", "-".join(words) or f"control-{change.order}", begin, labels, training, where)

    def transferred(
        self, base: Cell, labels: dict, graft: Graft, changes: list[dict], sets: list[dict], where: str
    ) -> Cell:
        """The cell that has the base's first layers and a fresh rest, trained on the data set of `labels`.

        Without layers there is nothing of a base in it, and random layers are nobody's: such cells have no parent.
        """
        parent = base.cell_id if graft.depth and graft.mode != "random" else None
        if parent and isinstance(graft.take, int):
            check_take(graft.take, base.settings, f"{where}.take")
        scheme = self._init(labels, where).scheme
        start = {"kind": "graft", "scheme": scheme, "cell": parent, "take": graft.take, "layers": graft.depth}
        identity = {"kind": "graft", "scheme": scheme, "layers": graft.depth}
        identity |= {"cell": parent, "take": graft.take} if parent else {}
        training, own = self.training(labels["optimizer"], changes, sets, where)
        frozen = 0 if graft.mode == "tuned" else graft.depth
        for stage in training["stages"]:
            stage["frozen"] = frozen
        own |= {"frozen": frozen} if frozen else {}
        begin = Begin(start, identity, base.settings["input"]["channels"], parent)
        word = f"{graft.mode}-{graft.depth}" if graft.depth else "fresh"
        return self._cell("transfer", word, begin, labels, (training, own), where)

    def given(self, name: str) -> Cell:
        """The cell of the checkpoints that the config's section `given` calls so; Problem where a file does not fit."""
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
            raise Problem(f"{where}: {error}") from None
        classes = table.layers[-1].out_shape[0]
        if data:
            _check_pictures(data, table.channels, classes, where)
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
        self.cells[cell_id] = Cell(cell_id, "given", settings, data, table, files=files)
        return self.cells[cell_id]

    def _cell(self, kind: str, word: str, begin: Begin, labels: dict, training: tuple[dict, dict], where: str) -> Cell:
        """The cell of a start and a training (in full, and its identity); `word` stands for the start in its id."""
        data, network = self.data(labels["dataset"], f"{where}.dataset"), self.network(labels["network"])
        full, own = training
        full = dict(full)
        snapshots = _check_snapshots(full.pop("snapshots"), full["epochs"], where)
        size = networks.input_size(network["architecture"], data.size)
        classes = self._outputs(labels["network"], len(data.facts["classes"]))
        table = self.table(network, begin.channels, size, classes, labels["network"])
        self._fits(begin, table, where)
        _check_frozen(full["stages"], table, where)
        _check_penalty(full["penalty"], table, where)
        identity = {
            "dataset": data.dataset_id,
            "network": _network_identity(network) | ({"outputs": classes} if self._wide(labels["network"]) else {}),
            "start": begin.identity,
            "training": own,
        }
        words = (data.dataset_id.rsplit("-", 1)[0], network["architecture"], word, full["optimizer"]["type"])
        cell_id = f"{kind}-{slug(*words)}-{digest(identity)}"
        if cell_id not in self.cells:
            settings = {
                "dataset_id": data.dataset_id,
                "classes": classes,
                "input": {"channels": begin.channels, "size": size},
                "network": network,
                "start": begin.start,
                "training": full,
                "snapshots": snapshots,
            }
            self.cells[cell_id] = Cell(cell_id, kind, settings, data, table, begin.parent, begin.weights)
        return self.cells[cell_id]

    def _wide(self, label: str) -> int | None:
        """How many outputs the config gives the network, where it does."""
        return self.networks[label].outputs

    def _outputs(self, label: str, classes: int) -> int:
        """How many outputs the network has for a data set of so many classes."""
        outputs = self._wide(label) or classes
        if outputs < classes:
            raise Problem(f"networks.{label}.outputs: {outputs} for {classes} classes; allowed: {classes} or more")
        return outputs

    def steps(self, asked: list[spec.Step], table: networks.Table, where: str) -> tuple[list[dict], list[dict], list]:
        """(the steps of a perturbation in full, their identities, a word for each); their options are single values."""
        full, identities, words = [], [], []
        for step in asked:
            known, chosen = step_options(step.type, f"{where}.perturbations"), step.model_extra
            try:
                check_options(known, chosen, f"type '{step.type}'")
            except ValueError as error:
                raise Problem(f"{where}.perturbations: {error}") from None
            _check_layers(step.layers, table, f"{where}.perturbations: layers")
            fixed = {"type": step.type, "layers": step.layers, "tensors": step.tensors}
            full.append(fixed | {name: default for name, (_, default) in known.items()} | chosen)
            changed = {name: value for name, value in chosen.items() if value != known[name][1]}
            plain = {"layers": None, "tensors": "all"}
            identities.append({key: value for key, value in fixed.items() if value != plain.get(key)} | changed)
            words.append(step.type)
        return full, identities, words

    def _init(self, labels: dict, where: str) -> spec.Init:
        """The init called so: the config's (the first whose `where` matches), or the scheme of that name."""
        label = labels["init"]
        if label not in self.config.inits:
            if label in spec.SCHEMES:
                return spec.Init(scheme=label)
            known = [*self.config.inits, *(name for name in spec.SCHEMES if name not in self.config.inits)]
            raise Problem(f"{where}.init: {label!r} is not one of the inits; allowed: {', '.join(known)}")
        choices = self.config.inits[label]
        for choice in choices if isinstance(choices, list) else [choices]:
            if matches(choice.where, labels, f"inits.{label}.where"):
                return choice
        raise Problem(
            f"inits.{label}: no entry is for dataset {labels['dataset']!r} with network {labels['network']!r}; "
            f"add one, or leave the cell out with {where}.exclude"
        )

    def _start(self, init: spec.Init, data: Data, network: dict, labels: dict, where: str, above: tuple):
        """The Begin of an init."""
        channels = data.facts["channels"]
        if init.source:
            return self._from_source(init, data, labels, above)
        if not (init.weights or init.file):
            start = {"kind": "init", "scheme": init.scheme}
            return Begin(start, start, channels)
        if init.weights:
            known = networks.published_weights(network)
            if known is None:
                names = [name for name in networks.names() if hasattr(networks.load_architecture(name), "published")]
                raise Problem(
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
        return Begin(start, start, wide, None, Weights(weights_id, weights))

    def _changed(self, init: spec.Init, begin: Begin, data: Data, network: dict, labels: dict) -> Begin:
        """The start with the perturbations that its init names on top."""
        where = f"inits.{labels['init']}"
        size = networks.input_size(network["architecture"], data.size)
        table = self.table(network, begin.channels, size, len(data.facts["classes"]), labels["network"])
        asked = [
            self._one(self.config.perturbations, name, f"{where}.perturb", "perturbations") for name in init.perturb
        ]
        flat = [step for steps in asked for step in (steps if isinstance(steps, list) else [steps])]
        steps, identities, _ = self.steps(flat, table, where)
        return replace(begin, start=begin.start | {"steps": steps}, identity=begin.identity | {"steps": identities})

    def _from_source(self, init: spec.Init, data: Data, labels: dict, above: tuple):
        """The start from the weights of a source cell: the same network (or the one named) on another data set."""
        where = f"sources.{init.source}"
        source = self._one(self.config.sources, init.source, f"inits.{labels['init']}.source", "sources")
        if init.source in above:
            raise Problem(f"{where}: is a cycle of parents ({' -> '.join([*above, init.source])}); allowed: none")
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
        if channels == 1 and parent.settings["input"]["channels"] == 3 and init.grey == "replicate":
            channels = 3
        return Begin(start, start, channels, parent.cell_id)

    def _fits(self, begin: Begin, table: networks.Table, where: str) -> None:
        """Refuse a parent whose tensors, as far as they are copied, are not those of the network."""
        if begin.parent is None:
            return
        theirs, shapes = dict(self.cells[begin.parent].table.parameters()), dict(table.parameters())
        first = table.parameters()[0][0]
        for name in table.copied_tensors(begin.start):
            shape = shapes.get(name)
            grey = name == first and begin.start.get("grey") == "sum_conv1" and shape[1] == 1
            if shape and not grey and tuple(theirs.get(name, ())) != tuple(shape):
                raise Problem(
                    f"{where}: {name} has the shape {list(shape)} here and {list(theirs.get(name, ()))} in the "
                    f"cell that it starts from, {begin.parent}; give both data sets the same channels and size"
                )


# ------------------------------------------------------------------------------------------- small pieces


def check(model, value, where: str):
    """`value` as `model`, or a Problem with the one line that says what is wrong."""
    try:
        return _adapter(model).validate_python(value)
    except ValidationError as error:
        raise Problem(spec.line(error, where, value)) from None


@cache  # making one takes longer than what it checks
def _adapter(model):
    return TypeAdapter(model)


def merge(*parts: dict) -> dict:
    """The parts on top of each other; dictionaries are merged, everything else is replaced."""
    result: dict = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            same = both and value.get("type", result[key].get("type")) == result[key].get("type")
            result[key] = merge(result[key], value) if same else value
    return result


def matches(where: dict, labels: dict, key: str) -> bool:
    """Whether the labels are those that `where` names (one or several a key)."""
    for axis, allowed in where.items():
        if axis not in labels:
            raise Problem(f"{key}: {axis!r} is not an axis; allowed: {', '.join(labels)}")
        if labels[axis] not in (allowed if isinstance(allowed, list) else [allowed]):
            return False
    return True


def _card_facts(card: Path) -> dict:
    """What a prepared data set holds, from its card."""
    card = json.loads(card.read_text(encoding="utf-8"))
    return {
        "classes": card["classes"],
        "channels": card["channels"],
        "size": card["size"],
        "counts": {split: sum(counts) for split, counts in card["counts"].items()},
    }


def _asked(model: BaseModel) -> dict:
    return model.model_dump(exclude_unset=True)


def _identity(model: BaseModel) -> dict:
    """What of a model's settings differs from the defaults, and which branch of a union it is."""
    found = model.model_dump(exclude_defaults=True)
    for name in ("type", "source"):
        if hasattr(model, name):
            found[name] = getattr(model, name)
    return found


def _dataset(chosen, data_root: Path) -> tuple[dict, dict]:
    """(the data set's spec in full, what of it changes the pictures). `instead` is taken where its files exist."""
    instead = getattr(chosen, "instead", None)
    if instead and all((data_root / path).exists() for path in _paths(instead)):
        common = {key: value for key, value in _asked(chosen).items() if key in spec.Pictures.model_fields}
        chosen = spec.Folder(**merge(common, _asked(instead)))
    identity = _identity(chosen)
    for delivery in ("title", "download", "archive", "instead"):
        identity.pop(delivery, None)
    full = chosen.model_dump()
    for label in ("title", "instead"):
        full.pop(label, None)
    return full, identity


def _paths(folder: spec.Folder) -> list[str]:
    return [folder.path] if folder.path else [*folder.train, *(folder.valid or []), *(folder.test or [])]


def _source_name(chosen) -> str:
    """What a data set is called in the names of files: by where it comes from, not by its label."""
    if chosen.source == "folder":
        return Path(chosen.path or chosen.train[0]).name.split(".")[0]
    return chosen.dataset if chosen.source == "torchvision" else chosen.source


def _network_identity(network: dict) -> dict:
    defaults = {name: default for name, (_, default) in networks.options(network["architecture"]).items()}
    options = {name: value for name, value in network["options"].items() if value != defaults[name]}
    found = {"architecture": network["architecture"]} | ({"options": options} if options else {})
    found |= {key: network[key] for key in ("width", "threads") if network[key] != 1}
    return found


def _check_pictures(data: Data, channels: int, classes: int, where: str) -> None:
    """Refuse a data set that a given network cannot see, or whose classes it has no output for."""
    have = data.facts["channels"]
    if have not in (1, channels):
        raise Problem(f"{where}.dataset: its pictures have {have} channels, the network takes {channels}; give others")
    if classes < len(data.facts["classes"]):
        raise Problem(
            f"{where}.dataset: has {len(data.facts['classes'])} classes, and the network {classes} outputs; give "
            "another data set, or leave it out"
        )


def _graft(init: spec.Init) -> dict:
    chosen = {"layers": init.layers} if init.layers else {}
    return {"scheme": init.scheme, "head": init.head, "grey": init.grey} | chosen


def step_options(kind: str, where: str) -> dict[str, tuple]:
    """The options of a type of perturbation; Problem where there is none of that name."""
    try:
        return perturbations.options(kind)
    except ValueError as error:
        raise Problem(f"{where}: {error}") from None


def _stage(stage: spec.Stage, schedule, lr: float, where: str) -> dict:
    """A stage in full: its own rate and schedule, or those of the training."""
    chosen = stage.schedule or schedule
    if chosen.type == "table" and len(chosen.rates) < stage.epochs:
        raise Problem(
            f"{where}.training.schedule.rates: {len(chosen.rates)} rates for {stage.epochs} epochs; allowed: one each"
        )
    return {
        "epochs": stage.epochs,
        "lr": stage.lr or lr,
        "schedule": chosen.model_dump(),
        "frozen": stage.frozen,
    }


def _check_frozen(stages: list[dict], table: networks.Table, where: str) -> None:
    names = [layer.name for layer in table.weight_layers]
    for stage in stages:
        frozen = stage["frozen"]
        if isinstance(frozen, int) and frozen >= len(names):
            raise Problem(
                f"{where}.training.stages.frozen: {frozen} of {len(names)} weight layers leaves nothing to train; "
                f"allowed: 0 to {len(names) - 1}"
            )
        _check_layers(frozen if isinstance(frozen, list) else None, table, f"{where}.training.stages.frozen")


def _check_penalty(penalty: dict | None, table: networks.Table, where: str) -> None:
    names = [layer.name for layer in table.weight_layers]
    for name in (penalty["layers"] or []) if penalty else []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            raise Problem(f"{where}.training.penalty.layers: {name!r} has no weights; allowed: {', '.join(names)}")


def _check_layers(chosen: list[str] | None, table: networks.Table, where: str) -> None:
    names = [layer.name for layer in table.layers if layer.parameters]
    for name in chosen or []:
        if not any(f"{layer}.".startswith(f"{name}.") for layer in names):
            raise Problem(f"{where}: {name!r} is no layer; allowed: {', '.join(names)}")


def _check_snapshots(snapshots, epochs: int, where: str):
    if isinstance(snapshots, list):
        for epoch in snapshots:
            if epoch > epochs:
                raise Problem(f"{where}.training.snapshots: there is no epoch {epoch}; allowed: 0 to {epochs}")
        return sorted({0, *snapshots, epochs})
    return snapshots


def check_take(epoch: int, settings: dict, where: str) -> None:
    """Refuse an epoch whose snapshot a cell of these settings does not keep."""
    kept, epochs = settings["snapshots"], settings["training"]["epochs"]
    there = epoch <= epochs if kept == "all" else epoch in ((0, epochs) if kept == "ends" else kept)
    if not there:
        raise Problem(f"{where}: epoch {epoch} of the cell is not kept; allowed: last, best, or a kept epoch")
