"""Make docs/verdicts.md: how often claims are judged right, by simulation.

python docs/verdicts.py            # 4,000 samples of each case: about a minute
python docs/verdicts.py --check    # exit status 1 where a rate is not what the page promises
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from weight_atlas import stats  # noqa: E402
from weight_atlas.plan import spec  # noqa: E402
from weight_atlas.stats import Decision, Statement  # noqa: E402

SAMPLES = 4_000
SEED = 31
REPLICATES = (2, 3, 5, 6, 10)
SPREADS = (0.25, 0.5, 1.0)  # standard deviation between seeds, in margins
SHARED = 0.5  # part of the variance that the numbers of one claim share: a level that all are compared with
FALSE = 0.05  # of verdicts, either way
POWER = 0.8  # of true verdicts where the effect is two margins, with 6 replicates
POWERFUL = 0.5  # up to this spread, in margins

# How many numbers each statement of a claim compares in the full config, where that is more than one.
NUMBERS = {
    "000-2": [2],
    "000-3": [174],
    "000-4": [2],
    "000-8": [2],
    "001-1": [10],
    "001-5": [6, 2],
    "001-10": [3],
    "002-1": [12],
    "002-2": [12],
    "002-3": [4],
    "002-4": [4],
    "002-5": [8],
    "002-6": [4, 4, 4],
    "002-7": [3],
    "002-8": [3],
    "003-1": [4],
    "003-2": [6],
    "004-2": [2],
    "004-4": [3],
    "004-5": [2],
}


class Case(NamedTuple):
    """Statements that must all hold, with how many numbers each is about; the unit that spreads are given in."""

    name: str
    statements: list[tuple[Statement, int]]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.statements)


class Rates(NamedTuple):
    """Shares of the samples: false verdicts where the claim is true, where it is just false, and without any effect;
    true verdicts where the effect is two margins."""

    contradicted: float
    reproduced: float
    without: float
    right: float


def scaled(asked: spec.Statement) -> Statement:
    """A statement in units of its margin; of one without a margin, of a tenth of its bound (or of 1)."""
    ratio = asked.judge == "ratio"
    low, high = (math.log(bound) if ratio and math.isfinite(bound) else bound for bound in (asked.low, asked.high))
    margin = math.log1p(asked.margin) if ratio else asked.margin
    width = high - low if math.isfinite(high - low) else 0.0
    unit = margin or width / 2 or abs(low if math.isfinite(low) else high) / 10 or 0.1
    return Statement(low / unit, high / unit, margin / unit)


def cases() -> list[Case]:
    """The judges by the number of numbers, then every claim of the documents that is not exact."""
    above, between, range_ = Statement(low=0, margin=1), Statement(0, 0, 1), Statement(1, 2, 1)
    share = Statement(low=9)  # nine tenths, in tenths
    made = [
        Case(f"{name}, {count} number{'s' * (count > 1)}", [(statement, count)])
        for name, statement in (
            ("above 0", above),
            ("equal", between),
            ("in a range", range_),
            ("above a share", share),
        )
        for count in (1, 4, 12)
    ]
    for claim in sorted(claims(), key=lambda claim: [int(part) for part in claim.id.split("-")]):
        asked = [one for one in claim.all if one.judge != "exact"]
        counts = NUMBERS.get(claim.id, [1] * len(asked))
        if asked:
            made.append(Case(claim.id, [(scaled(one), n) for one, n in zip(asked, counts, strict=True)]))
    return made


def claims() -> list[spec.Claim]:
    """The claims of all documents."""
    paths = sorted((ROOT / "report/documents").glob("*/claims.yaml"))
    return [spec.Claim(**claim) for path in paths for claim in yaml.safe_load(path.read_text(encoding="utf-8"))]


def effects(statement: Statement) -> dict[str, float]:
    """{what is true: the mean}, in margins: two margins into the statement (or its middle), just false, far off."""
    if statement.is_two_sided:
        edge = statement.high + statement.margin
        return {"true": (statement.low + statement.high) / 2, "just true": edge, "just false": edge, "far": edge + 1}
    up = math.isfinite(statement.low)
    bound, step = (statement.low, 1.0) if up else (statement.high, -1.0)
    return {
        "true": bound + 2 * step,
        "just true": bound + step * statement.margin,
        "just false": bound,
        "far": bound - 2 * step,
    }


def decisions(case: Case, which: str, n: int, spread: float, draw: np.random.Generator) -> NDArray[np.str_]:
    """The decisions on SAMPLES made-up results.

    which: "true": all numbers; "just true": all at the edge; "just false": one of them, all others are true; "far": one
    is far off.
    """
    noise = math.sqrt(SHARED) * draw.standard_normal((SAMPLES, n, 1))
    noise = noise + math.sqrt(1 - SHARED) * draw.standard_normal((SAMPLES, n, case.count))
    tests, at = [], 0
    for statement, count in case.statements:
        means = np.full(count, effects(statement)["true" if which in ("just false", "far") else which])
        if at == 0 and which in ("just false", "far"):
            means[0] = effects(statement)[which]
        values = means + spread * noise[:, :, at : at + count]
        mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(n)
        tests.append(statement.tests(mean, error, np.full(mean.shape, n - 1.0)))
        at += count
    return stats.decide(*(np.concatenate(side, axis=1) for side in zip(*tests, strict=True)))


def rates(case: Case, n: int, spread: float) -> Rates:
    """The Rates of one case."""
    draw = np.random.default_rng([SEED, n, round(100 * spread)])
    found = {which: decisions(case, which, n, spread, draw) for which in ("true", "just true", "just false", "far")}
    share = {which: {word: float((own == word).mean()) for word in Decision} for which, own in found.items()}
    wrong = max(share[which][Decision.CONTRADICTED] for which in ("true", "just true"))
    right = min(share["true"][Decision.REPRODUCED], share["far"][Decision.CONTRADICTED])
    return Rates(wrong, share["just false"][Decision.REPRODUCED], share["far"][Decision.REPRODUCED], right)


def table() -> Iterator[tuple[Case, dict[tuple[int, float], Rates]]]:
    """Each case with its Rates by number of replicates and spread."""
    for case in cases():
        yield case, {(n, spread): rates(case, n, spread) for n in REPLICATES for spread in SPREADS}


def allowed() -> float:
    """The share of false verdicts that a simulation of SAMPLES may show where the true one is FALSE."""
    return FALSE + 2.6 * math.sqrt(FALSE * (1 - FALSE) / SAMPLES)


def failures(found: dict[tuple[int, float], Rates], powerful: bool) -> list[str]:
    """Which rates are not what is promised."""
    wrong = []
    for (n, spread), one in found.items():
        if max(one[:3]) > allowed():
            wrong.append(f"n = {n}, spread {spread}: false verdicts {max(one[:3]):.3f}")
        if powerful and n == 6 and spread <= POWERFUL and one.right < POWER:
            wrong.append(f"n = {n}, spread {spread}: true verdicts {one.right:.3f}")
    return wrong


HEAD = """# How often verdicts are right

