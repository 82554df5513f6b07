"""The config as typed models: every key, its type, its default and its range.

`config/schema.json` is generated from these models (a test holds the two together), and so are the one-line
messages for a wrong config. Defaults live here and nowhere else: a cell carries its settings in full.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator


def number(value: Any) -> Any:
    """The value as a float where it is a text that stands for one: YAML 1.1 reads 1e-3 as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def flag(value: Any) -> Any:
    """The value as a boolean where it is `true` or `false` as a text, as `--config` passes them on."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


NUMBER = BeforeValidator(number)
Positive = Annotated[int, Field(gt=0)]
Flag = Annotated[bool, BeforeValidator(flag)]
Rate = Annotated[float, Field(gt=0), NUMBER]
Share = Annotated[float, Field(ge=0, lt=1), NUMBER]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
Names = Annotated[list[Name], Field(min_length=1)]
Where = dict[str, Name | list[Name]]
Take = Literal["last", "best"] | Annotated[int, Field(ge=0)]
SCHEMES = ("kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "default")
Scheme = Literal["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "default"]


class Model(BaseModel):
    """A part of the config: unknown keys are refused, and no type is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, dict) and cls.model_config["extra"] == "forbid":
            for key, value in given.items():
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r} (value {value!r}); allowed: {', '.join(cls.model_fields)}")
        return given


