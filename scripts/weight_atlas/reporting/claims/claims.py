"""The ledger of claims: what the source documents say, where it can be tested, and what the results say of it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from weight_atlas.faults import NothingToShow, spared
from weight_atlas.reporting.grammar.exhibit import plain
from weight_atlas.reporting.grammar.source import recorded
from weight_atlas.reporting.grammar.tables import PUBLISHED

REPRODUCED, CONTRADICTED = "reproduced", "contradicted"
ARTEFACT, UNTESTED = "artefact", "not testable here"
FIELDS = ("id", "says", "scope", "test")


@dataclass
class Verdict:
    """What the results say of a claim: one of the four verdicts, a computed sentence, and the numbers behind it."""

    verdict: str
    reason: str
    numbers: dict = field(default_factory=dict)


def ledger(path):
    """The claims of a document (dicts with FIELDS, some with `within`), in the file's order; [] where there is no file.

    Raises ValueError in one line where the file is no list of claims with all FIELDS and ids of their own.
    """
    if not Path(path).is_file():
        return []
    with open(path, encoding="utf-8") as file:
        claims = yaml.safe_load(file)
    if not isinstance(claims, list):
        raise ValueError(f"{path}: is no list of claims; each needs {', '.join(FIELDS)}")
    for claim in claims:
        missing = [name for name in FIELDS if not claim.get(name)]
        if missing:
            raise ValueError(f"{path}: claim {claim.get('id')} has no {missing[0]}; each needs {', '.join(FIELDS)}")
    ids = [claim["id"] for claim in claims]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise ValueError(f"{path}: the id {min(twice)} stands there twice; give each claim its own")
    return claims


def judge(claims, tests, tables):
    """The ledger of a document with its verdicts: a list of dicts, as claims.json holds them.

    tests: id -> function of (claim, Tables) that returns a Verdict.
    """
    judged = []
    for claim in claims:
        test = tests.get(claim["id"], no_test)
        with recorded(test) as source:
            found = Verdict(UNTESTED, "Its test failed; the chapter's list of failures says why.")
            try:
                with spared(tables.faults, f"the test of claim {claim['id']}"):
                    found = test(claim, tables)
            except NothingToShow as why:
                found = Verdict(UNTESTED, f"The results lack what the test needs: {why}")
        shown = {name: " ".join(str(claim[name]).split()) for name in FIELDS}
        shown |= {"verdict": found.verdict, "reason": found.reason, "numbers": plain(found.numbers)}
        judged.append(shown | {"source": asdict(source)})
    return judged


NO_TEST = "No test of this claim is part of the workflow."


def no_test(claim, tables):
    """The verdict on a claim that nothing tests."""
    return Verdict(UNTESTED, NO_TEST)


@dataclass
class Scope:
    """cells: the cell_ids within a claim's scope; nearest: those of each architecture that lack least of it (the same,
    where any is within); outside: what these lack, in words."""

    cells: list
    nearest: list
    outside: str

    def verdict(self, seen, numbers):
        """The verdict where no cell is within the scope: what is outside, and what was seen there."""
        return Verdict(UNTESTED, f"Outside its scope: {self.outside}. {seen}".strip(), numbers)


def scope(claim, tables):
    """Which cells of the grid are within `claim["within"]` (see the ledger's head), as a Scope."""
    within, status, found = claim["within"], tables.status(), {}
    families = tables.architectures()
    for cell in tables.cells.itertuples():
        if families[cell.network] in within["architecture"]:
            card = tables.cards.get(cell.dataset_id)
            lacks = shortcomings(within, tables.settings[cell.cell_id], card, int(status.loc[cell.cell_id, "done"]))
            found.setdefault(families[cell.network], []).append((cell, lacks))
    if not found:
        return Scope([], [], f"no cell has a network of the architecture {' or '.join(within['architecture'])}")
    inside = [cell.cell_id for own in found.values() for cell, lacks in own if not lacks]
    nearest = []
    for own in found.values():
        least = min(len(lacks) for _, lacks in own)
        nearest += [(cell, lacks) for cell, lacks in own if len(lacks) == least]
    return Scope(inside, [cell.cell_id for cell, _ in nearest], told(within, nearest))


def shortcomings(within, settings, card, done):
    """{kind: what there is instead} of what keeps one cell out of a scope; empty where it is within."""
    found = {}
    name = settings.dataset_id.partition("-")[0]
    pictures = sum(card["counts"]["train"]) if card else 0
    width = settings.network.width
    epochs = settings.epochs
    if name not in within["pictures"]:
        found["data"] = name
    elif pictures != within["pictures"][name]:
        found["part"] = (pictures, within["pictures"][name])
    if width != 1:
        found["width"] = width
    if epochs < within["epochs"]:
        found["epochs"] = epochs
    if done < within["replicates"]:
        found["replicates"] = done
    return found


def told(within, cells):
    """What some cells lack, in words; cells: (cell, `shortcomings`), a list."""
    lacking = {}
    for cell, lacks in cells:
        for kind, value in lacks.items():
            lacking.setdefault(kind, {}).setdefault(cell.network if kind == "width" else cell.dataset, value)
    words = []
    if "data" in lacking:
        names = " or ".join(PUBLISHED.get(name, name) for name in within["pictures"])
        words.append(f"{', '.join(lacking['data'])} instead of {names}")
    if "part" in lacking:
        parts = (f"{name} has {there:,} of {full:,}" for name, (there, full) in lacking["part"].items())
        words.append(f"{', '.join(parts)} training pictures")
    if "width" in lacking:
        words.append(", ".join(f"{name} has {width:g} of the full width" for name, width in lacking["width"].items()))
    for kind in ("epochs", "replicates"):
        values = sorted({lacks[kind] for _, lacks in cells if kind in lacks})
        if values:
            some = " to ".join(map(str, dict.fromkeys((values[0], values[-1]))))
            words.append(f"{some} of {within[kind]} {kind}")
    return "; ".join(words)
