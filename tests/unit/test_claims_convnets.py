"""The claims on convolutional networks, each with results in which it is true, in which it is not, and in which nothing
is clear."""

import itertools

import numpy as np
import pytest
from test_reporting_convnets import FEATURES, IMAGENET, MOMENTA, RATES, STEPS, TUTORIAL, opened

from tests.unit import told
from tests.unit.claimed import Truth, check, check_toy, claim, fine

CALTECH = {"dataset": "Caltech-256", "dataset_id": "256_objectcategories-0000"}
IDENTICAL = {"incoming": "identical", "both": "identical-both"}


def study(epochs=20, **scale):
    return Truth("convnets", epochs=epochs, **scale)


def sweep(made, axis, said, others=-0.05, spread=0.001, fates=None, never=None, **ends):
    """A sweep in which one level ends at 0.6 and all others so much above it, but for those that are named."""
    experiment, levels = {"rate": ("rates", RATES), "momentum": ("momentum", MOMENTA)}[axis]
    for level in levels:
        end = 0.6 + ends.get(f"at_{level}", 0.0 if level == said else others)
        key = "lr" if axis == "rate" else "momentum"
        more = {"fate": (fates or {}).get(level, {}), "never": (never or {}).get(level, ())}
        made.put(experiment, {axis: level}, TUTORIAL, end, spread, optimizer={key: float(level)}, **more)


def rates(made, **truth):
    sweep(made, "rate", "0.001", **truth)


def momenta(made, **truth):
    sweep(made, "momentum", "0.92", **truth)


def path(made, spread=0.001, **ends):
    """The steps of the path that are named, with the accuracies that they end with."""
    for step, end in ends.items():
        network, settings, *_ = STEPS[step]
        made.put("path", {"step": step}, network, end, spread, **settings)


def features(made, spread=0.001, start=IMAGENET, **ends):
    """Levels of features, each with (test, training accuracy)."""
    for level, (test, train) in ends.items():
        network = FEATURES[level.replace("_", "-")][0]
        labels = {"features": level.replace("_", "-")}
        made.put("last-layer", labels, network, test, spread, train, start=start, **(CALTECH | made.where))


def filters(made, **spreads):
    """Networks whose filters begin alike, and how far they are apart at the end."""
    rows = made.tables.setdefault("identical", [])
    for variant, spread in spreads.items():
        step = {"type": "identical", "layers": ["conv1"], "outgoing": variant == "both"}
        scheme = {"kind": "init", "scheme": "default", "steps": [step]}
        cell = made.put("filters", {"filters": IDENTICAL[variant]}, TUTORIAL, 0.6, start=scheme)
        for seed, epoch in itertools.product(range(made.replicates), (0, made.epochs)):
            end = spread if epoch and seed == 0 else 0.0
            rows.append((cell, seed, epoch, "conv1", 6, 6 if end else 1, end))


def less(made, experiment, axis, level, *others, of="test"):
    one = made.values(experiment, of, **{axis: level})
    return [one - made.values(experiment, of, **{axis: other}) for other in others]


def best(experiment, axis, levels, said):
    rest = [level for level in sorted(levels, key=float) if level != said]
    return lambda made: [less(made, experiment, axis, said, *rest)]


def step(level, other):
    return lambda made: [less(made, "path", "step", level, other)]


def last_layer(made):
    return [[made.values("last-layer", of, features="all")] for of in ("test", "train")]


def models(made, spread=0.001, **ends):
    """Models of the path, each with (test, training accuracy)."""
    for step, (test, train) in ends.items():
        network, settings, *_ = STEPS[step]
        made.put("path", {"step": step}, network, test, spread, train, **(settings | made.where))


def alone(step, *of):
    return lambda made: [[made.values("path", one, step=step)] for one in of]


