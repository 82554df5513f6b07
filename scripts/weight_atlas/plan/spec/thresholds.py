"""What counts as a difference in accuracy where layers are transferred, and which accuracies tell them apart."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from weight_atlas.plan.spec.values import NUMBER, Model, Share, Text

Preset = Literal["tey-chua"]


class Accuracies(Model):
    """A rule on accuracy alone: above `generic` layers are generic, from `transition` a transition, else specific."""

    generic: Share
    transition: Share

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.transition > self.generic:
            raise ValueError(f"transition is {self.transition:g}, above generic; give at most {self.generic:g}")
        return self


# tey-chua: the rule of the report on feature transferability by Tey and Chua.
PRESETS: dict[Preset, Accuracies] = {"tey-chua": Accuracies(generic=0.91, transition=0.90)}


class Thresholds(Model):
    """The thresholds of a study's transfers.

    Attributes
    ----------
    margin : float
        What counts as no difference in accuracy.
    origin : str
        Where the margin comes from.
    accuracies : Accuracies or the name of a preset
        The rule on accuracy that stands beside the one by tests.
    """

    margin: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.01
    origin: Text = "a point of accuracy counts as no difference"
    accuracies: Preset | Accuracies = "tey-chua"

    @property
    def rule(self) -> Accuracies:
        """The rule on accuracy itself."""
        return PRESETS[self.accuracies] if isinstance(self.accuracies, str) else self.accuracies
