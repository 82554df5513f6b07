"""The numbers in sentences are those of the results: of answers their estimates, of verdicts what was judged."""

import functools
import itertools
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from pandas.api.types import is_numeric_dtype

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
                known += [min(max(value, least), 1.0) for value in known for least in (0.0, -1.0)]
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
        known += [
            min(max(value, least), 1.0) for value in known for least in (0.0, -1.0)
        ]  # no share is written as more
        told = re.split(r" But: | Outside its scope: | \d+ replicates? | Seed \d", claim["reason"])[0]
        words = " ".join(one["words"] for one in claim["numbers"])
        for written in printed(told):
            checked += 1
            inside = any(says(written, value) for value in known if math.isfinite(value))
            assert inside or written in words, (claim["id"], written)
    assert checked > 3


# Numbers of a rule or a recipe, which no table holds: how they begin in a caption.
RULES = re.compile(
    r"naming the largest class would give [^.]*(?:\.\d[^.]*)*|at a learning rate of [\d.]+(?: to [\d.]+)?|"
    r"has the same for [\d.]+ and [\d.]+|q [<=≥] [\d.]+|p [<=≥] [\d.]+|above [\d.]+ generic, [\d.]+ as printed|"
    r"± [\d.]+ points? \((?:half of the [\d.]+ points|the margin)"
)


def direct(frame):
    """The numbers of a table: its values, and those in its words."""
    columns = [frame[column].dropna().unique() for column in frame]
    texts = {str(text) for column in columns if column.dtype.kind not in "if" for text in column}
    numbers = {float(value) for column in columns if column.dtype.kind in "if" for value in column}
    return numbers | {float(one.replace("−", "-").replace(",", "")) for text in texts for one in printed(text)}


def grouped(frame):
    """What rows that share up to two labels, or all of them, have for mean, median, least and largest, by column."""
    labels = [name for name in frame if not is_numeric_dtype(frame[name]) or frame[name].nunique() <= 12]
    found: set[float] = set()
    words = tuple(name for name in labels if not is_numeric_dtype(frame[name]))
    for by in (*((one,) for one in labels), *itertools.combinations(labels, 2), words, ()):
        columns = [name for name in frame.select_dtypes("number") if name not in by]
        rows = frame.groupby([frame[name] for name in by] or (lambda _: 0))[columns]
        found |= set(rows.agg(["mean", "median", "min", "max"]).to_numpy(float).ravel().tolist()) if columns else set()
    return found


@functools.cache
def raw(path):
    """The numbers of a table that an exhibit is made of, and the means of its cells."""
    if not path.exists() or path.name == "runs.csv":  # whose times and counts hold nearly every number
        return set()
    frame = pd.read_csv(path, low_memory=False)
    cells = frame.groupby("cell_id").mean(numeric_only=True) if "cell_id" in frame else frame.iloc[:0]
    return direct(frame) | set(cells.select_dtypes("number").to_numpy(float).ravel().tolist())


def unknown(numbers, tour, name, exhibit, answers):
    """Those of some written numbers that are nowhere: not in the exhibit's own table, nor in groups of its rows, nor in
    an answer of the chapter, nor in a table that the exhibit is made of."""
    own = pd.read_csv(tour / "figures" / name / exhibit["csv"])
    steps = (
        lambda: answers | direct(own),
        lambda: grouped(own),
        lambda: set().union(
            *(raw(tour / "tables" / file) for file in exhibit["source"]["files"] if file != "runs.csv")
        ),
    )
    left = set(numbers)
    for step in steps:
        known = [value for value in step() if math.isfinite(value)] if left else []
        left = {one for one in left if not any(says(one, value) for value in known)}
    return left


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_number_of_a_caption_is_of_a_table(tour, name):
    told, checked = chapter(tour, name, "exhibits.json"), 0
    answers = [one for question in told["questions"] for answer in question["answer"] for one in answer["numbers"]]
    given = {one[key] for one in answers for key in ("mean", "low", "high") if one[key] is not None}
    for exhibit in filter(lambda exhibit: exhibit["csv"], told["exhibits"]):
        numbers = printed(RULES.sub("", exhibit["caption"]))
        checked += len(numbers)
        assert not unknown(numbers, tour, name, exhibit, given), exhibit["name"]
    assert checked > 3
