"""What the cells of a config are made of: data sets, networks and their layer tables, trainings, perturbations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter

from weight_atlas import networks, perturbations
from weight_atlas.datasets import seen, source_info
from weight_atlas.datasets.card import Card, Facts
from weight_atlas.datasets.card import read as read_card
from weight_atlas.datasets.source import Gone
from weight_atlas.folders import Folders
from weight_atlas.networks.table import Table
from weight_atlas.plan import absent_data, fetching, spec
from weight_atlas.plan.cell import Data
from weight_atlas.plan.checks import ConfigError, Overlay, check_overlaid, merge
from weight_atlas.plan.fits import check_known, check_layers, check_schedules, check_size, step_options
from weight_atlas.plan.identity import digest, slug
from weight_atlas.plan.plugin_errors import in_one_line
from weight_atlas.plugins import check_options

T = TypeVar("T")
Json = dict[str, Any]
OPTIMIZER: TypeAdapter[spec.OptimizerKind] = TypeAdapter(spec.Optimizer)


class InFull(NamedTuple):
    """A part of a cell with its defaults filled in, and what of it counts for the cell's id."""

    full: Json
    identity: Json


class TrainingInFull(NamedTuple):
    """The training of a cell, as InFull has it, and what was put on top of what for it."""

    full: Json
    identity: Json
    overlays: list[Overlay]


class Steps(NamedTuple):
    """The steps of a perturbation: in full, what counts for the id, and a word for each."""

    full: list[Json]
    identities: list[Json]
    words: list[str]