def _relative(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("is not a path below data_root")
    return path


# ---------------------------------------------------------------------------------------------- data


class Counts(Model):
    """Pictures a class, at most, in each split."""

    train: Positive | None = None
    valid: Positive | None = None
    test: Positive | None = None


class Fractions(Model):
    """Shares of a source that has no split of its own."""

    train: Rate = 0.7
    valid: Rate = 0.15
    test: Rate = 0.15

    @model_validator(mode="after")
    def _one(self) -> Self:
        if abs(self.train + self.valid + self.test - 1) > 1e-9:
            raise ValueError(f"train + valid + test is {self.train + self.valid + self.test:g}; allowed: 1")
        return self


class RandomClasses(Model):
    """Classes drawn by seed: the source's classes in random order, cut into groups of `count`, and one of these."""

    count: Positive
    seed: Annotated[int, Field(ge=0)] = 0
    group: Annotated[int, Field(ge=0)] = 0


class Pictures(Model):
    """What every source of pictures has in common."""

    title: str | None = None
    channels: Literal[1, 3] | None = None
    classes: list[str | int] | RandomClasses | None = None
    without: list[str | int] = []
    labels: Literal["original", "compact"] = "original"
    per_class: Counts | None = None
    split: Fractions = Fractions()
    seed: Annotated[int, Field(ge=0)] = 0


class Digits(Pictures):
    """scikit-learn's bundled 1,797 scans of digits, enlarged."""

    source: Literal["digits"]
    size: Annotated[int, Field(ge=8, le=512)] = 28


class Folder(Pictures):
    """Pictures in one directory a class, plain or zipped, below data_root."""

    source: Literal["folder"]
    path: str | None = None
    train: list[str] | None = None
    valid: list[str] | None = None
    test: list[str] | None = None
    size: Annotated[int, Field(ge=8, le=512)] | None = None

    @field_validator("path")
    @classmethod
    def _below(cls, path: str | None) -> str | None:
        return path and _relative(path)

    @field_validator("train", "valid", "test")
    @classmethod
    def _all_below(cls, paths: list[str] | None) -> list[str] | None:
        return paths and [_relative(path) for path in paths]

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise ValueError("names neither or both of `path` and `train`; allowed: exactly one of them")
        return self


class Torchvision(Pictures):
    """A data set that torchvision reads (and downloads, where allowed)."""

    source: Literal["torchvision"]
    dataset: Literal["MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"]
    download: bool = True
    archive: str | None = None
    instead: Folder | None = None
    size: Annotated[int, Field(ge=8, le=512)] | None = None


Dataset = Annotated[Digits | Folder | Torchvision, Field(discriminator="source")]


# ------------------------------------------------------------------------------------------ networks


class Network(Model):
    """An architecture with its width and its options; the rest of its keys are the architecture's own."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    architecture: Name | None = None
    width: Annotated[float, Field(gt=0, le=4), NUMBER] = 1.0
    outputs: Positive | None = None
    threads: Annotated[int, Field(ge=1, le=64)] = 1


# ------------------------------------------------------------------------------------------ training


class SGD(Model):
    """torch.optim.SGD."""

    type: Literal["sgd"]
    lr: Rate = 0.01
    momentum: Annotated[float, Field(ge=0), NUMBER] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0), NUMBER] = 0.0

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("asks for nesterov without momentum; allowed: momentum > 0 with nesterov")
        return self


class Adam(Model):
    """torch.optim.Adam."""

    type: Literal["adam"]
    lr: Rate = 0.001
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.9, 0.999]
    eps: Rate = 1e-8
    weight_decay: Annotated[float, Field(ge=0), NUMBER] = 0.0


Optimizer = Annotated[SGD | Adam, Field(discriminator="type")]


class Constant(Model):
    """The optimizer's rate throughout."""

    type: Literal["constant"] = "constant"
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class RateTable(Model):
    """One rate an epoch, as a document prints them."""

    type: Literal["table"]
    rates: Annotated[list[Rate], Field(min_length=1)]
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class MultiStep(Model):
    """torch.optim.lr_scheduler.MultiStepLR: the rate times `gamma` at each milestone (in epochs)."""

    type: Literal["multistep"]
    milestones: Annotated[list[Positive], Field(min_length=1)]
    gamma: Rate = 0.1
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class Cosine(Model):
    """torch.optim.lr_scheduler.CosineAnnealingLR, step by step, down to `floor` times the rate."""

    type: Literal["cosine"]
    floor: Share = 0.0
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class OneCycle(Model):
    """torch.optim.lr_scheduler.OneCycleLR with cosine annealing; `lr` is the largest rate; momentum stays."""

    type: Literal["onecycle"]
    rise: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.3
    start_divisor: Annotated[float, Field(gt=1), NUMBER] = 25.0
    end_divisor: Annotated[float, Field(gt=1), NUMBER] = 10000.0


class Plateau(Model):
    """torch.optim.lr_scheduler.ReduceLROnPlateau on the validation loss, without cooldown."""

    type: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    threshold: Share = 1e-4
    min_lr: Annotated[float, Field(ge=0), NUMBER] = 0.0
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


Schedule = Annotated[Constant | RateTable | MultiStep | Cosine | OneCycle | Plateau, Field(discriminator="type")]


class EarlyStopping(Model):
    """Keras's EarlyStopping on the validation loss: a stage ends when it was not below the best for `patience` epochs.

    The weights stay those of the last epoch: `best` keeps the best validation epoch's in any case.
    """

    patience: Positive
    min_delta: Annotated[float, Field(ge=0), NUMBER] = 0.0


class Stage(Model):
    """A stretch of epochs with its own rate and its own frozen layers (a number counted from the input, or names)."""

    epochs: Positive
    lr: Rate | None = None
    schedule: Schedule | None = None
    frozen: Annotated[int, Field(ge=0)] | list[str] = 0


class Augment(Model):
    """Label-preserving changes of the training pictures, made on the device."""

    crop: Annotated[int, Field(ge=0, le=64)] = 0
    flip: Literal[False, True, "horizontal", "vertical", "both", "always"] = False
    rotation: Annotated[float, Field(ge=0, le=180), NUMBER] = 0.0
    shift: Annotated[float, Field(ge=0, le=1), NUMBER] = 0.0
    shear: Annotated[float, Field(ge=0, lt=90), NUMBER] = 0.0
    shear_unit: Literal["degrees", "fraction"] = "degrees"
    zoom: Annotated[list[Rate], Field(min_length=2, max_length=2)] = [1.0, 1.0]
    brightness: Annotated[float, Field(ge=0, le=1), NUMBER] = 0.0
    cutout: Annotated[int, Field(ge=0, le=512)] = 0
    fill: Literal["black", "nearest"] = "black"

    @field_validator("flip")
    @classmethod
    def _one_word(cls, flip: bool | str) -> bool | str:
        return True if flip == "horizontal" else flip

    @field_validator("zoom")
    @classmethod
    def _in_order(cls, zoom: list[float]) -> list[float]:
        if zoom[0] > zoom[1]:
            raise ValueError(f"{zoom} goes down; allowed: the smaller factor first")
        return zoom


class Penalty(Model):
    """Elastic net on the weights of some layers: weight x (alpha x sum of |w| + (1 - alpha) x sum of squares)."""

    layers: Annotated[list[str], Field(min_length=1)] | None = None
    alpha: Annotated[float, Field(ge=0, le=1), NUMBER]
    weight: Rate


class Training(Model):
    """How a cell is trained, its optimizer apart."""

    epochs: Positive = 20
    batch_size: Positive = 128
    schedule: Schedule = Constant()
    stages: Annotated[list[Stage], Field(min_length=1)] | None = None
    early_stopping: EarlyStopping | None = None
    augment: Augment = Augment()
    copies: Annotated[list[Augment], Field(min_length=1)] | None = None
    redraw: bool = True
    penalty: Penalty | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    frozen_batchnorm: Literal["fixed", "batch"] = "fixed"
    frozen_dropout: bool = True
    cache_features: bool = False
    track: bool = False
    keep_optimizer: bool = False
    snapshots: Literal["all", "ends"] | list[Annotated[int, Field(ge=0)]] = "all"

    @model_validator(mode="after")
    def _changed_once(self) -> Self:
        if self.copies and self.augment != Augment():
            raise ValueError("has `augment` and `copies`; allowed: one of them (each copy has an augment of its own)")
        changed = any(augment != Augment() for augment in self.copies or [self.augment])
        if self.cache_features and changed and self.redraw:
            raise ValueError(
                "has `cache_features` and pictures that change from epoch to epoch; allowed: redraw: false"
            )
        return self


# ------------------------------------------------------------------------------------------- studies


class Init(Model):
    """Where the weights of a cell come from: a scheme, published weights, a file, or a source cell."""

    scheme: Scheme = "kaiming_uniform"
    weights: Literal["imagenet"] | None = None
    file: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    source: Name | None = None
    take: Take = "last"
    grey: Literal["replicate", "sum_conv1"] = "replicate"
    head: Literal["fresh", "copied"] = "fresh"
    layers: Names | None = None
    perturb: list[Name] = []
    where: Where = {}

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [key for key in ("weights", "file", "source") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"names {' and '.join(given)}; allowed: one of weights, file, source")
        return self


class Source(Model):
    """A cell of another data set whose trained weights start a cell here.

    Its network is that of the cell, or `network`, where the layers that are taken have the same names and shapes.
    """

    dataset: Name
    network: Name | None = None
    init: Name
    optimizer: Name
    training: dict[str, Any] = {}


class Overrides(Model):
    """Settings that a level of an extra axis, or an adjustment, puts on top."""

    dataset: Name | None = None
    network: Name | None = None
    init: Name | None = None
    optimizer: Name | None = None
    options: dict[str, Any] = {}
    set: dict[str, Any] = {}
    training: dict[str, Any] = {}

    @property
    def labels(self) -> dict[str, str]:
        """The labels that take the place of the grid's, by axis."""
        return {axis: getattr(self, axis) for axis in Grid.model_fields if getattr(self, axis)}


class Adjust(Model):
    """Changes for the cells whose labels match `where`: `set` for the optimizer, `training` for the rest."""

    where: Annotated[Where, Field(min_length=1)]
    set: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Grid(Model):
    """The four axes of every study, by the names given in the config."""

    dataset: Names
    network: Names
    init: Names
    optimizer: Names


Vary = dict[Name, Annotated[dict[Name, Overrides], Field(min_length=1)]]


class Step(Model):
    """One change of trained weights; the rest of its keys are the perturbation's own options.

    An option may be a list: a ladder, with one perturbation a value. `layers: each` is one perturbation a weight layer.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    type: Name
    layers: Names | Literal["each"] | None = None
    tensors: Literal["all", "weights", "convolutions"] = "all"


class Perturb(Model):
    """Which cells of the grid are perturbed, how, and how they are trained again."""

    perturbations: Names
    where: Where = {}
    take: Take = "last"
    controls: list[Literal["same", "other", "repeat"]] = ["same", "other"]
    state: Literal["fresh", "carried"] = "fresh"
    set: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Transfer(Model):
    """First layers of a base cell, the rest fresh, trained on a target (Yosinski et al. 2014).

    A base is a cell of the grid; the target is another data set of the same pictures, or the base's own.
    """

    base: Name
    target: Name
    depths: Literal["all"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = "all"
    modes: Annotated[list[Literal["frozen", "tuned", "random"]], Field(min_length=1)] = ["frozen"]
    where: Where = {}
    take: Take = "best"
    vary: Vary = {}
    extra: bool = False
    set: dict[str, Any] = {}
    training: dict[str, Any] = {}


class Match(Model):
    """Checkpoints at the epochs where a cell is nearest to another one at its own checkpoints."""

    to: Annotated[Where, Field(min_length=1)]
    by: Literal["valid_accuracy", "train_loss"] = "valid_accuracy"


class Checkpoints(Model):
    """Names for some epochs of the cells that `where` fits: a number each, or matched to another cell's."""

    where: Where = {}
    epochs: dict[Name, Annotated[int, Field(ge=0)]] | None = None
    match: Match | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epochs is None) == (self.match is None):
            raise ValueError("names neither or both of `epochs` and `match`; allowed: exactly one of them")
        return self


