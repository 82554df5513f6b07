"""Published curves of freeze-depth transfer, which a study's own stand beside."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from weight_atlas.plan.spec.values import DISTINCT, Model, Positive, Share, Text, Title

Kin = Literal["other", "own", "similar", "different"]


class PublishedMean(Model):
    """A published accuracy; sd over so many runs, where they are given."""

    mean: Share
    sd: Share | None = None
    runs: Positive | None = None


class PublishedCurve(Model):
    """Accuracies against the number n of copied layers.

    Attributes
    ----------
    name : str
        As the source calls it: "AnB".
    kin : str
        Whose layers are copied: the target's own, another task's, or those of a similar or a different one.
    mode : str
        What becomes of them.
    base : PublishedMean
        Of the target, from scratch.
    depths : list of int
    mean, sd : list of float
        By depth; sd over `runs`, where it is given.
    note : str
        What the numbers do not say.
    """

    name: Title
    kin: Kin
    mode: Literal["frozen", "tuned", "random"] = "frozen"
    base: PublishedMean
    depths: Annotated[list[Positive], Field(min_length=1), DISTINCT]
    mean: list[Share]
    sd: list[Share] | None = None
    runs: Positive | None = None
    note: Text = ""

    @model_validator(mode="after")
    def _as_long(self) -> Self:
        for name in ("mean", "sd"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.depths):
                raise ValueError(f"{name} has {len(values)} numbers for {len(self.depths)} depths; give one for each")
        if self.depths != sorted(self.depths):
            raise ValueError("depths are not in order; give the smallest first")
        if (self.sd is None) != (self.runs is None):
            raise ValueError("give both sd and runs, or neither")
        return self


class Reference(Model):
    """Published curves over n and where they come from.

    Attributes
    ----------
    source : str
        "Yosinski et al. (2014)"
    title, computed : str
        Of the source; how its numbers came about.
    network, data : str
    layers : int
        Weight layers of its network: n of its curves stands at the relative depth n / (layers - 1).
    margin : float
        Curves that differ by less, in accuracy, agree; `origin` says why.
    """

    source: Title
    title: Title = ""
    computed: Text = ""
    network: Title
    data: Title
    layers: Annotated[int, Field(ge=2)]
    margin: Annotated[float, Field(gt=0, lt=1)]
    origin: Text
    curves: Annotated[list[PublishedCurve], Field(min_length=1)]

    @model_validator(mode="after")
    def _within(self) -> Self:
        for curve in self.curves:
            if curve.depths[-1] >= self.layers:
                raise ValueError(f"the curve {curve.name} has n = {curve.depths[-1]} of {self.layers} layers")
        return self
