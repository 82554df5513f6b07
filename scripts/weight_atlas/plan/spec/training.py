"""How cells are trained: schedules, stages, augmentation."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from weight_atlas.plan.spec.values import DISTINCT, NUMBER, Epoch, Epochs, Model, Name, Positive, Rate, Share


class Constant(Model):
    """The optimizer's rate throughout."""

    type: Literal["constant"] = "constant"
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class RateTable(Model):
    """One rate per epoch, as a document prints them."""

    type: Literal["table"]
    rates: Annotated[list[Rate], Field(min_length=1)]
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


class MultiStep(Model):
    """torch.optim.lr_scheduler.MultiStepLR: the rate times `gamma` at each milestone (in epochs)."""

    type: Literal["multistep"]
    milestones: Annotated[list[Epochs], Field(min_length=1), DISTINCT]
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
    patience: Epoch = 10
    threshold: Share = 1e-4
    min_lr: Annotated[float, Field(ge=0), NUMBER] = 0.0
    warmup: Annotated[float, Field(ge=0), NUMBER] = 0.0


Schedule = Annotated[Constant | RateTable | MultiStep | Cosine | OneCycle | Plateau, Field(discriminator="type")]


class EarlyStopping(Model):
    """Keras's EarlyStopping on the validation loss: a stage ends when it was not below the best for `patience` epochs.

    The weights stay those of the last epoch: `best` keeps the best validation epoch's in any case.
    """

    patience: Epochs
    min_delta: Annotated[float, Field(ge=0), NUMBER] = 0.0


class Stage(Model):
    """A stretch of epochs with its own rate and its own frozen layers (a number counted from the input, or names)."""

    epochs: Epochs
    lr: Rate | None = None
    schedule: Schedule | None = None
    frozen: Annotated[int, Field(ge=0)] | Annotated[list[Name], DISTINCT] = 0


class Augment(Model):
    """Label-preserving changes of the training images, made on the device."""

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

    layers: Annotated[list[Name], Field(min_length=1), DISTINCT] | None = None
    alpha: Annotated[float, Field(ge=0, le=1), NUMBER]
    weight: Rate


class EMA(Model):
    """torch.optim.swa_utils: an exponential moving average of weights and running statistics, after every step."""

    type: Literal["ema"]
    decay: Share = 0.999


class SWA(Model):
    """torch.optim.swa_utils: the mean of the weights after each epoch from `start` on, with update_bn."""

    type: Literal["swa"]
    start: Epochs


Average = Annotated[EMA | SWA, Field(discriminator="type")]


class Training(Model):
    """How a cell is trained, its optimizer apart."""

    epochs: Epochs = 20
    batch_size: Positive = 128
    schedule: Schedule = Constant()
    stages: Annotated[list[Stage], Field(min_length=1)] | None = None
    early_stopping: EarlyStopping | None = None
    augment: Augment = Augment()
    copies: Annotated[list[Augment], Field(min_length=1)] | None = None
    redraw: bool = True
    penalty: Penalty | None = None
    label_smoothing: Share = 0.0
    clip_norm: Rate | None = None
    average: Average | None = None
    output_scale: Rate | None = None
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    frozen_batchnorm: Literal["fixed", "batch"] = "fixed"
    frozen_dropout: bool = True
    cache_features: bool = False
    track: bool = False
    keep_optimizer: bool = False
    snapshots: Literal["all", "ends"] | Annotated[list[Epoch], DISTINCT] = "all"

    @model_validator(mode="after")
    def _changed_once(self) -> Self:
        if self.copies and self.augment != Augment():
            raise ValueError("has `augment` and `copies`; allowed: one of them (each copy has an augment of its own)")
        changed = any(augment != Augment() for augment in self.copies or [self.augment])
        if self.cache_features and changed and self.redraw:
            raise ValueError("has `cache_features` and images that change from epoch to epoch; allowed: redraw: false")
        if self.cache_features and self.output_scale is not None:
            raise ValueError("has `cache_features` and `output_scale`; allowed: one of them")
        for key in ("cache_features", "output_scale", "keep_optimizer"):
            if self.average and getattr(self, key):
                raise ValueError(f"has `average` and `{key}`; allowed: one of them")
        return self
