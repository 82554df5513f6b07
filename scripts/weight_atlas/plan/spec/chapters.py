"""A document: who made it, and its chapter: questions in order, which exhibits answer them, and words."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from weight_atlas.plan.spec.values import Model, Name, Text, Title

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=120)]


class Part(Model):
    """A function of the report by its name in the registry, and the options that it is called with.

    expected: whether the reader is told why where it has nothing to show.
    """

    name: Key
    options: dict[str, Any] = {}
    expected: bool = True


def _part(value: Any) -> Any:
    """`name`, or `name: options`, as a part."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and len(value) == 1:
        [(name, options)] = value.items()
        return {"name": name, "options": options or {}}
    return value


Called = Annotated[Part, BeforeValidator(_part)]


class Question(Model):
    """A section: its heading, what answers it, and words on how.

    experiment: the experiment that its exhibits and its answer are about, where the study has several.
    """

    key: Key
    heading: Title
    words: Text = ""
    experiment: Name | None = None
    exhibits: list[Called] = []
    answer: Called | None = None


class Closing(Model):
    """A section of computed sentences alone."""

    key: Key
    heading: Title
    words: Text = ""
    sentences: list[Called]


class About(Model):
    """How the report introduces a document.

    Attributes
    ----------
    authors : list of str
        Their family names, as far as they are known.
    year : int, optional
    title : str
    kind : str
        What it is: "report", "slides".
    did : str
        What they did, in one to three sentences.
    """

    authors: Annotated[list[Title], Field(min_length=1)]
    year: Annotated[int, Field(ge=1800, le=2200)] | None = None
    title: Title
    kind: Title = "report"
    did: Text


class Chapter(Model):
    """How a study is told."""

    questions: list[Question]
    closing: list[Closing] = []
