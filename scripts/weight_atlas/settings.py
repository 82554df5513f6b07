"""A resolved cell: every setting that its results depend on, the seed apart. The plan makes it; all others read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What images are normalised by, per channel (red, green, blue) or for all, on the scale 0 to 1: as torchvision's
# published weights were trained with, and not at all.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
UNCHANGED = {"mean": [0.0], "std": [1.0]}

Frozen = int | list[str]  # how many weight layers, counted from the input, or their names


@dataclass(frozen=True)
class Input:
    """The images that a network takes: their channels, and their side in pixels.

    mean, std: per channel, or one for all, on the scale 0 to 1: what they are normalised by; None where by the data
    set's own.
    """

    channels: int
    size: int
    mean: list[float] | None = None
    std: list[float] | None = None


@dataclass(frozen=True)
class Network:
    """A form of an architecture; or the tensors of a model of which no more is known, whose architecture is "".

    tensors: folded, as `weight_atlas.networks.stored` has them; None where the architecture says which there are.
    """

    architecture: str
    width: float
    options: dict[str, Any]
    threads: int
    tensors: dict[str, list[Any]] | None = None


@dataclass(frozen=True)
class Draw:
    """How weights are drawn: a scheme of torch.nn.init, those of its options that are given, and a factor on them.

    layers: names, or prefixes of names, of the layers that it is for; None for all.
    """

    scheme: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    scale: float = 1.0
    layers: list[str] | None = None


@dataclass(frozen=True)
class Start:
    """Where the weights come from; None where a kind has no such setting.

    kind: `init` (drawn), `weights` (a file), `parent` (a trained cell of other data), `perturb` (a trained cell,
    changed), `graft` (its first layers), `given`. scheme, options, scale: of what is drawn, as in a Draw;
    by_layer: Draws of some layers, as JSON. cell: the parent; take: which of its snapshots; layers: the names of the
    layers that are copied, or how many; steps: the changes; order, repeat, state: of retraining.
    """

    kind: str
    scheme: str | None = None
    options: dict[str, Any] | None = None
    scale: float | None = None
    by_layer: list[dict[str, Any]] | None = None
    cell: str | None = None
    take: str | int | None = None
    layers: int | list[str] | None = None
    head: str | None = None
    grey: str | None = None
    weights_id: str | None = None
    steps: list[dict[str, Any]] | None = None
    order: str | None = None
    repeat: int | None = None
    state: str | None = None
    files: str | list[str] | None = None

    @property
    def draws(self) -> list[Draw]:
        """How layers are drawn: the last Draw that is for a layer counts."""
        return [
            Draw(self.scheme or "", self.options or {}, self.scale or 1.0),
            *(Draw(**one) for one in self.by_layer or []),
        ]

    @property
    def is_drawn(self) -> bool:
        """Whether it takes nothing from a file: an init scheme, or a graft without a layer of any base."""
        return self.kind == "init" or (self.kind == "graft" and self.cell is None)

    @property
    def pruning(self) -> dict[str, Any] | None:
        """The one step that it is changed by, where that prunes weights."""
        steps = self.steps or []
        return steps[0] if len(steps) == 1 and steps[0]["type"] == "prune" else None

    @property
    def carries_state(self) -> bool:
        """Whether the optimizer goes on from the parent's state."""
        return self.state == "carried"

    def taken_snapshot(self, last: int) -> int | str:
        """Which snapshot of a parent of `last` epochs it takes: an epoch, or `best`."""
        return last if self.take is None or self.take == "last" else self.take


@dataclass(frozen=True)
class Optimizer:
    """A torch.optim optimizer by its name in the config, with its options."""

    type: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Constant:
    """The optimizer's learning rate throughout. warmup, here and below: epochs."""

    warmup: float = 0.0


@dataclass(frozen=True)
class RateTable:
    """One learning rate per epoch."""

    rates: list[float]
    warmup: float = 0.0


@dataclass(frozen=True)
class MultiStep:
    """torch.optim.lr_scheduler.MultiStepLR, milestones in epochs."""

    milestones: list[int]
    gamma: float
    warmup: float = 0.0


@dataclass(frozen=True)
class Cosine:
    """torch.optim.lr_scheduler.CosineAnnealingLR down to `floor` times the rate."""

    floor: float
    warmup: float = 0.0


@dataclass(frozen=True)
class OneCycle:
    """torch.optim.lr_scheduler.OneCycleLR with cosine annealing; `lr` is the largest rate."""

    rise: float
    start_divisor: float
    end_divisor: float
    warmup: float = 0.0


@dataclass(frozen=True)
class Plateau:
    """torch.optim.lr_scheduler.ReduceLROnPlateau on the validation loss."""

    factor: float
    patience: int
    threshold: float
    min_lr: float
    warmup: float = 0.0