class Experiment(Model):
    """A grid of cells, what is common to them, and what starts from them."""

    grid: Grid
    vary: Vary = {}
    adjust: list[Adjust] = []
    exclude: list[Annotated[Where, Field(min_length=1)]] = []
    beyond: list[Annotated[Where, Field(min_length=1)]] = []
    checkpoints: list[Checkpoints] = []
    perturb: Perturb | list[Perturb] = []
    transfer: dict[Name, Transfer] = {}
    training: dict[str, Any] = {}


class Given(Model):
    """Checkpoints of the user's own as safetensors files: a training series in order, or one a replicate."""

    network: Name
    files: str | Annotated[list[str], Field(min_length=1)]
    dataset: Name | None = None
    size: Annotated[int, Field(ge=1, le=512)] | None = None

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.dataset and self.size:
            raise ValueError("names `dataset` and `size`; allowed: one of them (a data set has a size of its own)")
        return self


class Study(Experiment):
    """One study: one experiment, or several of them by name, with what is common to all; or given checkpoints alone."""

    title: str | None = None
    text: str | None = None
    chapter: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] | None = None
    replicates: Positive | None = None
    keep: Literal["all", "checkpoints", "ends"] = "all"
    grid: Grid | None = None
    experiments: dict[Name, Experiment] = {}
    given: list[Name] = []

    @model_validator(mode="after")
    def _either(self) -> Self:
        alone = [key for key in Experiment.model_fields if key != "training" and getattr(self, key)]
        if not (self.experiments or self.given) and self.grid is None:
            raise ValueError("names neither `grid` nor `experiments`; allowed: one of them")
        if alone and self.grid is None and not self.experiments:
            raise ValueError(f"names `{alone[0]}` without `grid`; allowed: with a grid to train")
        if self.experiments and alone:
            raise ValueError(f"names `experiments` and `{alone[0]}`; allowed: `{alone[0]}` within each experiment")
        if self.keep == "ends" and any(part.checkpoints for part in (self, *self.experiments.values())):
            raise ValueError("has `checkpoints` and `keep: ends`; allowed: keep: checkpoints, or all")
        return self


