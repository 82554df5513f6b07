"""The studies of a config: grids of cells, and what starts from these cells."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from weight_atlas import schema
from weight_atlas.plan.spec.claims import Claim
from weight_atlas.plan.spec.messages import near
from weight_atlas.plan.spec.networks import Normalise
from weight_atlas.plan.spec.thresholds import Thresholds
from weight_atlas.plan.spec.values import (
    DISTINCT,
    Below,
    Epoch,
    Measures,
    Model,
    Name,
    Names,
    Path,
    Rate,
    Replicates,
    Take,
    Text,
    Title,
    Where,
)
from weight_atlas.shapes import OUTCOMES


def _outcome(text: str) -> str:
    """An outcome that the report can show: one of OUTCOMES, or "table.column" of a table with a row per replicate."""
    keys = (["cell_id", "seed"], ["cell_id", "seed", "epoch"])
    columns = [
        f"{table.name}.{column.name}"
        for table in schema.TABLES.values()
        if list(table.key) in keys
        for column in table.columns
        if column.type in ("integer", "number") and column.name not in table.key
    ]
    if text not in (*OUTCOMES, *columns):
        raise ValueError(f"names {text!r}; {near(text, [*OUTCOMES, *columns])}")
    return text


TUNED = (0.3, 3.0)  # factors of `tune: true`

Outcome = Annotated[str, AfterValidator(_outcome)]
Pattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/+@*?-]+$", max_length=200)]  # of names of tensors


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

    An option may be a list: a ladder, with one perturbation per value. `layers: each` is one per weight layer.
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
    controls: Annotated[list[Literal["same", "other", "repeat"]], DISTINCT] = ["same", "other"]
    state: Literal["fresh", "carried"] = "fresh"
    set: dict[str, Any] = {}
    training: dict[str, Any] = {}


Depths = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), DISTINCT]


class Transfer(Model):
    """First layers of a base cell, the rest fresh, trained on a target (Yosinski et al. 2014).

    A base is a cell of the grid, or given; the target is another data set of the same images, or the base's own.
    """

    base: Name
    target: Name
    depths: Literal["all", "stages"] | Depths = "all"
    modes: Annotated[list[Literal["frozen", "tuned", "random"]], Field(min_length=1), DISTINCT] = ["frozen"]
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
    epochs: Annotated[dict[Name, Epoch], Field(min_length=1)] | None = None
    match: Match | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epochs is None) == (self.match is None):
            raise ValueError("names neither or both of `epochs` and `match`; allowed: exactly one of them")
        return self


class Design(Model):
    """What an experiment says, and a study that is one experiment."""

    grid: Grid | None
    vary: Vary = {}
    tune: bool | Annotated[list[Rate], Field(min_length=1), DISTINCT] = False
    adjust: list[Adjust] = []
    exclude: list[Annotated[Where, Field(min_length=1)]] = []
    beyond: list[Annotated[Where, Field(min_length=1)]] = []
    checkpoints: list[Checkpoints] = []
    perturb: Perturb | list[Perturb] = []
    transfer: dict[Name, Transfer] = {}
    training: dict[str, Any] = {}
    question: Text | None = None
    of: Annotated[list[Outcome], DISTINCT] = []
    reference: dict[Name, Name] = {}
    order: Literal["path"] | None = None
    after: dict[Name, Name] = {}
    measure: Measures = []

    @property
    def factors(self) -> list[float]:
        """The factors on the optimizers' own learning rates that are tried beside these; [] where nothing is tuned."""
        factors = [*TUNED] if self.tune is True else self.tune or []
        return [factor for factor in factors if factor != 1]


class Experiment(Design):
    """A grid of cells, what is common to them, and what starts from them."""

    grid: Grid


class Given(Model):
    """Checkpoints of the user's own as safetensors files: a training series in order, or one per replicate.

    Without a network they are of any model, of which only the tensors are known.
    """

    network: Name | None = None
    files: Below | Annotated[list[Below], Field(min_length=1), DISTINCT]
    roles: dict[Pattern, Literal["weight", "bias", "norm", "embedding", "buffer"]] = {}
    dataset: Name | None = None
    size: Annotated[int, Field(ge=1, le=512)] | None = None
    normalise: Normalise | None = None

    @model_validator(mode="after")
    def _of_a_network(self) -> Self:
        for key in ("dataset", "size"):
            if getattr(self, key) is not None and self.network is None:
                what = "accuracy and features need one" if key == "dataset" else "its images have a size"
                raise ValueError(f"names `{key}` without `network`; allowed: with a network ({what})")
        if self.roles and self.network is not None:
            raise ValueError("names `roles` and `network`; allowed: one of them (a network says what its tensors are)")
        return self

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.normalise and not self.dataset:
            raise ValueError("names `normalise` without `dataset`; allowed: with images to normalise")
        if self.dataset and self.size:
            raise ValueError("names `dataset` and `size`; allowed: one of them (a data set has a size of its own)")
        return self


class Study(Design):
    """One study: one experiment, or several of them by name, with what is common to all; or given checkpoints alone."""

    title: Title | None = None
    text: Text | None = None
    document: Path | None = None
    replicates: Replicates | None = None
    keep: Literal["all", "checkpoints", "ends"] = "all"
    grid: Grid | None = None
    experiments: dict[Name, Experiment] = {}
    given: Annotated[list[Name], DISTINCT] = []
    claims: list[Claim] = []
    references: Annotated[list[Path], DISTINCT] = []
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _either(self) -> Self:
        alone = [key for key in Design.model_fields if key not in ("training", "measure") and getattr(self, key)]
        if not (self.experiments or self.given) and self.grid is None:
            raise ValueError("names neither `grid` nor `experiments`; allowed: one of them")
        if alone and self.grid is None and not self.experiments:
            raise ValueError(f"names `{alone[0]}` without `grid`; allowed: with a grid to train")
        if self.experiments and alone:
            raise ValueError(f"names `experiments` and `{alone[0]}`; allowed: `{alone[0]}` within each experiment")
        designs: list[Design] = [self, *self.experiments.values()]
        if self.keep == "ends" and any(design.checkpoints for design in designs):
            raise ValueError("has `checkpoints` and `keep: ends`; allowed: keep: checkpoints, or all")
        return self