def losses(made, turning, spread=None):
    """A last layer whose test loss turns at this share of its epochs, by seed, and then goes on as it goes."""
    features(made, all=(0.71, 0.977))
    for seed, share in enumerate(turning[: made.replicates]):
        back_and_forth = round(share * (made.epochs - 2)) + 1
        steps = [(-1.0) ** min(at, back_and_forth) for at in range(1, made.epochs)]
        course = dict(enumerate(50 + np.cumsum([0, *steps]), start=1))
        for row in made.metrics:
            if row["seed"] == seed and row["epoch"]:
                row["test_loss"] = course[row["epoch"]]


def turning(made):
    """Values above or below both beside them, by numpy alone."""
    shares = []
    for seed in range(made.replicates):
        rows = [row for row in made.metrics if row["seed"] == seed and row["epoch"]]
        loss = np.array([row["test_loss"] for row in sorted(rows, key=lambda row: row["epoch"])])
        inner, before, after = loss[1:-1], loss[:-2], loss[2:]
        shares.append((((inner > before) & (inner > after)) | ((inner < before) & (inner < after))).mean())
    return [[shares]]


MADE = {
    "003-1": (rates, best("rates", "rate", RATES, "0.001")),
    "003-2": (momenta, best("momentum", "momentum", MOMENTA, "0.92")),
    "003-3": (path, step("adam", "tutorial")),
    "003-4": (path, step("dropout", "adam")),
    "003-5": (path, lambda made: [[made.values("path", step="double")], *step("double", "adam")(made)]),
    "003-6": (path, step("C", "B")),
    "003-7": (features, last_layer),
    "003-8": (features, lambda made: [less(made, "last-layer", "features", "three-blocks", "four-blocks", of="gap")]),
    "003-10": (models, alone("A", "test", "train")),
    "003-11": (path, alone("B", "test")),
    "003-12": (path, alone("C", "test")),
    "003-13": (losses, turning),
}
CASES = [
    ("003-1", {}, "reproduced"),
    ("003-1", {"others": 0.05}, "contradicted"),
    ("003-1", {"at_0.01": 0.05}, "contradicted"),  # one is better
    ("003-1", {"at_0.01": 0.0}, "contradicted"),  # one is as good, within the margin
    ("003-1", {"others": -0.01, "spread": 0.02}, "undecided"),
    ("003-2", {}, "reproduced"),
    ("003-2", {"others": 0.05}, "contradicted"),
    ("003-2", {"at_0.9": 0.001}, "contradicted"),  # a neighbour is as good, within the margin
    ("003-2", {"at_0.9": 0.004, "spread": 0.01}, "undecided"),  # a neighbour may be as good
    ("003-3", {"tutorial": 0.6, "adam": 0.615}, "reproduced"),
    ("003-3", {"tutorial": 0.6, "adam": 0.65}, "contradicted"),
    ("003-3", {"tutorial": 0.6, "adam": 0.58}, "contradicted"),
    ("003-3", {"tutorial": 0.6, "adam": 0.615, "spread": 0.02}, "undecided"),
    ("003-4", {"adam": 0.6, "dropout": 0.59}, "reproduced"),
    ("003-4", {"adam": 0.6, "dropout": 0.603}, "reproduced"),  # less than a point
    ("003-4", {"adam": 0.6, "dropout": 0.63}, "contradicted"),
    ("003-4", {"adam": 0.6, "dropout": 0.60, "spread": 0.02}, "undecided"),
    ("003-5", {"adam": 0.6, "double": 0.725}, "reproduced"),
    ("003-5", {"adam": 0.6, "double": 0.66}, "contradicted"),
    ("003-5", {"adam": 0.6, "double": 0.80}, "contradicted"),
    ("003-5", {"adam": 0.75, "double": 0.725}, "contradicted"),
    ("003-5", {"adam": 0.6, "double": 0.725, "spread": 0.03}, "undecided"),
    ("003-6", {"B": 0.70, "C": 0.75}, "reproduced"),
    ("003-6", {"B": 0.75, "C": 0.70}, "contradicted"),
    ("003-6", {"B": 0.75, "C": 0.752}, "contradicted"),  # less than a point
    ("003-6", {"B": 0.75, "C": 0.76, "spread": 0.03}, "undecided"),
    ("003-7", {"all": (0.71, 0.977)}, "reproduced"),
    ("003-7", {"all": (0.66, 0.977)}, "contradicted"),
    ("003-7", {"all": (0.71, 0.90)}, "contradicted"),
    ("003-7", {"all": (0.71, 0.977), "spread": 0.02}, "undecided"),
    ("003-8", {"three_blocks": (0.27, 0.99), "four_blocks": (0.5, 0.99)}, "reproduced"),
    ("003-8", {"three_blocks": (0.5, 0.99), "four_blocks": (0.3, 0.99)}, "contradicted"),
    ("003-8", {"three_blocks": (0.5, 0.99), "four_blocks": (0.51, 0.99), "spread": 0.03}, "undecided"),
    ("003-10", {"A": (0.795, 0.98)}, "reproduced"),
    ("003-10", {"A": (0.84, 0.98)}, "contradicted"),
    ("003-10", {"A": (0.795, 0.90)}, "contradicted"),
    ("003-10", {"A": (0.795, 0.98), "spread": 0.02}, "undecided"),
    ("003-11", {"B": 0.72}, "reproduced"),
    ("003-11", {"B": 0.80}, "contradicted"),
    ("003-11", {"B": 0.72, "spread": 0.02}, "undecided"),
    ("003-12", {"C": 0.77}, "reproduced"),
    ("003-12", {"C": 0.83}, "contradicted"),
    ("003-12", {"C": 0.77, "spread": 0.02}, "undecided"),
    ("003-13", {"turning": (0.8, 0.9, 0.85)}, "reproduced"),
    ("003-13", {"turning": (0, 0, 0)}, "contradicted"),
    ("003-13", {"turning": (0.3, 0.8, 0.6)}, "undecided"),
]