- [The rules](#the-rules)
- [The simulation](#the-simulation)

This page is made by `python docs/verdicts.py`, which judges made-up results whose truth is known.

## The rules

A claim is one or more statements that must all hold. Each says where the mean of a number lies: above or below a bound,
or between two. A statement is *shown* where the 95 % interval lies where the statement wants it, and *refuted* where it
lies outside of what the statement allows; with a bound and a margin, where it shows less than the margin. A claim is
**reproduced** where all statements are shown, **contradicted** where one is refuted (at the level divided by their
number), and otherwise **undecided**. The tests are one-sided Student t-tests at 2.5 %
(`scripts/weight_atlas/stats/judging.py`).

- **Margins** stand beside each verdict with where they come from, and so does the verdict at half and at twice the
  margin. `report/documents/README.md` says how a claim is written.
- **Replicates that never learnt** (no better than always naming the largest class) are left out of every verdict, and
  their number is said. Diverged and failed ones are too.
- **Scores on few images** come in steps. What rounding adds to the variance, step² / 6, is added, so that equal values
  are not taken for certainty.
- **Pairs.** Numbers are paired by seed where the two sides share streams or weights. Where they share nothing (a
  transfer from another task and the base of the target), it is Welch's test.
- **New images.** A verdict on accuracies speaks of the images of this test set. Beside it stands what is seen over
  new images of the same kind too ([honest numbers](honest-numbers.md#means-and-intervals)).
- **Outside its scope** a claim is *toy*: what is seen there is said, and is no verdict on the document.

## The simulation

{samples:,} results per case, normal, with fixed seeds; the numbers of one claim share half of their variance. *Spread*
is the standard deviation between seeds, in margins: at the documents' scale it is a quarter to half of one. Where a
statement has no margin, a tenth of its bound stands in.

- **False verdicts**: the largest share, over {replicates} replicates and spreads of
  {spreads}, of contradicted claims that are true, of reproduced claims of which one statement is just false, and of
  reproduced claims of which one is far off. At most {allowed:.1%} are allowed.
- **True verdicts**: the smaller share of reproduced claims that are true by two margins (or in the middle of a range),
  and of contradicted ones that are wrong by two margins, at a spread of half a margin. {power:.0%} with 6 replicates is
  what one number reaches; a claim on many numbers needs more replicates.

With every claim at its worst, {expected:.1f} of the {claims} verdicts would be false; a claim that is clearly true or
false adds almost nothing.

| Case | Numbers | False verdicts | True, n = 3 | n = 5 | n = 6 | n = 10 |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The page."""
    lines, worst = [], {}
    for case, found in table():
        worst[case.name] = max(max(one[:3]) for one in found.values())
        right = (f"{found[n, POWERFUL].right:.0%}" for n in REPLICATES[1:])
        lines.append(f"| {' | '.join([case.name, str(case.count), f'{worst[case.name]:.1%}', *right])} |")
    shares = [share for name, share in worst.items() if name[0].isdigit()]
    head = HEAD.format(
        samples=SAMPLES,
        replicates=", ".join(map(str, REPLICATES)),
        spreads=", ".join(map(str, SPREADS)),
        allowed=allowed(),
        power=POWER,
        expected=sum(shares),
        claims=len(shares),
    )
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Write the page, or check what it promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say which rates are not what is promised")
    if not parser.parse_args().check:
        (ROOT / "docs/verdicts.md").write_text(page(), encoding="utf-8")
        return
    wrong = [f"{case.name}: {one}" for case, found in table() for one in failures(found, case.count == 1)]
    sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
