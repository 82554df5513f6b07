"""The section `optimizers` of a config: the optimizers of torch.optim, with torch's options and defaults.

Left out are those that cannot train every network alone: LBFGS needs its loss again within a step, SparseAdam takes
sparse gradients, Muon takes matrices. So are the options that choose an implementation (foreach, fused, capturable,
differentiable) and `maximize`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue

from weight_atlas.plan.spec.values import NUMBER, Model, Rate, Share, Text

Amount = Annotated[float, Field(ge=0), NUMBER]
Shares = Annotated[list[Share], Field(min_length=2, max_length=2)]
Pair = Annotated[list[Rate], Field(min_length=2, max_length=2)]


class Rated(Model):
    """What all optimizers have; lr_scale: factors of the rate by layer, or one for each weight layer from the last."""

    type: str
    lr: Rate = 0.001
    lr_scale: Rate | Annotated[dict[Text, Rate], Field(min_length=1)] | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The type as here and as torch writes it, as `_named` takes it."""
        found = handler(schema)
        found["properties"]["type"] = {"enum": [cls.__name__.lower(), cls.__name__], "title": "Type", "type": "string"}
        return found


class Common(Rated):
    """What nearly all optimizers have; decay: which parameters `weight_decay` is for, all or those of two dimensions or
    more (no biases, and no normalisation)."""

    weight_decay: Amount = 0.0
    decay: Literal["all", "weights"] = "all"


class SGD(Common):
    """torch.optim.SGD."""

    type: Literal["sgd"]
    momentum: Amount = 0.0
    dampening: Amount = 0.0
    nesterov: bool = False

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("asks for nesterov without momentum; allowed: momentum > 0 with nesterov")
        if self.nesterov and self.dampening:
            raise ValueError("asks for nesterov with dampening; allowed: one of them")
        return self


class AdamLike(Common):
    """What Adam and its relatives have; eps: what is added below the line."""

    betas: Shares = [0.9, 0.999]
    eps: Rate = 1e-8


class Adam(AdamLike):
    """torch.optim.Adam."""

    type: Literal["adam"]
    amsgrad: bool = False
    decoupled_weight_decay: bool = False


class AdamW(AdamLike):
    """torch.optim.AdamW."""

    type: Literal["adamw"]
    weight_decay: Amount = 0.01
    amsgrad: bool = False


class NAdam(AdamLike):
    """torch.optim.NAdam."""

    type: Literal["nadam"]
    lr: Rate = 0.002
    momentum_decay: Amount = 0.004
    decoupled_weight_decay: bool = False


class RAdam(AdamLike):
    """torch.optim.RAdam."""

    type: Literal["radam"]
    decoupled_weight_decay: bool = False


class Adamax(AdamLike):
    """torch.optim.Adamax."""

    type: Literal["adamax"]
    lr: Rate = 0.002


class RMSprop(Common):
    """torch.optim.RMSprop."""

    type: Literal["rmsprop"]
    lr: Rate = 0.01
    alpha: Share = 0.99
    eps: Rate = 1e-8
    momentum: Amount = 0.0
    centered: bool = False


class Adagrad(Common):
    """torch.optim.Adagrad."""

    type: Literal["adagrad"]
    lr: Rate = 0.01
    lr_decay: Amount = 0.0
    initial_accumulator_value: Amount = 0.0
    eps: Rate = 1e-10


class Adadelta(Common):
    """torch.optim.Adadelta."""

    type: Literal["adadelta"]
    lr: Rate = 1.0
    rho: Share = 0.9
    eps: Rate = 1e-6


class ASGD(Common):
    """torch.optim.ASGD; what is measured is the network that it trains, not its average."""

    type: Literal["asgd"]
    lr: Rate = 0.01
    lambd: Amount = 1e-4
    alpha: Amount = 0.75
    t0: Amount = 1e6


class Rprop(Rated):
    """torch.optim.Rprop, which has no weight decay."""

    type: Literal["rprop"]
    lr: Rate = 0.01
    etas: Pair = [0.5, 1.2]
    step_sizes: Pair = [1e-6, 50.0]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.etas[0] < 1 < self.etas[1]:
            raise ValueError(f"etas: {self.etas}; allowed: the first below 1, the second above")
        return self


class Adafactor(Common):
    """torch.optim.Adafactor; the first of `eps` may be null, for what float32 resolves."""

    type: Literal["adafactor"]
    lr: Rate = 0.01
    beta2_decay: Annotated[float, Field(le=0), NUMBER] = -0.8
    eps: Annotated[list[Rate | None], Field(min_length=2, max_length=2)] = [None, 1e-3]
    d: Annotated[float, Field(ge=1), NUMBER] = 1.0


def _named(given: Any) -> Any:
    """The type in lower case, so that it may be written as torch writes the class."""
    if isinstance(given, dict) and isinstance(given.get("type"), str):
        return given | {"type": given["type"].lower()}
    return given


OptimizerKind = SGD | Adam | AdamW | NAdam | RAdam | Adamax | RMSprop | Adagrad | Adadelta | ASGD | Rprop | Adafactor
Optimizer = Annotated[OptimizerKind, Field(discriminator="type"), BeforeValidator(_named)]