class Parts:
    """The parts of a config's cells, so that each data set is looked at and each layer table built once."""

    def __init__(
        self, config: spec.Config, root: Path = Path(), look: bool = True, absent: bool = False, fetch: bool = False
    ):
        """look: whether to see if prepared data sets are still as their sources are; else what was seen last counts.
        absent: whether data sets that are not at hand may be planned; fetch: whether they are downloaded first, where
        the config says from where."""
        self.config, self.root, self._looks, self._absent, self._fetches = config, root, look, absent, fetch
        self.networks = dict(config.networks)  # and variants of them, which no config names
        self._data: dict[str, Data] = {}
        self._tables: dict[tuple[str, int, int, int], Table] = {}
        self._networks: dict[str, Json] = {}
        self._places: dict[str, str] = {}  # where the options of a variant are written

    def data(self, label: str, key: str = "dataset") -> Data:
        """The data set called `label`; ConfigError where there is none, or where its files are not there."""
        if label not in self._data:
            chosen = self.look_up(self.config.datasets, label, key, "datasets")
            full, identity = _dataset(chosen, Path(self.config.data_root))
            dataset_id = f"{slug(_source_name(chosen))}-{digest(identity)}"
            try:
                self._data[label] = self._look(label, dataset_id, full)
            except ValueError as error:
                raise ConfigError(f"datasets.{label}: {error}") from None
        return self._data[label]

    def _look(self, label: str, dataset_id: str, full: Json) -> Data:
        """What a data set holds: by its card, unless its source is there and not what it was."""
        folders, root = Folders.of(self.config.name, self.config.pathvars), Path(self.config.data_root)
        path = self.root / folders.place(f"data/{dataset_id}.json")
        if not path.exists():
            try:
                return Data(label, dataset_id, full, source_info.facts(full, root))
            except Gone as error:
                if not self._absent:
                    if not (self._fetches and full.get("download")):
                        raise
                    fetching.fetch(label, full, root)
                    return Data(label, dataset_id, full, source_info.facts(full, root))
                published = absent_data.published(full, root)
                facts = published or absent_data.stand_in(full)
                return Data(label, dataset_id, full, facts, absent=str(error), known=published is not None)
        card, record = read_card(path), self.root / seen_path(dataset_id)
        same = card["fingerprint"]
        try:
            fingerprint = source_info.look(full, root, record) if self._looks else seen.last(record) or same
            facts = _card_facts(card) if fingerprint == same else source_info.facts(full, root)
        except Gone as error:
            gone = "" if full.get("download") else str(error)  # what can be downloaded again may go
            return Data(label, dataset_id, full, _card_facts(card), same, gone)
        return Data(label, dataset_id, full, facts, fingerprint)

    def network(self, label: str, where: str = "network") -> Json:
        """The network called `label`: architecture, width, options and threads; `where` is for errors."""
        if label not in self._networks:
            chosen = self.look_up(self.networks, label, where, "networks")
            architecture, options = chosen.named(label), dict(chosen.model_extra or {})
            if not networks.is_foreign(architecture):
                options = self._options(architecture, options, self._places.get(label, f"networks.{label}"))
            self._networks[label] = {
                "architecture": architecture,
                "width": chosen.width,
                "options": options,
                "threads": chosen.threads,
            }
        return self._networks[label]

    def _options(self, architecture: str, options: Json, place: str) -> Json:
        """The options of a network of the library with its defaults; ConfigError for others."""
        if architecture not in networks.names():
            raise ConfigError(
                f"{place}: there is no architecture {architecture!r}; {spec.near(architecture, networks.names())}; for "
                "a network of torchvision, name it as torchvision:, for your own as module:"
            )
        with in_one_line(place):
            declared = networks.options(architecture)
        check_known(options, declared, place, list(spec.Network.model_fields))
        with in_one_line(place):
            networks.check_options(architecture, options)
        return {name: option.default for name, option in declared.items()} | options

    def variant(self, label: str, options: list[Overlay], key: str) -> str:
        """The name of the network called `label` with other options laid over its own; `label` itself without any."""
        changed = merge(*(overlay.settings for overlay in options))
        if not changed:
            return label
        name = f"{label} with {', '.join(f'{key} {value}' for key, value in sorted(changed.items()))}"
        if name not in self.networks:
            base = self.look_up(self.networks, label, key, "networks").model_dump()
            full = (
                base
                if base["torchvision"] or base["module"]
                else base | {"architecture": base["architecture"] or label}
            )
            self.networks[name] = check_overlaid(spec.Network, [Overlay(f"networks.{label}", full), *options])
            self._places[name] = options[-1].place
        return name

    def size(self, network: Json, channels: int, data: Data, label: str) -> int:
        """The size of the images that the network takes; ConfigError where its file gives none."""
        classes = self.outputs(label, len(data.facts["classes"]))
        with in_one_line(self._places.get(label, f"networks.{label}")):
            return networks.fitting_size(network, channels, data.size, classes)

    def table(self, network: Json, channels: int, size: int, classes: int, label: str) -> Table:
        """The layer table for an input of `channels` x `size` x `size`; ConfigError where the input is too small."""
        key = (digest(network), channels, size, classes)
        if key not in self._tables:
            place = self._places.get(label, f"networks.{label}")
            with in_one_line(place):
                table = networks.layer_table(network, channels, size, classes)
            check_size(table, network["architecture"], place)
            self._tables[key] = table
        return self._tables[key]

    def training(self, optimizer: str, changes: list[Overlay], sets: list[Overlay], key: str) -> TrainingInFull:
        """The training: the optimizer called so, with the changes put on top in order; `key` is for errors."""
        chosen = self.look_up(self.config.optimizers, optimizer, key, "optimizers")
        overlays = [Overlay("training", _explicit(self.config.training)), *changes]
        training = check_overlaid(spec.Training, overlays)
        chosen = check_overlaid(OPTIMIZER, [Overlay(f"optimizers.{optimizer}", _explicit(chosen)), *sets])
        check_schedules(training, overlays)
        stages = training.stages or [spec.Stage(epochs=training.epochs)]
        full = training.model_dump() | {
            "optimizer": chosen.model_dump(),
            "epochs": sum(stage.epochs for stage in stages),
            "stages": [_stage(stage, training.schedule, chosen.lr) for stage in stages],
        }
        del full["schedule"]
        identity = _identity(training) | {"optimizer": _identity(chosen)}
        if training.stages:
            identity.pop("epochs", None)
        return TrainingInFull(full, identity, overlays)

    def steps(self, chosen: list[spec.Step], table: Table, place: str) -> Steps:
        """The steps of a perturbation, which is written at `place`; their options are single values."""
        full, identities, words = [], [], []
        for number, step in enumerate(chosen):
            where = f"{place}.{number}" if len(chosen) > 1 else place
            known, options = step_options(step.type, where), step.model_extra or {}
            check_known(options, known, where, list(spec.Step.model_fields))
            with in_one_line(where):
                check_options(known, options, f"type '{step.type}'")
                perturbations.check(step.type, {name: option.default for name, option in known.items()} | options)
            if step.layers == "each":
                raise ConfigError(f"{where}.layers: 'each' is a ladder; give names of layers here")
            check_layers(step.layers, table, f"{where}.layers")
            fixed = {"type": step.type, "layers": step.layers, "tensors": step.tensors}
            full.append(fixed | {name: option.default for name, option in known.items()} | options)
            changed = {name: value for name, value in options.items() if value != known[name].default}
            defaults = {"layers": None, "tensors": "all"}
            identities.append({key: value for key, value in fixed.items() if value != defaults.get(key)} | changed)
            words.append(step.type)
        return Steps(full, identities, words)

    def given_outputs(self, label: str) -> int | None:
        """How many outputs the config gives the network, where it does."""
        return self.networks[label].outputs

    def outputs(self, label: str, classes: int) -> int:
        """How many outputs the network has for a data set of so many classes."""
        outputs = self.given_outputs(label) or classes
        if outputs < classes:
            raise ConfigError(f"networks.{label}.outputs: {outputs} for {classes} classes; allowed: {classes} or more")
        return outputs

    def look_up(self, named: Mapping[str, T], label: str, key: str, section: str) -> T:
        """The entry of a section called `label`; ConfigError, which begins with `key`, where there is none."""
        if label not in named:
            raise ConfigError(f"{key}: {label!r} is not one of the {section}; {spec.near(label, named)}")
        return named[label]


