"""The networks of a config, and where their weights come from."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from weight_atlas.plan.spec.values import (
    DISTINCT,
    NUMBER,
    Below,
    Model,
    Name,
    Names,
    Scheme,
    Take,
    Where,
    at_most,
)


class Network(Model):
    """An architecture with its width and its options; the rest of its keys are the architecture's own."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    architecture: Name | None = None
    width: Annotated[float, Field(gt=0, le=4), NUMBER] = 1.0
    outputs: Annotated[int, Field(gt=0), at_most(1_000_000)] | None = None
    threads: Annotated[int, Field(ge=1, le=64)] = 1


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


class Init(Model):
    """Where the weights of a cell come from: a scheme, published weights, a file, or a source cell."""

    scheme: Scheme = "kaiming_uniform"
    weights: Literal["imagenet"] | None = None
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
    """A cell of another data set whose trained weights start a cell here.

    Its network is that of the cell, or `network`, where the layers that are taken have the same names and shapes.
    """

    dataset: Name
    network: Name | None = None
    init: Name
    optimizer: Name
    training: dict[str, Any] = {}
