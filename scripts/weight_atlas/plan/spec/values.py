"""Types of single values in a config, and the base of its models."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


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
Scheme = Literal["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "default"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


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
