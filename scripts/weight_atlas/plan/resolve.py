"""From the labels of one cell to its settings in full, its id, and the cell that it starts from."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from weight_atlas import networks
from weight_atlas.datasets.weights import FIRST
from weight_atlas.networks import foreign
from weight_atlas.networks.table import Table
from weight_atlas.plan import given, normalisation, spec
from weight_atlas.plan.cell import Cell, Data, LayerTransfer, Perturbation, StartSpec, Weights
from weight_atlas.plan.checks import ConfigError, Overlay, check
from weight_atlas.plan.fits import (
    check_average,
    check_batches,
    check_drawn,
    check_frozen,
    check_images,
    check_output_scale,
    check_penalty,
    check_scaled,
    check_snapshots,
    check_take,
)
from weight_atlas.plan.identity import digest, slug
from weight_atlas.plan.labels import Labels, matches
from weight_atlas.plan.parts import Json, Parts, TrainingInFull, network_identity
from weight_atlas.plan.plugin_errors import in_one_line
from weight_atlas.settings import Settings, Start
from weight_atlas.vocabulary import NO_DATA


@dataclass(frozen=True)
class Combination:
    """What a cell combines.

    labels: its label on each axis; changes: what is put on top of the config's training, in order; sets: the same for
    the optimizer; where: the key of the config, and places: those of the labels by axis, both for errors.
    """

    labels: Labels
    changes: list[Overlay]
    sets: list[Overlay]
    where: str
    places: dict[str, str] = field(default_factory=dict[str, str])

    def place(self, axis: str) -> str:
        """Where the label on an axis is written."""
        return self.places.get(axis, f"{self.where}.{axis}")


class Resolver(Parts):
    """Turns labels into cells; one per config."""

    def __init__(
        self, config: spec.Config, root: Path = Path(), look: bool = True, absent: bool = False, fetch: bool = False
    ):
        """look, absent, fetch: see `Parts`."""
        super().__init__(config, root, look, absent, fetch)
        self.cells: dict[str, Cell] = {}
        self.source_labels: dict[str, Labels] = {}

    def cell(self, combination: Combination, ancestors: tuple[str, ...] = ()) -> Cell:
        """The cell of a combination, with everything it starts from; ConfigError with one line where it cannot be.

        ancestors: the names of the sources that start from it.
        """
        labels, where = combination.labels, combination.where
        data = self.data(labels["dataset"], combination.place("dataset"))
        network = self.network(labels["network"], combination.place("network"))
        init = self._init(combination)
        start_spec = self._start(init, data, network, labels, where, ancestors)
        if init.perturb:
            start_spec = self._perturb_start(init, start_spec, data, network, labels)
        scheme = init.weights or ("file" if init.file else "source" if init.source else init.scheme)
        return self._add_cell("base", scheme, start_spec, combination, self._training(combination))

    def _training(self, combination: Combination) -> TrainingInFull:
        optimizer = combination.labels["optimizer"]
        return self.training(optimizer, combination.changes, combination.sets, combination.place("optimizer"))

    def perturbed(self, parent: Cell, combination: Combination, change: Perturbation) -> Cell:
        """The cell that starts from the parent's trained weights, changed, and is trained as the parent was."""
        where = combination.where
        if isinstance(change.take, int):
            check_take(change.take, parent.settings, f"{where}.take")
        if change.state == "carried" and not parent.settings.training.keep_optimizer:
            raise ConfigError(
                f"{where}.state: 'carried' needs the optimizer's state of {parent.cell_id}; set keep_optimizer: true "
                "in the training of its study"
            )
        steps, identities, words = self.steps(change.steps, parent.table, change.place)
        start = {
            "kind": "perturb",
            "cell": parent.cell_id,
            "take": change.take,
            **_drawn(self._init(combination)),
            "steps": steps,
            "order": change.order,
            "repeat": change.repeat,
            "state": change.state,
        }
        identity = {"kind": "perturb", "cell": parent.cell_id, "take": change.take, "steps": identities}
        defaults = {"order": "same", "repeat": 0, "state": "fresh"}
        identity |= {key: start[key] for key in defaults if start[key] != defaults[key]}
        start_spec = _start_of(parent, start, identity, parent.cell_id)
        word = "-".join(words) or f"control-{change.order}"
        return self._add_cell("perturb", word, start_spec, combination, self._training(combination))

    def transferred(self, base: Cell, combination: Combination, transfer: LayerTransfer) -> Cell:
        """The cell that has the base's first layers and a fresh rest, trained on the data set of the combination.

        Without layers there is nothing of a base in it, and random layers are nobody's: such cells have no parent.
        """
        parent = base.cell_id if transfer.depth and transfer.mode != "random" else None
        if parent and isinstance(transfer.take, int):
            check_take(transfer.take, base.settings, f"{combination.where}.take")
        drawn = _drawn(self._init(combination))
        start: Json = {
            "kind": "graft",
            **drawn,
            "cell": parent,
            "take": transfer.take,
            "layers": transfer.depth,
        }
        identity: Json = {"kind": "graft", **drawn, "layers": transfer.depth}
        identity |= {"cell": parent, "take": transfer.take} if parent else {}
        training, training_identity, overlays = self._training(combination)
        frozen = 0 if transfer.mode == "tuned" else transfer.depth
        for stage in training["stages"]:
            stage["frozen"] = frozen
        training_identity |= {"frozen": frozen} if frozen else {}
        start_spec = _start_of(base, start, identity, parent)
        word = f"{transfer.mode}-{transfer.depth}" if transfer.depth else "fresh"
        return self._add_cell(
            "transfer", word, start_spec, combination, TrainingInFull(training, training_identity, overlays)
        )

    def given(self, name: str) -> Cell:
        """The cell of some checkpoints of the config's section `given`; ConfigError where a file does not fit."""
        where, entry = f"given.{name}", self.config.given[name]
        if entry.network is None:
            return self._stored(entry, where)
        outputs = self.look_up(self.config.networks, entry.network, f"{where}.network", "networks").outputs
        network = self.network(entry.network)
        data = self.data(entry.dataset, f"{where}.dataset") if entry.dataset else None
        with in_one_line(where):
            files, epochs = given.series(entry.files, Path(self.config.data_root))
            table = given.table(network, given.header(files[0][0]), data.size if data else entry.size, outputs)
            for path in (path for replicate in files for path in replicate):
                given.check(path, table, network["architecture"])
        classes = table.layers[-1].out_shape[0]
        if data:
            check_images(data, table.channels, classes, where)
        normalise = normalisation.constants(entry.normalise, table.channels, where)
        identity = {
            "dataset": data and data.dataset_id,
            "network": network_identity(network),
            "input": [table.channels, table.size, classes],
            "files": entry.files,
        } | ({"normalise": normalise} if normalise else {})
        words = (data.dataset_id.rsplit("-", 1)[0] if data else "", network["architecture"], _folder_name(entry))
        cell_id = f"given-{slug(*filter(None, words))}-{digest(identity)}"
        shown = {"dataset_id": data.dataset_id if data else "", "classes": classes}
        shown["input"] = {"channels": table.channels, "size": table.size} | normalise
        settings = shown | {"network": network, **_of_files(entry, epochs)}
        self.cells[cell_id] = Cell(cell_id, "given", Settings.parse(settings), data, table, files=files)
        return self.cells[cell_id]

    def _stored(self, entry: spec.Given, where: str) -> Cell:
        """The cell of checkpoints of any model, of which only the tensors are known."""
        with in_one_line(where):
            files, epochs = given.series(entry.files, Path(self.config.data_root))
            tensors = given.folded([path for replicate in files for path in replicate], entry.roles)
            network = {"architecture": "", "width": 1.0, "options": {}, "threads": 1, "tensors": tensors}
            table = networks.layer_table(network, 0, 0, 0)
        cell_id = f"given-{slug(_folder_name(entry))}-{digest({'tensors': tensors, 'files': entry.files})}"
        shown = {"dataset_id": "", "classes": 0, "input": {"channels": 0, "size": 0}}
        settings = shown | {"network": network, **_of_files(entry, epochs)}
        self.cells[cell_id] = Cell(cell_id, "given", Settings.parse(settings), None, table, files=files)
        return self.cells[cell_id]

    def _add_cell(
        self,
        kind: str,
        word: str,
        start_spec: StartSpec,
        combination: Combination,
        training: TrainingInFull,
    ) -> Cell:
        """The cell of a start and a training; `word` stands for the start in its id."""
        labels, where = combination.labels, combination.where
        data = self.data(labels["dataset"], combination.place("dataset"))
        network = self.network(labels["network"], combination.place("network"))
        full = dict(training.full)
        snapshots = check_snapshots(full.pop("snapshots"), full["epochs"], training.overlays)
        size = self.size(network, start_spec.channels, data, labels["network"])
        classes = self.outputs(labels["network"], len(data.facts["classes"]))
        table = self.table(network, start_spec.channels, size, classes, labels["network"])
        if data.known and (start_spec.parent is None or self.cells[start_spec.parent].is_known):
            self._check_parent(start_spec, table, where)
        check_drawn(start_spec.start, table, f"inits.{labels['init']}")
        check_scaled(full["optimizer"], table, f"optimizers.{labels['optimizer']}")
        check_frozen(full["stages"], table, training.overlays)
        check_penalty(full["penalty"], table, training.overlays)
        check_output_scale(full["output_scale"], table, training.overlays)
        identity = {
            "dataset": data.dataset_id,
            "network": network_identity(network)
            | ({"outputs": classes} if self.given_outputs(labels["network"]) else {}),
            "start": start_spec.identity,
            "training": training.identity,
        } | ({"normalise": start_spec.normalise} if start_spec.normalise else {})
        words = (data.dataset_id.rsplit("-", 1)[0], network["architecture"], word, full["optimizer"]["type"])
        cell_id = f"{kind}-{slug(*words)}-{digest(identity)}"
        if cell_id not in self.cells:
            settings = {
                "dataset_id": data.dataset_id,
                "classes": classes,
                "input": {"channels": start_spec.channels, "size": size} | start_spec.normalise,
                "network": network,
                "start": start_spec.start,
                "training": full,
                "snapshots": snapshots,
            }
            parsed = Settings.parse(settings)
            check_average(parsed.training, table, training.overlays)
            check_batches(parsed.training, table, data.facts["counts"]["train"], training.overlays)
            self.cells[cell_id] = Cell(cell_id, kind, parsed, data, table, start_spec.parent, start_spec.weights)
        return self.cells[cell_id]

    def _init(self, combination: Combination) -> spec.Init:
        """The init called so: the config's (the first whose `where` matches), or the scheme of that name."""
        labels, where = combination.labels, combination.where
        label, place = labels["init"], combination.place("init")
        if label not in self.config.inits:
            if label in spec.SCHEMES:
                return check(spec.Init, {"scheme": label}, place)
            known = [*self.config.inits, *(name for name in spec.SCHEMES if name not in self.config.inits)]
            raise ConfigError(f"{place}: {label!r} is not one of the inits; {spec.near(label, known)}")
        choices = self.config.inits[label]
        for choice in choices if isinstance(choices, list) else [choices]:
            if matches(choice.where, labels):
                return choice
        raise ConfigError(
            f"inits.{label}: no entry is for dataset {labels['dataset']!r} with network {labels['network']!r}; "
            f"add one, or leave the cell out with {where}.exclude"
        )

    def _start(
        self, init: spec.Init, data: Data, network: Json, labels: Labels, where: str, ancestors: tuple[str, ...]
    ) -> StartSpec:
        """Where an init takes its weights from."""
        channels = data.facts["channels"]
        if init.source:
            return self._from_source(init, init.source, data, labels, ancestors)
        if init.weights:
            name, layers = self._published(network, labels)
            init = init.model_copy(update={"layers": init.layers or layers})
            weights = {"published": name, "sha256": init.sha256}
            if init.weights not in ("imagenet", FIRST):
                weights["weights"] = init.weights
            weights_id = f"{slug(name, 'imagenet')}-{digest(weights)}"
        elif init.file:
            weights = {"file": init.file, "sha256": init.sha256}
            weights_id = f"{slug(Path(init.file).stem)}-{digest(weights)}"
        else:
            start: Json = {"kind": "init", **_drawn(init)}
            normalise = normalisation.constants(init.normalise, channels, f"inits.{labels['init']}")
            return StartSpec(start, start, channels, normalise=normalise)
        start = {"kind": "weights", "weights_id": weights_id, **_copied(init)}
        input_channels = 3 if init.weights and channels == 1 and init.grey == "replicate" else channels
        own = self._normalised(init, network, labels, input_channels) if init.weights else None
        chosen = init.normalise or own
        normalise = normalisation.constants(chosen, input_channels, f"inits.{labels['init']}")
        return StartSpec(start, start, input_channels, None, Weights(weights_id, weights), normalise)

    def _normalised(self, init: spec.Init, network: Json, labels: Labels, channels: int) -> spec.Normalise:
        """What images of published weights are normalised by; ConfigError where a network has no weights so called."""
        where, name = f"inits.{labels['init']}.weights", FIRST if init.weights == "imagenet" else str(init.weights)
        if not networks.is_foreign(network["architecture"]):
            if name != FIRST:
                raise ConfigError(f"{where}: {name} for network {labels['network']!r}; allowed: imagenet")
            return "imagenet"
        with in_one_line(where):
            known = foreign.published(network)
        if name not in known:
            raise ConfigError(f"{where}: {name} for network {labels['network']!r}; {spec.near(name, list(known))}")
        own = known[name] if channels == 3 else {key: [sum(ones) / len(ones)] for key, ones in known[name].items()}
        return spec.Constants(**own)

    def _published(self, network: Json, labels: Labels) -> networks.PublishedWeights:
        """The published weights that fit a network; ConfigError where there are none."""
        published = networks.published_weights(network)
        if published is None:
            names = [name for name in networks.names() if hasattr(networks.load_architecture(name), "published")]
            raise ConfigError(
                f"inits.{labels['init']}.weights: 'imagenet' is not published for network {labels['network']!r}; "
                f"allowed: {', '.join(names)} at width 1 (resnet18 with its own stem), any network of "
                "torchvision without options, or a `source`"
            )
        return published

    def _perturb_start(
        self, init: spec.Init, start_spec: StartSpec, data: Data, network: Json, labels: Labels
    ) -> StartSpec:
        """The start with the perturbations that its init names on top."""
        where = f"inits.{labels['init']}"
        size = self.size(network, start_spec.channels, data, labels["network"])
        table = self.table(network, start_spec.channels, size, len(data.facts["classes"]), labels["network"])
        chosen = [
            self.look_up(self.config.perturbations, name, f"{where}.perturb", "perturbations") for name in init.perturb
        ]
        flat = [step for steps in chosen for step in (steps if isinstance(steps, list) else [steps])]
        steps, identities, _ = self.steps(flat, table, where)
        return replace(
            start_spec, start=start_spec.start | {"steps": steps}, identity=start_spec.identity | {"steps": identities}
        )

    def _from_source(
        self, init: spec.Init, name: str, data: Data, labels: Labels, ancestors: tuple[str, ...]
    ) -> StartSpec:
        """The start from the weights of a source cell: the same network (or the one named) on another data set."""
        where = f"sources.{name}"
        source = self.look_up(self.config.sources, name, f"inits.{labels['init']}.source", "sources")
        if name in ancestors:
            raise ConfigError(f"{where}: is a cycle of parents ({' -> '.join([*ancestors, name])}); allowed: none")
        if source.given:
            place = f"inits.{labels['init']}.take"
            parent = self.given_parent(source.given, init.take, f"{where}.given", place)
        else:
            inner = {"network": labels["network"]} | source.axes
            changes = [Overlay(f"{where}.training", source.training)]
            parent = self.cell(Combination(inner, changes, [], where), (*ancestors, name))
            self.source_labels[parent.cell_id] = inner
        if isinstance(init.take, int):
            check_take(init.take, parent.settings, f"inits.{labels['init']}.take")
        start = {"kind": "parent", "cell": parent.cell_id, "take": init.take, **_copied(init)}
        channels = data.facts["channels"]
        if channels == 1 and parent.settings.input.channels == 3 and init.grey == "replicate":
            channels = 3
        normalise = normalisation.inherited(parent.settings.input, channels)
        if init.normalise:
            normalise = normalisation.constants(init.normalise, channels, f"inits.{labels['init']}")
        return StartSpec(start, start, channels, parent.cell_id, normalise=normalise)

    def given_parent(self, name: str, take: str | int, where: str, take_where: str) -> Cell:
        """The cell of given checkpoints that others start from; ConfigError, of the keys `where` and `take_where`,
        where it cannot be one."""
        entry = self.look_up(self.config.given, name, where, "given")
        if entry.network is None:
            raise ConfigError(f"{where}: {name!r} names no network; a cell starts from weights of a known one")
        if take == "best" and entry.dataset is None:
            raise ConfigError(f"{take_where}: 'best' is not known; give given.{name}.dataset, or take an epoch")
        cell = self.given(name)
        axes = {"dataset": entry.dataset or NO_DATA, "network": entry.network, "init": "", "optimizer": ""}
        self.source_labels[cell.cell_id] = axes
        return cell

    def _check_parent(self, start_spec: StartSpec, table: Table, where: str) -> None:
        """Refuse a parent whose tensors, as far as they are copied, are not those of the network."""
        if start_spec.parent is None:
            return
        theirs, shapes = dict(self.cells[start_spec.parent].table.parameters()), dict(table.parameters())
        first = table.parameters()[0][0]
        for name in table.copied_tensors(Start(**start_spec.start)):
            shape = shapes.get(name)
            if shape is None:  # a buffer
                continue
            grey = name == first and start_spec.start.get("grey") == "sum_conv1" and shape[1] == 1
            if not grey and theirs.get(name, ()) != shape:
                raise ConfigError(
                    f"{where}: {name} has the shape {list(shape)} here and {list(theirs.get(name, ()))} in the "
                    f"cell that it starts from, {start_spec.parent}; give both data sets the same channels and size"
                )


def _of_files(entry: spec.Given, epochs: list[int]) -> Json:
    """The settings of given checkpoints that their files alone say."""
    start = {"kind": "given", "files": entry.files}
    return {"start": start, "training": {"epochs": epochs[-1]}, "snapshots": epochs}


def _folder_name(entry: spec.Given) -> str:
    """The name of the folder that given checkpoints are in."""
    return (Path(entry.files) if isinstance(entry.files, str) else Path(entry.files[0]).parent).name


def _start_of(cell: Cell, start: Json, identity: Json, parent: str | None) -> StartSpec:
    """A start whose images are those of a cell, normalised as there."""
    shape = cell.settings.input
    return StartSpec(start, identity, shape.channels, parent, normalise=normalisation.inherited(shape, shape.channels))


def _drawn(init: spec.Init) -> Json:
    """How a start draws what it takes from nowhere: the scheme, and what else is given."""
    by_layer = [one.drawn | {"layers": one.layers} for one in init.by_layer]
    return init.drawn | ({"by_layer": by_layer} if by_layer else {})


def _copied(init: spec.Init) -> Json:
    """What a start takes from a file."""
    layers = {"layers": init.layers} if init.layers else {}
    return {**_drawn(init), "head": init.head, "grey": init.grey} | layers
