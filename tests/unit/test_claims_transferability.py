"""The claims on freeze-depth transfer, each with results in which it is true, in which it is not, and in which nothing
is clear."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats
from test_reporting_transfer import CARDS, opened
from test_transfer import BASES, Sample

from tests.unit import told
from tests.unit.claimed import Known, check, check_toy, claim, fine

DEPTHS = range(1, 11)
TEN, HUNDRED = "vgg11_bn", "vgg11_bn-100"


def nothing(*_):
    return 0.0


class Truth(Sample):
    """Transfers whose replicates end at the base's accuracy less `loss`(base, target, n, rate), on training images at
    0.99 less `trained`(n), and reach their end in the `epochs` of `first` (base or transfer), by seed."""

    def __init__(self, loss=nothing, trained=nothing, first=None, spread=0.001, seeds=3, epochs=200):
        super().__init__(seeds, epochs, axes=("rate",))
        self.loss, self.trained, self.first, self.spread = loss, trained, first or {}, spread
        self.known = {}  # (network, base, target, n, rate) -> accuracy by seed; a base has no n

    def cell(self, role, dataset, network=TEN, curve=("", "", "", ""), extra=None, change=0.0, **more):
        self.now = network, curve[1], dataset, curve[3], (extra or {}).get("rate", ""), change
        return super().cell(role, dataset, network, curve, extra, change, **more)

    def settings(self, row, outputs, mode, depth):
        made = super().settings(row, outputs, mode, depth)
        made["training"]["stages"][0]["lr"] = float(row["rate"] or 0.1)
        return made

    def train(self, cell_id, level, pace):
        network, base, target, depth, rate, change = self.now
        copied = 0.0 if depth == "" else self.loss(base, target, depth, rate) - change
        ends = BASES[target] - copied + self.random.normal(0, self.spread, self.seeds)
        seen = 0.99 - (self.trained(depth) if depth != "" else 0.0) + self.random.normal(0, self.spread, self.seeds)
        self.known[network, base, target, depth, rate] = ends, seen
        for seed in range(self.seeds):
            self.runs.append({"cell_id": cell_id, "seed": seed, "status": "done", "learnt": True})
            first = self.first.get("base" if depth == "" else "transfer", [self.epochs] * self.seeds)[seed]
            for epoch in sorted({0, 1, first, self.epochs}):
                share = 1.0 if epoch >= first else 0.5 * epoch / first
                test = 0.1 + (ends[seed] - 0.1) * share
                row = {"epoch": epoch, "test_accuracy": test, "valid_accuracy": test, "valid_loss": 1.0}
                row |= {"test_loss": 1.0, "train_accuracy": seen[seed] * share if epoch else np.nan}
                self.metrics.append({"cell_id": cell_id, "seed": seed, **row})

    def of(self, base, target, depth, network=TEN, rate="", what=0):
        """The known accuracies by seed: on test images, or (what = 1) on training images."""
        return self.known[network, base, target, depth, rate][what]


def halves(made, depths=range(11)):
    """A to B and B to B."""
    for name in ("A", "B"):
        made.cell("grid", name)
    made.transfers("a-to-b", "A", "B", depths)
    made.transfers("b-to-b", "B", "B", depths)


def outputs(made, more=0.0):
    halves(made)
    made.cell("grid", "A", HUNDRED, outputs=100)
    made.transfers("outputs", "A", "B", DEPTHS, network=HUNDRED, outputs=100, change=more)


def slower(made):
    halves(made)
    for depth in (9, 10):
        made.cell("extra", "B", curve=("cause", "B", "frozen", depth), extra={"rate": "0.01"})


def groups(made):
    for name in ("A1", "A2", "V"):
        made.cell("grid", name)
    for base, target in (("A1", "A2"), ("V", "A2")):
        made.transfers("similarity", base, target, DEPTHS)


# --- losses of accuracy by base, target, n and learning rate


def falling(step, onset=1):
    """From one n to the next, of another task's layers."""
    return lambda base, target, depth, rate: step * max(0, depth - onset + 1) * (base != target)