# Keys that say what to do this once: they are no part of what results are made from.
PASSING = ("retry_failed", "prune", "compare")


class Config(Model):
    """One config file: a name, and the studies that it asks for, at a scale."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
    title: str = "Weight Atlas"
    text: str | None = None
    data_root: str = "data/downloads"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    jobs_per_gpu: Positive = 1
    failures: Literal["record", "stop"] = "record"
    retry_failed: Flag = False
    adopt: Flag = False
    prune: Literal["list", "remove"] = "list"
    replicates: Positive = 3
    replicates_per_job: Positive = 3
    datasets: dict[Name, Dataset] = {}
    networks: Annotated[dict[Name, Network], Field(min_length=1)]
    inits: dict[Name, Init | list[Init]] = {}
    optimizers: dict[Name, Optimizer] = {}
    sources: dict[Name, Source] = {}
    perturbations: dict[Name, Step | list[Step]] = {}
    training: Training = Training()
    given: dict[Name, Given] = {}
    definitions: dict[Name, Study] = {}
    studies: str | list[Name] = "all"
    compare: str | None = None

    @model_validator(mode="after")
    def _studies(self) -> Self:
        self._untold()
        needed = ["definitions"] if not self.definitions else ["datasets", "optimizers"] if self._trains else []
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f"{key}: is missing; the config must give it")
        if "data" in self.definitions:
            raise ValueError("definitions: 'data' is the chapter of the data sets; allowed: any other name")
        for name in self.asked:
            if name not in self.definitions:
                raise ValueError(f"studies: {name!r} is not defined; allowed: all, {', '.join(self.definitions)}")
        return self

    def _untold(self) -> None:
        """Given checkpoints that no study names are a study of their own, called `given`."""
        told = {name for study in self.definitions.values() for name in study.given}
        if rest := [name for name in self.given if name not in told]:
            if "given" in self.definitions:
                raise ValueError(f"definitions.given.given: does not name {rest[0]!r}, nor does another study; add it")
            self.definitions = self.definitions | {"given": Study(title="Your own checkpoints", given=rest)}

    @property
    def _trains(self) -> bool:
        """Whether some study has cells to train."""
        return any(study.grid or study.experiments for study in self.definitions.values())

    @property
    def asked(self) -> list[str]:
        """The names of the studies that this config asks for, in order."""
        if self.studies == "all":
            return list(self.definitions)
        names = self.studies.split(",") if isinstance(self.studies, str) else self.studies
        return list(dict.fromkeys(names))


def line(error: ValidationError, where: str, given: Any) -> str:
    """The first thing that is wrong with `given`, in one line: the key (after `where`), the value, what is allowed."""
    first = error.errors()[0]
    key = ".".join(filter(None, [where, *_keys(first["loc"], given, first["type"] == "missing")])) or "config"
    message, value = first["msg"].removeprefix("Value error, "), repr(first["input"])
    if first["type"] == "missing":
        return f"{key}: is missing; the config must give it"
    if first["type"] == "value_error":
        return message if key == "config" else f"{key}: {message}"
    return (
        f"{key}: {value if len(value) <= 80 else value[:77] + '...'} is not allowed; {message[0].lower()}{message[1:]}"
    )


def _keys(loc: tuple[int | str, ...], given: Any, missing: bool) -> list[str]:
    """The keys of the config in pydantic's location, which also names the branches of unions."""
    found = []
    for position, step in enumerate(loc):
        if isinstance(given, dict) and step in given or isinstance(given, list) and isinstance(step, int):
            given = given[step]
            found.append(str(step))
        elif missing and position == len(loc) - 1:
            found.append(str(step))
    return found