def seen_path(name: str) -> Path:
    """The file, below the working directory, that remembers the sizes and times of what a data set or a file of
    weights was made from."""
    return Path(".snakemake/atlas/seen") / f"{name}.json"


def _card_facts(card: Card) -> Facts:
    """What a prepared data set holds, from its card."""
    return {
        "classes": card["classes"],
        "channels": card["channels"],
        "size": card["size"],
        "counts": {split: sum(counts) for split, counts in card["counts"].items()},
        "per_class": card["counts"],
        "warnings": card.get("warnings", []),
    }


def _explicit(model: BaseModel) -> Json:
    """The settings that the config gives, defaults apart."""
    return model.model_dump(exclude_unset=True)


def _identity(model: BaseModel) -> Json:
    """What of a model's settings differs from the defaults, and which branch of a union it is."""
    identity = model.model_dump(exclude_defaults=True)
    for name in ("type", "source"):
        if hasattr(model, name):
            identity[name] = getattr(model, name)
    return identity


def _dataset(chosen: spec.Dataset, data_root: Path) -> InFull:
    """A data set; what of it changes the images counts for its id. `instead` is taken where its files exist."""
    instead = getattr(chosen, "instead", None)
    if instead and all((data_root / path).exists() for path in _paths(instead)):
        common = {key: value for key, value in _explicit(chosen).items() if key in spec.ImageSource.model_fields}
        chosen = spec.Folder(**merge(common, _explicit(instead)))
    identity = _identity(chosen)
    for key in ("title", "download", "archive", "instead"):
        identity.pop(key, None)
    full = chosen.model_dump()
    for key in ("title", "instead"):
        full.pop(key, None)
    return InFull(full, identity)


def _paths(folder: spec.Folder) -> list[str]:
    return [folder.path] if folder.path else [*(folder.train or []), *(folder.valid or []), *(folder.test or [])]


def _source_name(chosen: spec.Dataset) -> str:
    """What a data set is called in the names of files: by where it comes from, not by its label."""
    if isinstance(chosen, spec.Csv | spec.Npz):
        return Path(chosen.path).name.split(".")[0]
    if isinstance(chosen, spec.Npy):
        return Path(chosen.train.images).name.split(".")[0]
    if isinstance(chosen, spec.Folder):
        return Path(_paths(chosen)[0]).name.split(".")[0]
    return chosen.dataset if isinstance(chosen, spec.Torchvision) else chosen.source


def network_identity(network: Json) -> Json:
    """What of a network differs from its defaults."""
    declared = {} if networks.is_foreign(network["architecture"]) else networks.options(network["architecture"])
    defaults = {name: option.default for name, option in declared.items()}
    options = {name: value for name, value in network["options"].items() if value != defaults.get(name)}
    identity: Json = {"architecture": network["architecture"]} | ({"options": options} if options else {})
    return identity | {key: network[key] for key in ("width", "threads") if network[key] != 1}


def _stage(stage: spec.Stage, schedule: spec.Schedule, lr: float) -> Json:
    """A stage in full: its own rate and schedule, or those of the training."""
    return {
        "epochs": stage.epochs,
        "lr": stage.lr or lr,
        "schedule": (stage.schedule or schedule).model_dump(),
        "frozen": stage.frozen,
    }
