"""The networks of a config, and where their weights come from."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from weight_atlas.networks.named import TORCHVISION
from weight_atlas.plan.spec.values import (
    DISTINCT,
    NUMBER,
    Below,
    Model,
    Name,
    Names,
    Path,
    Positive,
    Rate,
    Scheme,
    Take,
    Where,
    at_most,
)

MODULE = r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$"  # mine.py:Net, or package.module:Net


class Network(Model):
    """An architecture with its width and its options; the rest of its keys are the architecture's own.

    It is a file of the library, a classifier of torchvision, or what a module of Python makes.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    architecture: Name | None = None
    torchvision: Name | None = None
    module: Annotated[Path, Field(pattern=MODULE)] | None = None
    width: Annotated[float, Field(gt=0, le=4), NUMBER] = 1.0
    outputs: Annotated[int, Field(gt=0), at_most(1_000_000)] | None = None
    threads: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [key for key in ("architecture", "torchvision", "module") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"names {' and '.join(given)}; allowed: one of architecture, torchvision, module")
        if self.torchvision and self.width != 1:
            raise ValueError(f"gives width to torchvision's {self.torchvision}; give its own option, if it has one")
        return self

    def named(self, label: str) -> str:
        """The architecture: a file's name (that of the label, where none is given), or `<module>:<name>`."""
        if self.torchvision:
            return f"{TORCHVISION}:{self.torchvision}"
        return self.module or self.architecture or label


class Constants(Model):
    """What images are normalised by, on the scale 0 to 1: a value per channel, or one for all."""

    mean: Annotated[list[Annotated[float, Field(ge=0, le=1), NUMBER]], Field(min_length=1, max_length=3)]
    std: Annotated[list[Annotated[float, Field(gt=0, le=1), NUMBER]], Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"{len(self.mean)} values of `mean` and {len(self.std)} of `std`; allowed: as many of both"
            )
        return self


Normalise = Literal["data", "imagenet", "none"] | Constants


Float = Annotated[float, NUMBER]
SPREAD = ("mean", "std")
FANS = ("mode", "nonlinearity", "a")
# The options of each scheme, those of its function in torch.nn.init.
OPTIONS: dict[Scheme, tuple[str, ...]] = {
    "kaiming_uniform": FANS,
    "kaiming_normal": FANS,
    "xavier_uniform": ("gain",),
    "xavier_normal": ("gain",),
    "orthogonal": ("gain",),
    "uniform": ("a", "b"),
    "normal": SPREAD,
    "trunc_normal": (*SPREAD, "a", "b"),
    "constant": ("val",),
    "dirac": ("groups",),
    "default": (),
}


class Drawing(Model):
    """How weights are drawn: a scheme of torch.nn.init, with torch's options, and a factor on the weights."""

    scheme: Scheme = "kaiming_uniform"
    mode: Literal["fan_in", "fan_out"] | None = None
    nonlinearity: Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"] | None = None
    a: Float | None = None
    b: Float | None = None
    gain: Rate | None = None
    mean: Float | None = None
    std: Rate | None = None
    val: Float | None = None
    groups: Positive | None = None
    scale: Rate = 1.0

    @model_validator(mode="after")
    def _of_scheme(self) -> Self:
        takes = OPTIONS[self.scheme]
        for key in dict.fromkeys(key for keys in OPTIONS.values() for key in keys):
            if getattr(self, key) is not None and key not in takes:
                allowed = f"allowed: {', '.join(takes)}" if takes else "it takes no option"
                raise ValueError(f"gives {key} to the scheme {self.scheme}; {allowed}")
        if self.scheme == "constant" and self.val is None:
            raise ValueError("names the scheme constant without val; allowed: val, the value of every weight")
        if self.scheme in ("uniform", "trunc_normal") and self._ends[0] >= self._ends[1]:
            raise ValueError(f"draws from {self._ends[0]:g} to {self._ends[1]:g}; allowed: a below b")
        return self

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = (0.0, 1.0) if self.scheme == "uniform" else (-2.0, 2.0)
        return low if self.a is None else self.a, high if self.b is None else self.b

    @property
    def drawn(self) -> dict[str, Any]:
        """As settings have it: the scheme, and what else is given."""
        options = {key: value for key in OPTIONS[self.scheme] if (value := getattr(self, key)) is not None}
        more = {"options": options} if options else {}
        return {"scheme": self.scheme, **more} | ({"scale": self.scale} if self.scale != 1 else {})


class LayerDrawing(Drawing):
    """How the weights of some layers are drawn."""

    layers: Names


class Init(Drawing):
    """Where the weights of a cell come from: a scheme, published weights, a file, or a source cell."""

    by_layer: list[LayerDrawing] = []
    weights: Literal["imagenet"] | Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=60)] | None = None
    file: Below | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    source: Name | None = None
    take: Take = "last"
    grey: Literal["replicate", "sum_conv1"] = "replicate"
    head: Literal["fresh", "copied"] = "fresh"
    layers: Names | None = None
    normalise: Normalise | None = None
    perturb: Annotated[list[Name], DISTINCT] = []
    where: Where = {}

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [key for key in ("weights", "file", "source") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"names {' and '.join(given)}; allowed: one of weights, file, source")
        return self


class Source(Model):
    """A cell of another data set whose trained weights start a cell here, or given checkpoints.

    Its network is that of the cell, or `network`, where the layers that are taken have the same names and shapes.
    """

    dataset: Name | None = None
    network: Name | None = None
    init: Name | None = None
    optimizer: Name | None = None
    training: dict[str, Any] = {}
    given: Name | None = None

    @model_validator(mode="after")
    def _trained_or_given(self) -> Self:
        needed = ("dataset", "init", "optimizer")
        for key in (*needed, "network", "training") if self.given else ():
            if getattr(self, key):
                raise ValueError(f"names `given` and `{key}`; allowed: `given` alone")
        for key in needed if not self.given else ():
            if getattr(self, key) is None:
                raise ValueError(f"names no `{key}`; allowed: with `dataset`, `init` and `optimizer`, or `given` alone")
        return self

    @property
    def axes(self) -> dict[str, str]:
        """Its labels by axis, of a source that is trained; without its network where it has none of its own."""
        named = {axis: getattr(self, axis) for axis in ("dataset", "network", "init", "optimizer")}
        return {axis: label for axis, label in named.items() if label}
