"""A config file as a whole, and what is wrong with it in one line."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from weight_atlas.plan.spec.data import Dataset
from weight_atlas.plan.spec.networks import Init, Network, Source
from weight_atlas.plan.spec.studies import Given, Step, Study
from weight_atlas.plan.spec.training import Optimizer, Training
from weight_atlas.plan.spec.values import Flag, Model, Name, Positive

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
        self._add_unlisted_given()
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
    keys = []
    for position, step in enumerate(loc):
        has_step = step in given if isinstance(given, dict) else isinstance(given, list) and isinstance(step, int)
        if has_step:
            given = given[step]
        if has_step or (missing and position == len(loc) - 1):
            keys.append(str(step))
    return keys