def sudden(size, rated=0.0):
    """Of one's own layers at n = 10 alone; a lower rate takes back a part of it."""
    return lambda base, target, depth, rate: size * (base == target and depth == 10) * (1 - rated * bool(rate))


def generic(shallow, deep):
    """Of another task's layers up to n = 6, and from 9 on."""
    return lambda base, target, depth, rate: (shallow * (depth <= 6) + deep * (depth >= 9)) * (base != target)


def between(similar, different):
    return lambda base, target, depth, rate: different if "V" in (base, target) else similar


def late(deep, slope=0.0):
    """Of accuracy on training images: at n = 9 and 10, and from one n to the next."""
    return lambda depth: deep * (depth >= 9) + slope * depth


# --- the numbers behind each claim


def rises(made, base, depths, what=0):
    """By seed, what a line over n changes by from the first to the last."""
    table = np.array([made.of(base, "B", depth, what=what) for depth in depths])
    return [np.polyfit(depths, own, 1)[0] * (depths[-1] - depths[0]) for own in table.T]


def lates(made):
    table = np.array([made.of("A", "B", depth, what=1) for depth in DEPTHS])
    return table[-2:].mean(axis=0) - table[:-2].mean(axis=0)


def drop(made, base, target, depth):
    return made.of("", target, ""), made.of(base, target, depth)


def last(made):
    return made.of("B", "B", 10) - made.of("B", "B", 9)


def unlike(made, seeds=None):
    """The last step less that of Yosinski's own curve over the same relative depths: from 0.9 of the way to n = 7, on
    the line from n = 6, to n = 7; both steps are independent, and so are the curve's means, of four runs each."""
    here, part = last(made)[:seeds], 0.7  # n = 6.3 lies 0.7 of the way from 7 back to 6
    errors = [stats.sem(here), part * 0.0049 / 2, part * 0.0054 / 2]
    squares = np.square(errors)
    df = squares.sum() ** 2 / (squares**2 / (np.array([len(here), 4, 4]) - 1)).sum()
    return Known(len(here), np.mean(here) - part * (0.6232 - 0.6188), np.sqrt(squares.sum()), df)


def repaired(made):
    before, deepest = made.of("B", "B", 9), made.of("B", "B", 10)
    return made.of("B", "B", 10, rate="0.01") - deepest - (before - deepest) / 2


def more_different(made):
    """The difference of two mean drops over n, each the difference of two independent means."""
    sides = []
    for name in ("V", "A1"):
        own = made.of("", "A2", ""), np.mean([made.of(name, "A2", depth) for depth in DEPTHS], axis=0)
        sides.append((own[0].mean() - own[1].mean(), sum(stats.sem(one) ** 2 for one in own)))
    (first, one), (second, other) = sides
    df = made.seeds - 1
    return Known(made.seeds, first - second, np.sqrt(one + other), (one + other) ** 2 / (one**2 + other**2) * df)


SIX, DEEP = range(1, 7), (9, 10)
MADE = {
    "001-1": (outputs, lambda made: [[made.of("A", "B", n, HUNDRED) - made.of("A", "B", n) for n in DEPTHS]]),
    "001-2": (halves, lambda made: [[np.log(made.first["base"])], [np.log(made.first["transfer"])]]),
    "001-3": (halves, lambda made: [[rises(made, "A", DEPTHS)]]),
    "001-4": (halves, lambda made: [[lates(made)], [rises(made, "A", range(1, 9), what=1)]]),
    "001-5": (
        halves,
        lambda made: [
            [drop(made, "A", "B", n) for n in SIX],
            [(made.of("B", "B", n), made.of("A", "B", n)) for n in DEEP],
        ],
    ),
    "001-6": (halves, lambda made: [[rises(made, "A", range(11))]]),
    "001-7": (halves, lambda made: [[last(made)], [unlike(made)]]),
    "001-8": (slower, lambda made: [[last(made)], [repaired(made)]]),
    "001-9": (groups, lambda made: [[drop(made, "A1", "A2", 1)]]),
    "001-10": (groups, lambda made: [[more_different(made)]]),
}


