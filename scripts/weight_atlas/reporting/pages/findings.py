"""What the first page shows in figures: the claims that were decided most clearly, a few of each study."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from weight_atlas.reporting.pages.markdown import attribute

Json = dict[str, Any]

MOST = 6
OUTSIDE = "toy"  # the verdict on a claim that was seen outside its scope


def findings(claims: Sequence[Json]) -> list[Json]:
    """At most MOST of the claims (with their `study`) that have a figure, the clearest first.

    Those decided within their scope come first, then those that half and twice the margin would not change, then those
    whose means are the most half widths of an interval from the line. Each study has its first before any its second.
    Of claims on the same numbers there is one.
    """
    drawn = [claim for claim in claims if claim.get("figure") and deciding(claim)]
    ranked = sorted(
        drawn, key=lambda claim: (claim["verdict"] == OUTSIDE, not _robust(claim), -deciding(claim)["clear"])
    )
    alike = {repr([(one["words"], one["asked"]) for one in claim["numbers"]]): claim for claim in reversed(ranked)}
    of_study: dict[str, list[Json]] = {}
    for claim in reversed(alike.values()):
        of_study.setdefault(claim["study"]["name"], []).append(claim)
    return [claim for line in itertools.zip_longest(*of_study.values()) for claim in line if claim][:MOST]


def finding(claim: Json) -> str:
    """What decided a claim, in a sentence: its deciding number, or, of an artefact, what explains it."""
    _, _, explained = claim["here"].partition(" But: ")
    number = deciding(claim)
    return explained or f"{number['words']} {number['value'].rpartition(', n = ')[0]}."


def deciding(claim: Json) -> Json:
    """The number that a decision hangs on: the clearest of those that are refuted, the least clear where all are shown;
    {} where none has an interval."""
    refuted = claim["seen"] == "contradicted"
    own = [number for number in claim["numbers"] if number.get("clear") is not None and number["holds"] != refuted]
    found: Json = (max if refuted else min)(own, key=lambda number: number["clear"], default={})
    return found


def _robust(claim: Json) -> bool:
    return not claim["half"] or claim["half"] == claim["double"] == claim["seen"]


def pictures(studies: Iterable[Json]) -> list[Json]:
    """The figures of all claims of some studies."""
    return [claim["figure"] for study in studies for claim in study["claims"] if claim.get("figure")]


def image(figure: Json, size: str) -> Markup:
    """A figure without a caption, as Markdown within a line."""
    return Markup(f"![]({figure['picture']}){{fig-alt={attribute(figure['alt'])}{size}}}")