def judged(made, folder, name):
    tables = opened(made.write(folder))
    tables.cards = fine(tables.cards)
    return told.judged(tables, "convnets", ids=(name,))[name]


@pytest.mark.parametrize(("name", "truth", "verdict"), CASES)
def test_a_claim_comes_out_as_the_results_are(tmp_path, name, truth, verdict):
    made = study()
    made.where = {}
    make, expected = MADE[name]
    make(made, **truth)
    item = judged(made, tmp_path, name)
    step_of_score = 1 / (made.epochs - 2) if name == "003-13" else 0.0
    check(item, claim("convnets", name), expected(made), verdict, step_of_score)


def test_every_claim_has_results_for_each_verdict():
    found = {(name, verdict) for name, _, verdict in CASES}
    ids = [one.id for one in told.ledger("convnets") if one.id != "003-9"]
    assert found == set(itertools.product(ids, ("reproduced", "contradicted", "undecided")))


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 6}, "6 of "),
        ({"replicates": 2}, "2 of 3 replicates"),
        ({"dataset": "digits", "dataset_id": "digits-0000"}, "digits instead of C"),
    ],
)
def test_outside_its_scope_a_claim_says_what_was_seen(tmp_path, name, changes, words):
    made = study(**changes)
    made.where = {key: value for key, value in changes.items() if key.startswith("dataset")}
    truth = next(truth for one, truth, verdict in CASES if (one, verdict) == (name, "contradicted"))
    MADE[name][0](made, **(truth | {"spread": 1e-5}))
    check_toy(judged(made, tmp_path, name), "contradicted", words)


@pytest.mark.parametrize("name", ["003-7", "003-8"])
def test_a_start_from_elsewhere_is_outside_the_scope(tmp_path, name):
    made = study()
    made.where = {}
    truth = next(truth for one, truth, _ in CASES if one == name)
    features(made, start={"kind": "graft", "cell": "base-x"}, **truth)
    check_toy(judged(made, tmp_path, name), "reproduced", "instead of ImageNet weights")


