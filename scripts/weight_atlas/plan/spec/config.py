"""A config file as a whole."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from weight_atlas.plan.spec.data import Dataset
from weight_atlas.plan.spec.messages import near
from weight_atlas.plan.spec.networks import Init, Network, Source
from weight_atlas.plan.spec.optimizers import Optimizer
from weight_atlas.plan.spec.studies import Given, Step, Study
from weight_atlas.plan.spec.training import Training
from weight_atlas.plan.spec.values import DISTINCT, Flag, Measures, Model, Name, Path, Replicates, Text, Title, at_most
from weight_atlas.vocabulary import Weights

# Keys that say what to do this once: they are no part of what results are made from.
PASSING = ("retry_failed", "prune", "compare", "weights")


class Config(Model):
    """One config file: a name, and the studies that it asks for, at a scale."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
    title: Title = "Weight Atlas"
    text: Text | None = None
    data_root: Path = "data/downloads"
    outside_data_root: Flag = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    jobs_per_gpu: Annotated[int, Field(gt=0), at_most(1000)] = 1
    preload: Flag = True
    failures: Literal["record", "stop"] = "record"
    retry_failed: Flag = False
    adopt: Flag = False
    prune: Literal["list", "remove"] = "list"
    replicates: Replicates = 3
    replicates_per_job: Replicates = 3
    datasets: dict[Name, Dataset] = {}
    networks: Annotated[dict[Name, Network], Field(min_length=1)] = {}
    inits: dict[Name, Init | list[Init]] = {}
    optimizers: dict[Name, Optimizer] = {}
    sources: dict[Name, Source] = {}
    perturbations: dict[Name, Step | list[Step]] = {}
    training: Training = Training()
    measure: Measures = []
    given: dict[Name, Given] = {}
    definitions: dict[Name, Study] = {}
    studies: Text | Annotated[list[Name], Field(min_length=1), DISTINCT] = "all"
    cells: Literal["all", "document"] = "all"
    compare: Path | None = None
    weights: Weights = "none"
    page: Literal["several", "single"] = "several"
    pathvars: dict[Literal["data", "cells", "results", "logs"], Path] = {}

    @model_validator(mode="after")
    def _studies(self) -> Self:
        self._add_unlisted_given()
        trained = ["datasets", "networks", "optimizers"] if self._trains else []
        needed = trained if self.definitions else ["definitions"]
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f"{key}: is missing; the config must give it")
        if "data" in self.definitions:
            raise ValueError("definitions: 'data' is the chapter of the data sets; allowed: any other name")
        for name in self._names:
            if name not in self._offered:
                raise ValueError(f"studies: {name!r} is not defined; {self._near(name)}")
        return self

    def _near(self, name: str) -> str:
        """What may be meant by a name in `studies`: of a study that is defined, one of its experiments."""
        for study, defined in self.definitions.items():
            if name.startswith(f"{study}."):
                own = [f"{study}.{label}" for label in defined.experiments]
                return near(name, own) if own else f"{study!r} has no experiments; give {study!r}"
        return near(name, ["all", *self.definitions])

    def _add_unlisted_given(self) -> None:
        """Given checkpoints that no study names are a study of their own, called `given`."""
        listed = {name for study in self.definitions.values() for name in study.given}
        if rest := [name for name in self.given if name not in listed]:
            if "given" in self.definitions:
                raise ValueError(f"definitions.given.given: does not name {rest[0]!r}, nor does another study; add it")
            self.definitions = self.definitions | {"given": Study(title="Your own checkpoints", given=rest)}

    @property
    def _trains(self) -> bool:
        """Whether some study has cells to train."""
        return any(study.grid or study.experiments for study in self.definitions.values())

    @property
    def _names(self) -> list[str]:
        if self.studies == "all":
            return list(self.definitions)
        return self.studies.split(",") if isinstance(self.studies, str) else self.studies

    @property
    def _offered(self) -> dict[str, tuple[str, str]]:
        """(study, experiment) by what `studies` calls it; "" is all of a study."""
        studies = self.definitions.items()
        parts = {f"{name}.{label}": (name, label) for name, study in studies for label in study.experiments}
        return parts | {name: (name, "") for name in self.definitions}

    @property
    def asked(self) -> list[str]:
        """The names of the studies that this config asks for, in order."""
        return list(dict.fromkeys(self._offered[name][0] for name in self._names))

    def asks_for(self, study: str, experiment: str) -> bool:
        """Whether it asks for an experiment of a study, or with "" for all that is no experiment."""
        chosen = [self._offered[name] for name in self._names]
        return (study, "") in chosen or (study, experiment) in chosen
