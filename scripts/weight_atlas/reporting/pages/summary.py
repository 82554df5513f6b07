"""What the first page says of all studies: which claims were decided, what was answered, and how sure that is."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from weight_atlas.reporting.pages.gather import questions

Json = dict[str, Any]

DECIDED = ("reproduced", "contradicted", "artefact")
OUTSIDE = ("toy", "not testable here")
CLEAR = ("yes", "no", "partly")


def summary(studies: Sequence[Json], cells: Iterable[Json]) -> Json:
    """Counts and selections over all studies, for the template.

    Returns
    -------
    dict
        `claims`: of each study that has some, with `at`, its place in the list; `decided`, `open`: those that were
        decided within their scope, and all others; `verdicts`: their numbers by verdict; `seen`: those outside their
        scope by what was seen; `answers`: the numbers of answers by verdict; `seeds`: the least and the most replicates
        of a cell.
    """
    claims = [
        claim | {"study": study, "at": at, "here": here(claim), "sure": sure(claim)}
        for study in studies
        for at, claim in enumerate(study["claims"], 1)
    ]
    answers = [
        answer["verdict"] for study in studies for question in questions(study)[0] for answer in question["answer"]
    ]
    seeds = sorted({cell["asked"] for cell in cells})
    return {
        "claims": claims,
        "decided": [claim for verdict in DECIDED for claim in claims if claim["verdict"] == verdict],
        "open": [claim for claim in claims if claim["verdict"] not in DECIDED],
        "verdicts": Counter(claim["verdict"] for claim in claims),
        "seen": Counter(claim["seen"] for claim in claims if claim["verdict"] == "toy"),
        "answers": Counter(filter(None, answers)),
        "seeds": seeds[:1] + seeds[-1:],
    }


def here(claim: Json) -> str:
    """What was seen of a claim, in short: of the numbers that its reason lists the first, but of exact tests all."""
    told = re.split(r" Outside its scope: | Seed \d| \d+ replicates? (?:never|diverged)", claim["reason"])[0]
    sentences = told.removeprefix("Here: ").removesuffix(".").split(". But: ")
    if told.startswith("Here: ") and not claim["test"].startswith("exact"):
        sentences = [_first(sentence.split("; ")) for sentence in sentences]
    return ". But: ".join(sentences) + "."


def _first(numbers: Sequence[str]) -> str:
    return numbers[0] + (f" (and {len(numbers) - 1} more)" if numbers[1:] else "")


def sure(claim: Json) -> str:
    """How sure a verdict is: what it rests on, how many replicates, and whether other margins would change it."""
    if claim["test"].startswith("exact"):
        return "exact"
    counts = sorted({number["n"] for number in claim["numbers"]})
    text = "95 % intervals" + (f", n = {' to '.join(map(str, counts[:1] + counts[1:][-1:]))}" if counts else "")
    if claim["half"] == claim["double"] == claim["seen"] != "":
        return f"{text}; the same with half and twice the margin"
    return f"{text}; with half the margin {claim['half']}, with twice {claim['double']}" if claim["half"] else text


def asked(study: Json) -> str:
    """What a study asks: the first sentence of its text."""
    return re.split(r"(?<=\w\w[.?!])\s", study["text"].strip(), maxsplit=1)[0]


def main_answer(study: Json) -> Json:
    """The first question of a study with a clear answer, else the first with any: the question, with that answer as
    `main`; {} where none is answered."""
    found = [question | {"main": answer} for question in questions(study)[0] for answer in question["answer"]]
    return min(found, key=lambda one: _rank(one["main"]["verdict"]), default={})


def _rank(verdict: str | None) -> int:
    return 0 if verdict in CLEAR else 1 if verdict else 2
