"""The numbers in sentences are those of the results: of answers their estimates, of verdicts what was judged."""

import json
import math
import re
from pathlib import Path

import pytest

CHAPTERS = ("dynamics", "transferability", "vgg22", "convnets", "cinic")
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-−]?\d+)?(?![\w])")


def printed(text: str) -> list[str]:
    """The numbers in a text that have decimals, as they are written."""
    return [one for one in NUMBER.findall(text) if "." in one]


def says(written: str, value: float) -> bool:
    """Whether a written number is this one, or its hundredfold (a share in percent), to the digits that are written."""
    number = float(written.replace("−", "-").replace("+", "").replace(",", ""))
    mantissa = written.partition("e")[0]
    decimals = len(mantissa.partition(".")[2])
    scale = abs(number) / abs(float(mantissa.replace("−", "-").replace("+", "").replace(",", ""))) if number else 1.0
    close = 0.5 * 10.0**-decimals * scale * (1 + 1e-9) + 1e-12
    return any(abs(abs(number) - abs(value * factor)) <= close for factor in (1, 100))


def chapter(tour: Path, name: str, file: str):
    return json.loads((tour / "figures" / name / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CHAPTERS)
def test_an_estimate_is_written_as_it_is(tour, name):
    """Every number in the text of an estimate is its mean, an end of its interval (shares are cut at 0 and 100 %), or
    half of its width."""
    checked = 0
    for question in chapter(tour, name, "exhibits.json")["questions"]:
        for answer in question["answer"]:
            for one in answer["numbers"]:
                known = [one[key] for key in ("mean", "low", "high") if one[key] is not None]
                known += [min(max(value, 0.0), 1.0) for value in known]
                known += [(one["high"] - one["low"]) / 2] if None not in (one["low"], one["high"]) else []
                for written in printed(one["text"]):
                    checked += 1
                    assert any(says(written, value) for value in known), (question["key"], one)
    assert checked > 3


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_verdict_tells_the_numbers_that_it_was_judged_on(tour, name):
    checked = 0
    for claim in filter(lambda claim: claim["numbers"], chapter(tour, name, "claims.json")):
        keys = ("mean", "low", "high", "low_new", "high_new")
        known = [one[key] for one in claim["numbers"] for key in keys if one[key] is not None]
        told = re.split(r" But: | Outside its scope: | \d+ replicates? | Seed \d", claim["reason"])[0]
        words = " ".join(one["words"] for one in claim["numbers"])
        for written in printed(told):
            checked += 1
            inside = any(says(written, value) for value in known if math.isfinite(value))
            assert inside or written in words, (claim["id"], written)
    assert checked > 3