# --- the best of a sweep


ALL = range(3)


def test_levels_that_diverged_are_no_rivals_and_are_said(tmp_path):
    """They leave the scope as it is: to diverge is a result."""
    made = study()
    momenta(made, fates={"1.0": dict.fromkeys(ALL, "diverged"), "1.2": dict.fromkeys(ALL, "diverged")})
    item = judged(made, tmp_path, "003-2")
    rest = [level for level in MOMENTA if level not in ("0.92", "1.0", "1.2")]
    check(item, claim("convnets", "003-2"), [less(made, "momentum", "momentum", "0.92", *rest)], "reproduced")
    assert "6 replicates diverged and are not counted." in item["reason"]


def test_a_level_that_never_learnt_is_no_rival_and_is_said(tmp_path):
    made = study()
    rates(made, never={"0.1": ALL}, **{"at_0.1": -0.5})
    item = judged(made, tmp_path, "003-1")
    rest = [level for level in sorted(RATES, key=float) if level not in ("0.001", "0.1")]
    check(item, claim("convnets", "003-1"), [less(made, "rates", "rate", "0.001", *rest)], "reproduced")
    assert "3 replicates never learnt and are not counted." in item["reason"]


def test_replicates_that_never_learnt_are_not_averaged_in(tmp_path):
    """With them the rival would lie 17 points below."""
    made = study(replicates=4)
    rates(made, others=-0.02, never={"0.01": (3,)})
    cell = next(row["cell_id"] for row in made.rows if row["rate"] == "0.01")
    for row in made.metrics:
        if (row["cell_id"], row["seed"]) == (cell, 3):
            row["test_accuracy"] = row["valid_accuracy"] = 0.1
    item = judged(made, tmp_path, "003-1")
    place = [level for level in sorted(RATES, key=float) if level != "0.001"].index("0.01")
    expected = less(made, "rates", "rate", "0.001", "0.01")[0][:3]
    assert item["numbers"][place]["n"] == 3
    assert item["numbers"][place]["mean"] == pytest.approx(expected.mean())
    assert "1 replicate never learnt and is not counted." in item["reason"]


def test_a_level_whose_replicates_failed_is_outside_the_scope(tmp_path):
    made = study()
    rates(made, fates={"0.1": dict.fromkeys(ALL, "failed")})
    check_toy(judged(made, tmp_path, "003-1"), "reproduced", "0 of 3 replicates")


def test_the_level_that_is_said_to_be_the_best_and_never_learnt_leaves_nothing_to_test(tmp_path):
    made = study()
    rates(made, never={"0.001": ALL})
    item = judged(made, tmp_path, "003-1")
    assert item["verdict"] == "not testable here"
    assert "no replicate with rate 0.001 has finished and learnt" in item["reason"]


# --- filters that begin alike


@pytest.mark.parametrize(
    ("spreads", "verdict"),
    [
        ({"incoming": 0.0, "both": 0.0}, "reproduced"),
        ({"incoming": 0.5, "both": 0.0}, "contradicted"),
        ({"incoming": 0.5, "both": 0.5}, "contradicted"),
    ],
)
@pytest.mark.parametrize("scale", [{}, {"epochs": 2, "replicates": 1, "dataset": "digits", "dataset_id": "digits-0"}])
def test_equal_filters_stay_equal_or_not_at_any_scale(tmp_path, spreads, verdict, scale):
    """It is exact: one filter of one replicate that differs is enough."""
    made = study(**scale)
    filters(made, **spreads)
    item = judged(made, tmp_path, "003-9")
    assert (item["verdict"], item["seen"]) == (verdict, verdict)
    assert [number["holds"] for number in item["numbers"]] == [not spread for spread in spreads.values()]


def test_without_filters_that_begin_alike_nothing_is_testable(tmp_path):
    made = study()
    filters(made, incoming=0.0)
    assert judged(made, tmp_path, "003-9")["verdict"] == "not testable here"
