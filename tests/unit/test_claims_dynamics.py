"""The claims on parameter dynamics, each with results in which it is true, in which it is not, in which nothing is
clear, and in which its number comes from something else."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
import test_reporting
import test_reporting_perturbed as perturbed

import draw
from tests.unit import told
from tests.unit.claimed import check, check_toy, claim, fine
from tests.unit.tables import complete, write_table
from weight_atlas.reporting.grammar.tables import Tables

SIZE = 10_000  # parameters of each network
CARDS = fine(
    {name: {"counts": {"train": [images]}} for name, images in (("cifar10", 50_000), ("mnist", 60_000), ("digits", 50))}
)
NETWORKS = {"lenet5": "lenet5", "resnet18": "resnet18-quarter", "vgg19": "vgg19-eighth"}


def study(folder, networks, found, optimizers=("sgd",), datasets=("cifar10",), **scale):
    """The Tables of a study at the document's scale, or at that of `scale` (epochs, width, seeds).

    networks: architectures. found: {table: a function (cell, seed, architecture) -> dict of a row's numbers}.
    """
    seeds = scale.get("seeds", 3)
    names = [NETWORKS[name] for name in networks]
    inits = scale.get("inits", ("pretrained",))
    cells = test_reporting.cell_table(datasets, names, inits, optimizers, seeds)
    rows = {name: [] for name in ("runs", *found)}
    for at, cell in enumerate(cells.itertuples()):
        settings = json.loads(cell.cell)
        settings["network"]["width"] = scale.get("width", 1.0)
        settings["training"] |= {"epochs": scale.get("epochs", 20)}
        cells.loc[at, "cell"] = json.dumps(settings)
        for seed in range(seeds):
            front = {"cell_id": cell.cell_id, "seed": seed}
            learnt = seed not in scale.get("never", ())
            rows["runs"].append(front | {"status": "done", "epochs": 20, "learnt": learnt})
            for name, row in found.items():
                rows[name].append(front | row(cell, seed, settings["network"]["architecture"]))
    write_table(folder / "cells.csv", cells)
    for name, own in rows.items():
        write_table(folder / "tables" / f"{name}.csv", pd.DataFrame(own))
    complete(folder / "tables")
    tables = Tables("dynamics", folder / "cells.csv", folder / "tables", folder / "measures")
    tables.cards = CARDS
    return tables


def judged(tables, name):
    item = told.judged(tables, "dynamics", ids=(name,))[name]
    json.dumps(item, allow_nan=False)
    return item


def around(mean, spread, seeds=3):
    """Values by seed around a mean."""
    return mean + np.random.default_rng(3).normal(0, spread, seeds)


# --- what stays unchanged


def unchanged(shares, structural=0.0):
    """unchanged.csv: the share that stays by seed, and how much of that only ever multiplies zero padding."""

    def row(cell, seed, architecture):
        stays = round(SIZE * shares[seed])
        closed = round(stays * structural)
        taps = max(closed, 1) if architecture == "resnet18" else 0
        made = {"layer": "total", "parameter": "all"} | test_reporting.classes(SIZE, stays, closed)
        return made | {"taps": taps}

    return {"unchanged": row}


def counted(shares):
    return np.round(SIZE * np.array(shares)) / SIZE


@pytest.mark.parametrize("name", ["002-1", "002-2"])
@pytest.mark.parametrize(
    ("mean", "spread", "structural", "verdict"),
    [
        (0.7, 0.01, 0.0, "reproduced"),
        (0.7, 0.01, 0.9, "reproduced"),  # a tenth of what is unchanged is something else
        (0.5, 0.01, 0.0, "contradicted"),
        (0.5, 0.01, 1.0, "contradicted"),  # the number is not right, whatever it comes from
        (0.62, 0.1, 0.0, "undecided"),
        (0.62, 0.1, 1.0, "undecided"),
        (0.7, 0.01, 1.0, "artefact"),
        (0.7, 0.01, 0.995, "artefact"),
    ],
)
def test_resnet_keeps_over_60_percent(tmp_path, name, mean, spread, structural, verdict):
    shares = around(mean, spread)
    item = judged(study(tmp_path, ("resnet18",), unchanged(shares, structural)), name)
    if verdict == "artefact":
        assert (item["verdict"], item["seen"]) == ("artefact", "artefact")
        assert "of what is unchanged only ever multiplies zero padding" in item["reason"]
    else:
        check(item, claim("dynamics", name), [[counted(shares)]], verdict, step=1 / SIZE)


@pytest.mark.parametrize("name", ["002-1", "002-2"])
def test_what_stays_is_judged_network_by_network_and_data_set_by_data_set(tmp_path, name):
    """Regardless of the data set: one of two that is below is enough, though their mean is above."""
    shares = {"cifar10": around(0.5, 0.01), "mnist": around(0.8, 0.01)}

    def row(cell, seed, architecture):
        return unchanged(shares[cell.dataset])["unchanged"](cell, seed, architecture)

    item = judged(study(tmp_path, ("resnet18",), {"unchanged": row}, datasets=tuple(shares)), name)
    known = [counted(own) for own in shares.values()]
    check(item, claim("dynamics", name), [known], "contradicted", step=1 / SIZE)


@pytest.mark.parametrize("name", ["002-1", "002-2"])
def test_that_structure_explains_it_is_exact_at_any_scale(tmp_path, name):
    tables = study(tmp_path, ("resnet18",), unchanged(around(0.7, 0.01), 1.0), width=0.25, epochs=5)
    item = judged(tables, name)
    assert (item["verdict"], item["seen"]) == ("artefact", "artefact") and "Outside" not in item["reason"]


CHANGED = [("002-3", "lenet5", 0.995), ("002-4", "vgg19", 0.9)]
SCALES = [
    ({"epochs": 5}, "5 of 20 epochs"),
    ({"seeds": 2}, "2 of 3 replicates"),
    ({"width": 0.25}, "0.25 of the full width"),
    ({"datasets": ("digits",)}, "digits instead of CIFAR-10"),
]


@pytest.mark.parametrize(("name", "architecture", "bound"), [("002-1", "resnet18", 0.6), *CHANGED])
@pytest.mark.parametrize(("scale", "words"), SCALES)
def test_shares_outside_the_scope_are_toys(tmp_path, name, architecture, bound, scale, words):
    stays = bound - 0.1 if name == "002-1" else 1 - bound + 0.1
    shares = around(stays, 0.001, scale.get("seeds", 3))
    tables = study(tmp_path, (architecture,), unchanged(shares), **scale)
    check_toy(judged(tables, name), "contradicted", words)


@pytest.mark.parametrize(("name", "architecture", "bound"), CHANGED)
@pytest.mark.parametrize(
    ("above", "spread", "verdict"),
    [(0.4, 0.1, "reproduced"), (-0.5, 0.1, "contradicted"), (0.1, 0.5, "undecided"), (1.0, 0.0, "reproduced")],
)
def test_what_changes(tmp_path, name, architecture, bound, above, spread, verdict):
    """above: the part of what is left above the bound; all of it: what 100 % is, by the step of a share."""
    room = 1 - bound
    changed = np.clip(bound + room * above + np.array([-1.0, 0.2, 0.8]) * spread * room, 0, 1)
    item = judged(study(tmp_path, (architecture,), unchanged(1 - changed)), name)
    if spread:
        check(item, claim("dynamics", name), [[counted(changed)]], verdict, step=1 / SIZE)
    else:
        assert (item["verdict"], item["numbers"][0]["mean"]) == (verdict, 1.0)
        assert item["numbers"][0]["low"] < 1 < item["numbers"][0]["high"], "equal values have the width of the step"


def test_an_architecture_that_is_not_there_is_not_testable(tmp_path):
    tables = study(tmp_path, ("lenet5",), unchanged(around(0.5, 0.01)))
    for name in ("002-1", "002-2", "002-4"):
        assert judged(tables, name)["verdict"] == "not testable here"


# --- how far they go


def distances(ends):
    """movement.csv: {(architecture, optimizer): relative distances by seed}."""

    def row(cell, seed, architecture):
        apart = ends[architecture, cell.optimizer][seed]
        at = {"layer": "total", "from_epoch": 0, "to_epoch": 20, "interval": "start", "norm_from": 2.0, "norm_to": 2.0}
        return at | {"distance": 2 * apart, "cosine": 0.9, "relative": apart}

    return {"movement": row}


KINDS = [(name, rule) for name in NETWORKS for rule in ("sgd", "adam")]


def far(spread=0.02, seeds=3, **means):
    """Distances of all kinds around 0.5, or those that are named network_optimizer; the spread is relative."""
    draw_ = np.random.default_rng(8)
    means = {tuple(key.split("_")): mean for key, mean in means.items()}
    return {kind: means.get(kind, 0.5) * np.exp(draw_.normal(0, spread, seeds)) for kind in KINDS}


def ratios(ends):
    """By network: the logarithms of what SGD's distance is over Adam's, and over LeNet's with SGD."""
    return [
        np.log(ends[name, "sgd"] / ends[other])
        for name in ("resnet18", "vgg19")
        for other in ((name, "adam"), ("lenet5", "sgd"))
    ]


CLOSE = [
    ({"resnet18_sgd": 0.2, "vgg19_sgd": 0.2}, "reproduced"),
    ({"resnet18_sgd": 0.8, "vgg19_sgd": 0.8}, "contradicted"),
    ({"resnet18_sgd": 0.2, "vgg19_sgd": 0.8}, "contradicted"),
    ({"resnet18_sgd": 0.2, "vgg19_sgd": 0.2, "lenet5_sgd": 0.1}, "contradicted"),  # LeNet ends nearer
    ({"resnet18_sgd": 0.3, "vgg19_sgd": 0.4, "spread": 0.5}, "undecided"),
]


@pytest.mark.parametrize(("truth", "verdict"), CLOSE)
def test_sgd_ends_close(tmp_path, truth, verdict):
    ends = far(**truth)
    item = judged(study(tmp_path, tuple(NETWORKS), distances(ends), ("sgd", "adam")), "002-5")
    check(item, claim("dynamics", "002-5"), [ratios(ends)], verdict)


def test_ratios_are_averaged_on_a_log_scale(tmp_path):
    """Half as far and twice as far cancel: their arithmetic mean would be 1.25."""
    ends = far(0.0) | {("resnet18", "sgd"): np.array([0.25, 1.0, 0.5])}
    item = judged(study(tmp_path, ("resnet18",), distances(ends), ("sgd", "adam")), "002-5")
    [number] = item["numbers"]
    assert number["mean"] == pytest.approx(1.0) and number["low"] * number["high"] == pytest.approx(1.0)


@pytest.mark.parametrize(("scale", "words"), SCALES)
def test_distances_outside_the_scope_are_toys(tmp_path, scale, words):
    ends = far(1e-4, scale.get("seeds", 3), resnet18_sgd=0.8, vgg19_sgd=0.8)
    tables = study(tmp_path, tuple(NETWORKS), distances(ends), ("sgd", "adam"), **scale)
    check_toy(judged(tables, "002-5"), "contradicted", words)


# --- features


def features(ends):
    """features.csv: {(architecture, optimizer): (mean |r|, mean r) by seed}; of weights the opposite."""

    def row(cell, seed, architecture):
        absolute, mean = (values[seed] for values in ends[architecture, cell.optimizer])
        made = {"of": "activations", "features": 84, "constant": 0, "pairs": 3486}
        return made | {"mean_absolute": absolute, "mean_correlation": mean}

    return {"features": row}


def correlated(spread=0.002, seeds=3, **gains):
    """What Adam adds to mean |r| and to mean r of a network: architecture=(gain, gain)."""
    draw_ = np.random.default_rng(9)
    made = {}
    for name, rule in KINDS:
        gain = gains.get(name, (0.0, 0.0)) if rule == "adam" else (0.0, 0.0)
        made[name, rule] = [start + one + draw_.normal(0, spread, seeds)
                            for start, one in zip((0.2, 0.1), gain, strict=True)]  # fmt: skip
    return made


def gained(ends):
    def gain(name, at):
        return ends[name, "adam"][at] - ends[name, "sgd"][at]

    huge = ("resnet18", "vgg19")
    return [[gain(name, 0) for name in huge], [gain(name, 1) for name in huge], [gain("lenet5", 0)]]


MORE = {"resnet18": (0.1, 0.1), "vgg19": (0.1, 0.1)}
STRONGER = [
    (MORE, "reproduced"),
    ({"resnet18": (-0.1, -0.1), "vgg19": (-0.1, -0.1)}, "contradicted"),
    (MORE | {"vgg19": (0.1, -0.1)}, "contradicted"),  # more strongly, and not positively
    (MORE | {"lenet5": (0.2, 0.2)}, "contradicted"),  # LeNet's do so too
    (MORE | {"spread": 0.1}, "undecided"),
]


@pytest.mark.parametrize(("truth", "verdict"), STRONGER)
def test_features_correlate_more_with_adam(tmp_path, truth, verdict):
    ends = correlated(**truth)
    item = judged(study(tmp_path, tuple(NETWORKS), features(ends), ("sgd", "adam")), "002-6")
    check(item, claim("dynamics", "002-6"), gained(ends), verdict)


def test_features_of_replicates_that_never_learnt_are_not_averaged_in(tmp_path):
    ends = correlated(seeds=4, **MORE)
    for values in ends.values():
        for own in values:
            own[3] = 0.9
    tables = study(tmp_path, tuple(NETWORKS), features(ends), ("sgd", "adam"), seeds=4, never=(3,))
    item = judged(tables, "002-6")
    kept = [[own[:3] for own in numbers] for numbers in gained(ends)]
    check(item, claim("dynamics", "002-6"), kept, "reproduced")
    assert item["reason"].endswith(" 6 replicates never learnt and are not counted.")


def test_features_are_compared_start_by_start(tmp_path):
    """A start that only one optimizer has, whose features correlate far less, tips no balance."""
    ends, inits = correlated(**MORE), ("pretrained", "kaiming_normal")

    def row(cell, seed, architecture):
        made = features(ends)["features"](cell, seed, architecture)
        here = 0.0 if cell.init == "pretrained" else 0.1 * (seed + 1)
        return made | {
            "mean_absolute": made["mean_absolute"] - here,
            "mean_correlation": made["mean_correlation"] - here,
        }

    tables = study(tmp_path, tuple(NETWORKS), {"features": row}, ("sgd", "adam"), inits=inits)
    check(judged(tables, "002-6"), claim("dynamics", "002-6"), gained(ends), "reproduced")
    gone = tables.cells[(tables.cells["init"] != "pretrained") & (tables.cells["optimizer"] == "adam")]["cell_id"]
    rows = pd.read_csv(tmp_path / "tables/features.csv")
    write_table(tmp_path / "tables/features.csv", rows[~rows["cell_id"].isin(gone)])
    tables = Tables("dynamics", tmp_path / "cells.csv", tmp_path / "tables", tmp_path / "measures")
    tables.cards = CARDS
    check(judged(tables, "002-6"), claim("dynamics", "002-6"), gained(ends), "reproduced")


@pytest.mark.parametrize(("scale", "words"), SCALES)
def test_features_outside_the_scope_are_toys(tmp_path, scale, words):
    ends = correlated(1e-5, scale.get("seeds", 3), resnet18=(-0.1, -0.1), vgg19=(-0.1, -0.1))
    tables = study(tmp_path, tuple(NETWORKS), features(ends), ("sgd", "adam"), **scale)
    check_toy(judged(tables, "002-6"), "contradicted", words)


def test_without_both_optimizers_nothing_is_testable(tmp_path):
    tables = study(tmp_path, tuple(NETWORKS), features(correlated()) | distances(far()))
    assert judged(tables, "002-6")["verdict"] == "not testable here"


# --- perturbed models


@pytest.fixture
def disturbed(tmp_path):
    """A function that makes one original of LeNet-5, a flip and a small addition, with what a test says of them."""

    def make(amplification=(1.0, 1.001, 0.999), drift=(1.0, 1.001, 0.999), barriers=None, ends=None):
        seeds = len(amplification)
        kind = {"networks": ("lenet5",), "optimizers": ("sgd",), "seeds": seeds}
        perturbed.sample(tmp_path, perturbations=("flip", "add"), **kind)
        cells = pd.read_csv(tmp_path / "cells.csv", dtype=str, keep_default_na=False)
        ids = {row.perturbation: row.cell_id for row in cells.itertuples()}
        still = np.linspace(1.8, 2.0, seeds)
        ways = {
            ("add", "perturbation"): np.full(seeds, 2e-4),
            ("add", "control"): 2e-4 * np.array(amplification),
            ("add", "original"): still * np.array(drift),
            ("none (same order)", "original"): still,
        }

        def told_otherwise(rows):
            rows["distance"] = pd.to_numeric(rows["distance"])
            for (label, pair), by_seed in ways.items():
                for seed, value in enumerate(by_seed):
                    here = (rows["cell_id"] == ids[label]) & (rows["pair"] == pair) & (rows["layer"] == "total")
                    rows.loc[here & (rows["seed"].astype(int) == seed), "distance"] = value
            return rows

        perturbed.edit(tmp_path, "returns", told_otherwise)
        for name, column, key, given in (
            ("barriers", "accuracy_barrier", "alignment", barriers),
            ("accuracy", "accuracy", "protocol", {"last": ends} if ends else None),
        ):
            if given:
                perturbed.edit(tmp_path, name, functools.partial(changed, ids["flip"], column, key, given))
        return tmp_path

    return make


def changed(cell, column, key, given, rows):
    """The rows of a table with values by seed of a cell, for some keys."""
    rows[column] = pd.to_numeric(rows[column])
    for name, values in given.items():
        for seed, value in enumerate(values):
            here = (rows["cell_id"] == cell) & (rows[key] == name) & (rows["seed"].astype(int) == seed)
            rows.loc[here, column] = value
    return rows


def returned(folder, name="002-7"):
    return judged(perturbed.opened(folder), name)


FAR = (1.5, 1.6, 1.4)  # how far from the original, over the control's way: not what training on does
BACK = [
    ((0.5, 0.52, 0.48), (1.0, 1.001, 0.999), "reproduced"),
    ((0.5, 0.52, 0.48), FAR, "reproduced"),
    ((0.99996, 0.99995, 0.99998), FAR, "contradicted"),
    ((0.99996, 0.99995, 0.99998), (1.0, 1.001, 0.999), "artefact"),  # nothing came back; training went on
    ((1.07, 0.99994, 1.002), FAR, "contradicted"),
    ((1.07, 0.99994, 1.002), (1.0, 1.001, 0.999), "artefact"),
    ((4.0, 3.5, 4.5), (1.0, 1.001, 0.999), "artefact"),
    ((4.0, 3.5, 4.5), (0.7, 1.0, 1.4), "contradicted"),  # as far on average, and by no means shown
    ((0.2, 1.3, 0.9), (1.0, 1.001, 0.999), "undecided"),
    ((0.89, 0.885, 0.895), FAR, "undecided"),  # a tenth nearer, or not
]


@pytest.mark.parametrize(("amplification", "drift", "verdict"), BACK)
def test_coming_back_is_a_distance_to_the_control_that_shrinks(disturbed, amplification, drift, verdict):
    item = returned(disturbed(amplification, drift))
    if verdict == "artefact":
        assert (item["verdict"], item["seen"]) == ("artefact", "artefact")
        low, high = item["numbers"][0]["low"], item["numbers"][0]["high"]
        assert 0.9 < low < np.exp(np.mean(np.log(amplification))) < high
        assert "distance to the original over that without a distortion" in item["reason"]
    else:
        check(item, claim("dynamics", "002-7"), [[np.log(amplification)]], verdict)


def test_originals_that_differ_are_not_averaged(disturbed, tmp_path):
    """One that comes back and one that does not: the claim is of all."""
    perturbed.sample(tmp_path, perturbations=("add",), networks=("lenet5",), optimizers=("sgd", "adam"), seeds=3)
    cells = pd.read_csv(tmp_path / "cells.csv", dtype=str, keep_default_na=False)
    ids = cells.loc[cells["perturbation"] == "add", "cell_id"].tolist()
    factors = dict(zip(ids, ((0.1, 0.11, 0.12), (3.0, 3.1, 3.2)), strict=True))

    def change(rows):
        rows["distance"] = pd.to_numeric(rows["distance"])
        starts = rows[rows["pair"] == "perturbation"].set_index(["cell_id", "seed", "layer"])["distance"]
        for at, row in rows[(rows["pair"] == "control") & rows["cell_id"].isin(ids)].iterrows():
            start = starts[row["cell_id"], row["seed"], row["layer"]]
            rows.loc[at, "distance"] = start * factors[row["cell_id"]][int(row["seed"])]
        rows.loc[(rows["pair"] == "original") & rows["cell_id"].isin(ids), "distance"] *= 1.5
        return rows

    perturbed.edit(tmp_path, "returns", change)
    item = returned(tmp_path)
    check(item, claim("dynamics", "002-7"), [[np.log(factors[cell]) for cell in ids]], "contradicted")


BARRIERS = [
    ((0.8, 0.8, 0.8), (0.42, 0.43, 0.41), (0.42, 0.43, 0.41), "reproduced"),
    ((0.8, 0.79, 0.81), (0.005, 0.006, 0.004), (0.005, 0.006, 0.004), "contradicted"),
    ((0.005, 0.006, 0.004), (0.3, 0.31, 0.32), (0.005, 0.006, 0.004), "contradicted"),  # the aligned one is above
    ((0.3, 0.005, 0.004), (0.004, 0.3, 0.31), (0.004, 0.005, 0.004), "contradicted"),  # replicate by replicate
    ((0.8, 0.79, 0.81), (0.0, 0.1, 0.05), (0.0, 0.1, 0.05), "undecided"),
    ((0.8, 0.79, 0.81), (0.03, 0.031, 0.029), (0.03, 0.031, 0.029), "undecided"),  # it is there, and below the margin
]


@pytest.mark.parametrize(("plain", "aligned", "smaller", "verdict"), BARRIERS)
def test_a_minimum_far_away_is_behind_a_barrier_without_symmetries(disturbed, plain, aligned, smaller, verdict):
    item = returned(disturbed(barriers={"plain": plain, "aligned": aligned}), "002-8")
    check(item, claim("dynamics", "002-8"), [[list(smaller)]], verdict)


def test_a_flipped_network_that_does_not_learn_again_is_in_no_minimum(disturbed):
    """The one replicate that did not has no barrier; the other three decide."""
    barriers = {"plain": (0.8,) * 4, "aligned": (0.42, 0.43, 0.41, 0.0)}
    folder = disturbed((1.0,) * 4, (1.0,) * 4, barriers, ends=(0.95, 0.95, 0.95, 0.1))
    check(returned(folder, "002-8"), claim("dynamics", "002-8"), [[list(barriers["aligned"][:3])]], "reproduced")


def test_where_no_flipped_network_learns_again_nothing_is_testable(disturbed):
    item = returned(disturbed(ends=(0.1, 0.1, 0.1)), "002-8")
    assert item["verdict"] == "not testable here" and "none of 3 flipped replicates learnt again" in item["reason"]


def test_without_a_control_or_a_perturbation_nothing_is_testable(disturbed, tmp_path):
    folder = disturbed()
    cells = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    write_table(folder / "cells.csv", cells[cells["perturbation"] != "none (same order)"])
    perturbed.edit(folder, "returns", lambda rows: rows[rows["pair"] != "control"])
    assert returned(folder)["verdict"] == "not testable here"
    write_table(folder / "cells.csv", cells[cells["role"] == "grid"])
    for name in ("002-7", "002-8"):
        item = returned(folder, name)
        assert item["verdict"] == "not testable here" and "perturbs" in item["reason"]


@pytest.mark.parametrize("gone", [*perturbed.TABLES, "pairs"])
def test_an_empty_table_is_no_fault(disturbed, gone):
    folder = disturbed()
    perturbed.edit(folder, gone, lambda rows: rows.head(0))
    tables = perturbed.opened(folder)
    for name in ("002-7", "002-8"):
        judged(tables, name)
    assert tables.faults == []


# --- all of them


def test_every_claim_has_results_for_each_verdict():
    tested = {"002-5": CLOSE, "002-7": BACK, "002-8": BARRIERS, "002-6": STRONGER}
    wanted = {"reproduced", "contradicted", "undecided"}
    assert all(wanted <= {case[-1] for case in cases} for cases in tested.values())
    ids = {one.id for one in told.ledger("dynamics")}
    assert ids == {*tested, "002-1", "002-2", *(name for name, *_ in CHANGED)}


def test_draw_writes_the_claims(tmp_path):
    kind = {"datasets": ("fashion",), "networks": ("lenet5",), "inits": ("pretrained",), "seeds": 2}
    test_reporting.sample(tmp_path, **kind)
    draw.main(told.command(tmp_path, "dynamics", tmp_path / "out", "dynamics"))
    found = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert [item["id"] for item in found] == [f"002-{at}" for at in range(1, 9)]
    keys = {
        "id",
        "says",
        "scope",
        "origin",
        "shows",
        "test",
        "verdict",
        "reason",
        "seen",
        "lean",
        "half",
        "double",
        "new",
    }
    assert all(set(item) == keys | {"seeds", "numbers", "stated", "source", "figure"} for item in found)
    assert {item["verdict"] for item in found} <= {"toy", "not testable here"}
    assert all(item["seen"] for item in found if item["verdict"] == "toy")