def taken(base, transfer):
    return {"first": {"base": base, "transfer": transfer}}


CASES = [
    ("001-1", {}, "reproduced"),
    ("001-1", {"more": 0.05}, "contradicted"),
    ("001-1", {"more": -0.05}, "contradicted"),
    ("001-1", {"spread": 0.02}, "undecided"),
    ("001-2", taken((150, 160, 170), (4, 4, 5)), "reproduced"),
    ("001-2", taken((20, 22, 24), (4, 4, 5)), "contradicted"),
    ("001-2", taken((150, 160, 170), (40, 44, 50)), "contradicted"),
    ("001-2", taken((90, 140, 190), (4, 4, 5)), "undecided"),
    ("001-3", {"loss": falling(0.01)}, "reproduced"),
    ("001-3", {"loss": falling(-0.003)}, "contradicted"),
    ("001-3", {}, "contradicted"),  # no change, within less than a point
    ("001-3", {"loss": falling(0.001), "spread": 0.02}, "undecided"),
    ("001-4", {"trained": late(0.1)}, "reproduced"),
    ("001-4", {"trained": late(-0.1)}, "contradicted"),
    ("001-4", {"trained": late(0.1, 0.01)}, "contradicted"),  # it falls from 1 to 8 too
    ("001-4", {"trained": late(0.3), "spread": 0.02}, "undecided"),  # no relation is not shown by what is not seen
    ("001-5", {"loss": generic(0.0, 0.08)}, "reproduced"),
    ("001-5", {"loss": generic(0.05, 0.08)}, "contradicted"),
    ("001-5", {"loss": generic(0.0, 0.0)}, "contradicted"),  # 9 and 10 lose nothing
    ("001-5", {"loss": generic(0.0, 0.3), "spread": 0.02}, "undecided"),
    ("001-6", {"loss": falling(0.01, 0)}, "reproduced"),
    ("001-6", {"loss": falling(-0.004, 0)}, "contradicted"),
    ("001-6", {"loss": falling(0.001, 0), "spread": 0.02}, "undecided"),
    ("001-7", {"loss": sudden(0.04)}, "reproduced"),
    ("001-7", {}, "contradicted"),
    ("001-7", {"loss": sudden(0.02), "spread": 0.02}, "undecided"),
    ("001-8", {"loss": sudden(0.06, 1.0)}, "reproduced"),
    ("001-8", {"loss": sudden(0.06, 0.1)}, "contradicted"),  # it drops, and a lower rate does not help
    ("001-8", {"loss": sudden(0.0, 0.0)}, "contradicted"),  # there is no drop
    ("001-8", {"loss": sudden(0.06, 0.8), "spread": 0.02}, "undecided"),
    ("001-9", {}, "reproduced"),
    ("001-9", {"loss": between(0.05, 0.05)}, "contradicted"),
    ("001-9", {"spread": 0.02}, "undecided"),
    ("001-10", {"loss": between(0.01, 0.06)}, "reproduced"),
    ("001-10", {"loss": between(0.06, 0.01)}, "contradicted"),
    ("001-10", {"loss": between(0.02, 0.03), "spread": 0.04}, "undecided"),
]


def build(name, truth, **scale):
    """A study with the transfers that a claim is about."""
    make, _ = MADE[name]
    options = {key: value for key, value in truth.items() if key == "more"}
    made = Truth(**{key: value for key, value in truth.items() if key != "more"}, **scale)
    make(made, **options)
    return made


def judged(made, folder, name, cards=CARDS):
    tables = opened(made.write(folder))
    tables.cards = fine(cards)
    item = told.judged(tables, "transferability", ids=(name,))[name]
    json.dumps(item, allow_nan=False)
    return item


