"""Types of single values in a config, and the base of its models."""

import re
from pathlib import PurePath, PurePosixPath
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from weight_atlas.plan.measures import MeasureName
from weight_atlas.plan.spec.messages import UnknownKey, near, shown

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # all but tab and line feed


def number(value: Any) -> Any:
    """The value as a float where it is a text that stands for one: YAML 1.1 reads 1e-3 as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def flag(value: Any) -> Any:
    """The value as a boolean where it is `true` or `false` as a text, as `--config` passes them on."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def at_most(most: int) -> AfterValidator:
    """A bound on a number that no study needs to pass, so that a slip of the pen is seen before it costs anything."""

    def check(value: int) -> int:
        if value > most:
            raise ValueError(f"{shown(value)} is not allowed; give at most {most:,}")
        return value

    return AfterValidator(check)


def _plain(text: str) -> str:
    if found := CONTROL.search(text):
        raise ValueError(f"has the control character {found[0]!r}; leave it out")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text or not text.strip():
        raise ValueError(f"{text!r} is no name; give one line of text")
    return _plain(text)


def _path(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("has a line break or a tab; give the path without it")
    if not text.strip():
        raise ValueError("is an empty text; give a path")
    return _plain(text)


def _below(path: str) -> str:
    if PurePath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} is not a path below data_root; give one, or another data_root")
    return path


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a URL that begins with http:// or https://; give one")
    if parts.username or parts.password:
        raise ValueError("names a user; give a URL that needs none, since configs and results are passed on")
    return text


def _distinct(values: list[Any]) -> list[Any]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"names {value!r} twice; give each once")
    return values


NUMBER = BeforeValidator(number)
DISTINCT = AfterValidator(_distinct)
Positive = Annotated[int, Field(gt=0), at_most(10**9)]
Epochs = Annotated[int, Field(gt=0), at_most(100_000)]
Epoch = Annotated[int, Field(ge=0), at_most(100_000)]
Replicates = Annotated[int, Field(gt=0), at_most(10_000)]
Seed = Annotated[int, Field(ge=0), at_most(2**63 - 1)]
Flag = Annotated[bool, BeforeValidator(flag)]
Rate = Annotated[float, Field(gt=0), NUMBER]
Share = Annotated[float, Field(ge=0, lt=1), NUMBER]
Text = Annotated[str, Field(max_length=10_000), AfterValidator(_plain)]
Title = Annotated[str, Field(max_length=300), AfterValidator(_plain)]
Line = Annotated[str, Field(max_length=300), AfterValidator(_one_line)]
Path = Annotated[str, Field(max_length=1_000), AfterValidator(_path)]
Below = Annotated[Path, AfterValidator(_below)]  # data_root
Url = Annotated[str, Field(max_length=2_000), AfterValidator(_url)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
Names = Annotated[list[Name], Field(min_length=1), DISTINCT]
Where = dict[str, Name | Annotated[list[Name], Field(min_length=1), DISTINCT]]
Take = Literal["last", "best"] | Epoch
Measures = Annotated[list[MeasureName], DISTINCT]
# fmt: off
Scheme = Literal["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal", "uniform",
                 "normal", "trunc_normal", "constant", "dirac", "default"]
# fmt: on
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


class Model(BaseModel):
    """A part of the config: unknown keys are refused, and no type is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, dict) and cls.model_config["extra"] == "forbid":
            for key in given:
                if key not in cls.model_fields:
                    raise UnknownKey(str(key), f"unknown key {shown(key)}; {near(key, cls.model_fields)}")
        return given