Schedule = Constant | RateTable | MultiStep | Cosine | OneCycle | Plateau
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "table": RateTable,
    "multistep": MultiStep,
    "cosine": Cosine,
    "onecycle": OneCycle,
    "plateau": Plateau,
}


@dataclass(frozen=True)
class Stage:
    """A number of epochs with one schedule and one set of frozen layers."""

    epochs: int
    lr: float
    schedule: Schedule
    frozen: Frozen

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Stage":
        """A stage from its JSON."""
        options = dict(record["schedule"])
        schedule = SCHEDULES[options.pop("type")](**options)
        return cls(record["epochs"], record["lr"], schedule, record["frozen"])


@dataclass(frozen=True)
class EarlyStopping:
    """Keras's EarlyStopping on the validation loss."""

    patience: int
    min_delta: float


@dataclass(frozen=True)
class EMA:
    """An exponential moving average of the weights, step by step."""

    decay: float


@dataclass(frozen=True)
class SWA:
    """Stochastic weight averaging: the mean of the weights after each epoch from `start` on."""

    start: int


AVERAGES: dict[str, type[EMA | SWA]] = {"ema": EMA, "swa": SWA}


@dataclass(frozen=True)
class Penalty:
    """Elastic net on the weights of some layers, or of all."""

    layers: list[str] | None
    alpha: float
    weight: float


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, all off by default; the config's reference has their units."""

    crop: int = 0
    flip: bool | str = False
    rotation: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    shear_unit: str = "degrees"
    zoom: list[float] = field(default_factory=lambda: [1.0, 1.0])
    brightness: float = 0.0
    cutout: int = 0
    fill: str = "black"


@dataclass(frozen=True)
class Training:
    """How a cell is trained."""

    epochs: int
    batch_size: int
    stages: list[Stage]
    early_stopping: EarlyStopping | None
    augment: Augmentation
    copies: list[Augmentation] | None
    redraw: bool
    penalty: Penalty | None
    label_smoothing: float
    clip_norm: float | None
    precision: str
    frozen_batchnorm: str
    frozen_dropout: bool
    cache_features: bool
    track: bool
    keep_optimizer: bool
    optimizer: Optimizer
    output_scale: float | None
    average: EMA | SWA | None = None  # which older results do not say

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Training":
        """A training from its JSON."""
        optimizer, average = dict(record["optimizer"]), dict(record.get("average") or {})
        nested = {
            "stages": [Stage.parse(stage) for stage in record["stages"]],
            "early_stopping": record["early_stopping"] and EarlyStopping(**record["early_stopping"]),
            "augment": Augmentation(**record["augment"]),
            "copies": record["copies"] and [Augmentation(**copy) for copy in record["copies"]],
            "penalty": record["penalty"] and Penalty(**record["penalty"]),
            "average": AVERAGES[average.pop("type")](**average) if average else None,
            "optimizer": Optimizer(optimizer.pop("type"), optimizer),
        }
        return cls(**{**record, **nested})


@dataclass(frozen=True)
class Settings:
    """A resolved cell.

    snapshots: `all`, `ends`, or the epochs that are kept; of given checkpoints their epochs. epochs: the last one.
    json: the same as files hold it.
    """

    dataset_id: str
    classes: int
    input: Input
    network: Network
    start: Start
    epochs: int
    snapshots: str | list[int]
    json: dict[str, Any] = field(repr=False)
    _training: Training | None = field(repr=False)

    @property
    def training(self) -> Training:
        """How it is trained; ValueError for given checkpoints, which are not."""
        if self._training is None:
            raise ValueError("the checkpoints are given: they have no training")
        return self._training

    @property
    def stages(self) -> list[Stage]:
        """The stages of its training; none of given checkpoints."""
        return self._training.stages if self._training else []

    @property
    def is_given(self) -> bool:
        """Whether its snapshots are the user's own."""
        return self._training is None

    @property
    def network_arguments(self) -> tuple[dict[str, Any], int, int, int]:
        """What `weight_atlas.networks.layer_table` and `build` take."""
        return self.json["network"], self.input.channels, self.input.size, self.classes

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Settings":
        """A resolved cell from its JSON.

        Raises
        ------
        ValueError
            In one line, where a setting is missing or unknown: the results are of another version.
        """
        try:
            return cls(
                dataset_id=record["dataset_id"],
                classes=record["classes"],
                input=Input(**record["input"]),
                network=Network(**record["network"]),
                start=Start(**record["start"]),
                epochs=record["training"]["epochs"],
                snapshots=record["snapshots"],
                json=dict(record),
                _training=None if record["start"]["kind"] == "given" else Training.parse(record["training"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"the settings are of another version of Weight Atlas: {error}") from None