@pytest.mark.parametrize(("name", "truth", "verdict"), CASES)
def test_a_claim_comes_out_as_the_results_are(tmp_path, name, truth, verdict):
    made = build(name, truth)
    check(judged(made, tmp_path, name), claim("transferability", name), MADE[name][1](made), verdict)


def test_every_claim_has_results_for_each_verdict():
    found = {(name, verdict) for name, _, verdict in CASES}
    ids = [one.id for one in told.ledger("transferability")]
    assert found == set(itertools.product(ids, ("reproduced", "contradicted", "undecided")))


@pytest.mark.parametrize("name", MADE)
def test_outside_its_scope_a_claim_says_what_was_seen(tmp_path, name):
    truth = next(truth for one, truth, verdict in CASES if (one, verdict) == (name, "contradicted"))
    made = build(name, truth, epochs=199)
    check_toy(judged(made, tmp_path, name), "contradicted", "199 of 200 epochs")


@pytest.mark.parametrize(
    ("name", "whole", "part"), [("001-3", "25,000", 10), ("001-9", "15,000", 10), ("001-10", "15,000", 10)]
)
def test_a_part_of_the_images_is_outside_the_scope(tmp_path, name, whole, part):
    truth = next(truth for one, truth, _ in CASES if one == name)
    cards = {key: card | {"counts": {"train": [part] * len(card["classes"])}} for key, card in CARDS.items()}
    check_toy(judged(build(name, truth), tmp_path, name, cards), "reproduced", f"of {whole} training images")


def test_a_curve_that_ends_early_is_outside_the_scope(tmp_path):
    made = Truth(falling(0.02))
    halves(made, range(6))
    check_toy(judged(made, tmp_path, "001-3"), "reproduced", "n up to 5 instead of 10")


def test_main_tasks_are_those_with_both_kinds_of_layers(tmp_path):
    """Outside of the scope too: no task of the groups of animals counts."""
    made = Truth(falling(0.01), epochs=199)
    halves(made)
    groups(made)
    item = judged(made, tmp_path, "001-3")
    check_toy(item, "reproduced")
    assert [number["words"].partition(":")[0] for number in item["numbers"]] == ["A → B"]


def test_an_accuracy_that_is_never_reached_is_not_testable(tmp_path):
    made = build("001-2", taken((150, 160, 170), (4, 4, 5)) | {"loss": falling(0.2)})
    item = judged(made, tmp_path, "001-2")
    assert item["verdict"] == "not testable here" and "reaches 0.88" in item["reason"]


@pytest.mark.parametrize("name", ["001-1", "001-8", "001-9", "001-10"])
def test_transfers_that_were_not_made_leave_their_claims_untested(tmp_path, name):
    made = Truth()
    halves(made)
    assert judged(made, tmp_path, name)["verdict"] == "not testable here"


def test_replicates_that_never_learnt_are_not_averaged_in(tmp_path):
    made = build("001-7", {"loss": sudden(0.04)}, seeds=4)
    lost = next(row["cell_id"] for row in made.cells if row["base"] == row["dataset"] == "B" and row["depth"] == "10")
    for run in made.runs:
        run["learnt"] = (run["cell_id"], run["seed"]) != (lost, 3)
    for row in made.metrics:
        if (row["cell_id"], row["seed"]) == (lost, 3):
            row |= {"test_accuracy": 0.1, "valid_accuracy": 0.1}
    item = judged(made, tmp_path, "001-7")
    check(item, claim("transferability", "001-7"), [[last(made)[:3]], [unlike(made, 3)]], "reproduced")
    assert item["reason"].endswith(" 1 replicate never learnt and is not counted.")


def test_one_replicate_has_no_test(tmp_path):
    for name in ("001-3", "001-7", "001-5"):
        item = judged(build(name, {}, seeds=1), tmp_path / name, name)
        check_toy(item, "undecided", "1 of 3 replicates")
