"""Pruning against torch.nn.utils.prune: the masks, the training that keeps them, and a run that is interrupted."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from statsmodels.stats.multitest import multipletests
from torch.nn.utils import prune

from tests.unit.designs import GRID, made
from tests.unit.test_training import SGD, settings, snapshot, stage, train
from weight_atlas import networks, perturbations, starts, store, streams
from weight_atlas.networks import build
from weight_atlas.perturbations.prune import perturb as prune_weights
from weight_atlas.plan import parts
from weight_atlas.reporting.exhibits.perturbed import pruning
from weight_atlas.settings import Start
from weight_atlas.starts.perturb import Weights
from weight_atlas.training import checkpoint, engine, optimizers
from weight_atlas.training.pruned import PrunedWeights

NETWORK = {"architecture": "resnet18", "width": 0.0625, "options": {}, "threads": 1}
ADAM = {"type": "adamw", "lr": 0.003, "betas": [0.9, 0.999], "weight_decay": 0.1}


def step(**options):
    known = {name: default for name, (_, default) in perturbations.options("prune").items()}
    return {"type": "prune", "layers": None, "tensors": "all"} | known | options


def begun(parent, *steps, seed=0):
    """(the parent's end, the start that is made of it, its masks)."""
    path = store.snapshot_path(parent, 0, 2)
    table = networks.layer_table(NETWORK, 1, 32, 4)
    start = {"kind": "perturb", "scheme": "kaiming_uniform", "order": "same", "cell": "x", "steps": list(steps)}
    model = build.TableModule(table)
    masks = starts.begin(model, table, Start(**start), seed, str(path)).masks
    return store.load_tensors(path), model.state_dict(), masks


def weights_of(tensors):
    """The tensors of convolutions and linear layers: those of the network with more than one axis."""
    return [name for name, tensor in tensors.items() if tensor.dim() > 1]


# ------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("sparsity", [0.3, 0.8, 0.95])
def test_masks_are_those_of_torch(parent, sparsity):
    before, after, masks = begun(parent, step(sparsity=sparsity))
    assert set(masks) == set(weights_of(before)) and len(masks) == 21
    for name, mask in masks.items():
        layer = torch.nn.Linear(1, 1)
        layer.weight = torch.nn.Parameter(before[name].clone())
        prune.l1_unstructured(layer, "weight", amount=sparsity)
        assert torch.equal(mask, layer.weight_mask.bool()) and torch.equal(after[name], layer.weight.detach())
    others = [name for name in before if name not in masks]
    assert all(torch.equal(after[name], before[name]) for name in others), "biases and normalisations stay"


def test_masks_over_all_layers_are_those_of_torch(parent):
    before, _, masks = begun(parent, step(sparsity=0.7, scope="global"))
    layers = {name: torch.nn.Linear(1, 1) for name in masks}
    for name, layer in layers.items():
        layer.weight = torch.nn.Parameter(before[name].clone())
    pairs = [(layer, "weight") for layer in layers.values()]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.7)
    assert all(torch.equal(masks[name], layer.weight_mask.bool()) for name, layer in layers.items())
    shares = [float(mask.float().mean()) for mask in masks.values()]
    assert max(shares) > 0.5 > 0.2 > min(shares), "layers keep different shares"


def test_random_masks_are_those_of_torch_with_their_stream(parent):
    _, _, masks = begun(parent, step(sparsity=0.6, by="random"))
    for name, mask in masks.items():
        layer = torch.nn.Linear(1, 1)
        layer.weight = torch.nn.Parameter(torch.ones(mask.shape))
        torch.manual_seed(streams.generator(0, "perturb", 0, name).initial_seed())
        prune.random_unstructured(layer, "weight", amount=0.6)
        assert torch.equal(mask, layer.weight_mask.bool())
    again, other = begun(parent, step(sparsity=0.6, by="random"))[2], begun(parent, step(by="random"), seed=1)[2]
    assert all(torch.equal(masks[name], again[name]) for name in masks)
    more = begun(parent, step(sparsity=0.8, by="random"))[2]
    assert all(not (more[name] & ~masks[name]).any() for name in masks), "nested"
    assert any((more[name] != other[name]).any() for name in masks), "each seed draws its own"


def test_a_ticket_is_the_start_under_the_mask_of_the_end(parent):
    before, after, masks = begun(parent, step(remaining="rewound"))
    first = snapshot(parent, 0)
    assert any(not torch.equal(first[name], before[name]) for name in first if "running" in name)
    for name in first:
        assert torch.equal(after[name], first[name] * masks[name] if name in masks else first[name]), name
    trained = begun(parent, step())[2]
    assert all(torch.equal(masks[name], trained[name]) for name in masks), "ranked by the trained magnitudes"

    _, control, own = begun(parent, step(remaining="rerandomised"))
    assert all(torch.equal(own[name], masks[name]) for name in masks)
    assert not torch.equal(control["conv1.weight"], after["conv1.weight"])
    bound = (6 / (9 * control["layer2.0.conv1.weight"].shape[1])) ** 0.5  # He et al. 2015, uniform
    assert 0.9 * bound < control["layer2.0.conv1.weight"].abs().max() <= bound
    assert (control["bn1.running_mean"] == 0).all() and (control["bn1.weight"] == 1).all()


def test_what_is_pruned_stays_so_whatever_step_follows(parent):
    noise = {"type": "add", "layers": None, "tensors": "all", "size": 1.0, "noise": "constant"}
    _, after, masks = begun(parent, step(layers=["layer1"]), noise, step(sparsity=0.9, layers=["fc"]))
    assert set(masks) == {name for name in weights_of(after) if name.startswith(("layer1", "fc"))}
    assert all(not after[name][~mask].any() and after[name][mask].all() for name, mask in masks.items())
    _, _, twice = begun(parent, step(sparsity=0.5), step(sparsity=0.5, by="random"))
    share = np.mean([float(twice[name].float().mean()) for name in twice if twice[name].numel() > 1000])
    assert share == pytest.approx(0.25, abs=0.02), "both masks hold"


def test_a_zero_that_is_not_pruned_may_move():
    """A start with zeros of its own: the mask is known, and not what is zero."""
    table = networks.layer_table({"architecture": "lenet5", "width": 0.5, "options": {}, "threads": 1}, 1, 32, 4)
    tensors = {name: torch.zeros(shape) for name, shape in table.parameters()}
    weights = Weights(tensors, table, None, Start("init", scheme="constant"), 0, 0, {})
    prune_weights(weights, list(tensors), sparsity=0.25)
    assert all(int((~mask).sum()) == round(0.25 * mask.numel()) for mask in weights.masks.values())


@pytest.mark.parametrize("sparsity", [0.0, 1.0, -0.5, 80.0])
def test_a_share_that_is_none_is_refused(sparsity):
    with pytest.raises(ValueError, match=f"option 'sparsity' is {sparsity:g}; allowed: between 0 and 1"):
        perturbations.check("prune", {"sparsity": sparsity, "by": "random"})
    perturbations.check("flip", {"running_mean": True})
    assert parts.perturbations is perturbations, "asked by the plan"


# ------------------------------------------------------------------------------------------- training


def retrain(toy, out, parent, *steps, state="fresh", **training):
    cell = settings("resnet18", width=0.0625, optimizer=training.pop("optimizer", SGD))
    cell["start"] = {"kind": "perturb", "cell": "p", "take": "last", "scheme": "kaiming_uniform", "steps": list(steps)}
    cell["start"] |= {"order": "same", "repeat": 0, "state": state}
    cell["training"] |= training
    return train(toy, out, cell, file=str(store.snapshot_path(parent, 0, 2)))


def assert_held(out, masks):
    """Every snapshot has exact zeros where it is pruned, and every other weight has moved."""
    first = snapshot(out, 0)
    for epoch in (0, 1, 2, "best"):
        tensors = snapshot(out, epoch)
        assert all(not tensors[name][~mask].any() for name, mask in masks.items())
        assert not any(torch.signbit(tensors[name][~mask]).any() for name, mask in masks.items()), "no -0 either"
    moved = [float((tensors[name] != first[name])[mask].float().mean()) for name, mask in masks.items()]
    assert min(moved) > 0.05 and np.median(moved) > 0.9, "the others are trained, structural taps apart"


EVERY = {name: {"type": name, "lr": 0.01} for name in optimizers.NAMES}
EVERY |= {"sgd": SGD | {"weight_decay": 0.01, "nesterov": True}, "adamw": ADAM, "adam": ADAM | {"type": "adam"}}


@pytest.mark.parametrize("optimizer", EVERY)
def test_the_mask_holds_with_every_optimizer(toy, tmp_path, parent, optimizer):
    retrain(toy, tmp_path, parent, step(remaining="rewound"), optimizer=EVERY[optimizer])
    assert_held(tmp_path, begun(parent, step())[2])


def test_the_mask_holds_with_momentum_from_before_averages_and_penalties(toy, tmp_path, parent):
    masks = begun(parent, step(sparsity=0.6))[2]
    retrain(toy, tmp_path / "carried", parent, step(sparsity=0.6), state="carried", track=True)
    assert_held(tmp_path / "carried", masks)
    bits = store.load_tensors(store.track_path(tmp_path / "carried", 0))
    assert all(not (bits[name][~mask] & 1).any() for name, mask in masks.items()), "no gradient"
    for name, average in {"ema": {"type": "ema", "decay": 0.9}, "swa": {"type": "swa", "start": 1}}.items():
        penalty = {"layers": None, "alpha": 0.5, "weight": 0.1}
        retrain(toy, tmp_path / name, parent, step(sparsity=0.6), average=average, penalty=penalty, clip_norm=1.0)
        assert_held(tmp_path / name, masks)


@pytest.mark.parametrize("make", [
    lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    lambda parameters: torch.optim.Adam(parameters, lr=0.01, weight_decay=0.01),
    lambda parameters: torch.optim.Adafactor(parameters, lr=0.05),
])  # fmt: skip
def test_training_is_that_of_the_masked_weights_of_torch(make):
    """torch.nn.utils.prune trains weight_orig under a mask in the forward pass; what it computes is the same."""
    generator = torch.Generator().manual_seed(3)
    weight, inputs = torch.randn(6, 8, generator=generator), torch.randn(32, 8, generator=generator)
    mask = torch.rand(6, 8, generator=generator) > 0.6
    ours, theirs = torch.nn.Linear(8, 6), torch.nn.Linear(8, 6)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(weight * mask)
            layer.bias.zero_()
    prune.custom_from_mask(theirs, "weight", mask)
    pruned = PrunedWeights(ours, {"weight": mask})
    both = [(ours, make(ours.parameters())), (theirs, make([theirs.weight_orig, theirs.bias]))]
    for _ in range(8):
        for layer, optimizer in both:
            optimizer.zero_grad()
            layer(inputs).square().sum().backward()
            if layer is ours:
                pruned.clear_gradients()
            torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 5.0)
            optimizer.step()
            if layer is ours:
                pruned.clear_values()
    theirs(inputs)
    assert not torch.allclose(ours.weight, weight * mask, atol=1e-3)
    assert torch.allclose(ours.weight, theirs.weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("after", [1, 5, 9])
def test_an_interrupted_run_ends_in_the_same_bits(toy, tmp_path, parent, monkeypatch, after):
    """Also where zeros of the start that are not pruned are not to be told from those that are."""
    steps = (step(sparsity=0.5, remaining="rerandomised"),)
    retrain(toy, tmp_path / "whole", parent, *steps, optimizer=ADAM)
    taken, train_step = [], engine.Run.train_step

    def stop(run, *given):
        taken.append(1)
        run.__class__.stopping = len(taken) == after
        return train_step(run, *given)

    monkeypatch.setattr(engine.Run, "train_step", stop)
    with pytest.raises(checkpoint.Stopped):
        retrain(toy, tmp_path / "halted", parent, *steps, optimizer=ADAM)
    engine.Run.stopping = False
    assert checkpoint.path(tmp_path / "halted", 0).exists()
    run, _ = retrain(toy, tmp_path / "halted", parent, *steps, optimizer=ADAM)
    masks = begun(parent, *steps)[2]
    assert all(torch.equal(run.pruned.masks[name], mask) for name, mask in masks.items())
    for epoch in (1, 2, "best"):
        one, other = (snapshot(tmp_path / name, epoch) for name in ("whole", "halted"))
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert_held(tmp_path / "halted", masks)


def test_nothing_is_pruned_elsewhere(toy, tmp_path, parent):
    run, _ = retrain(toy, tmp_path, parent, stages=[stage(1)], epochs=1)
    assert run.pruned.masks == {}


# ------------------------------------------------------------------------------------------- as told


def ladder(folder, reach, **perturbations):
    """The Tables of a study with tickets, random masks and new starts at three sparsities.

    reach: the accuracy by a perturbation's name, its sparsity (0 of the original) and the seed.
    """
    levels = {"type": "prune", "sparsity": [0.5, 0.8, 0.95]}
    named = {
        "ticket": levels | {"remaining": "rewound"},
        "random": levels | {"remaining": "rewound", "by": "random"},
        "other": levels | {"remaining": "rerandomised"},
    } | perturbations
    design = {"grid": GRID, "perturb": {"perturbations": list(named), "controls": ["same"]}}

    def reached(labels, seed):
        name, _, sparsity = labels.get("perturbation", "").partition("-")
        known = sparsity.replace(".", "").isdigit()
        return reach(name if known else "", float(sparsity) if known else 0.0, seed)

    return made(folder, design, reached, perturbations=named, replicates=5)


def noise(name, sparsity, seed):
    """The same in every run, and another for each cell and seed: up to 0.2 points."""
    return 0.002 * np.random.default_rng([*name.encode(), round(100 * sparsity), seed]).uniform(-1, 1)


def winning(name, sparsity, seed):
    """Tickets hold to 80 %, other starts and masks lose from the first on."""
    lost = {"ticket": 0.2 * (sparsity > 0.9), "other": 0.1 * sparsity, "random": 0.2 * sparsity}.get(name, 0.0)
    return 0.95 - lost + noise(name, sparsity, seed)


def losing(name, sparsity, seed):
    """The start is of no importance."""
    return 0.95 - 0.1 * sparsity * (name in ("ticket", "other", "random")) + noise(name, sparsity, seed)


def test_a_ticket_wins_where_it_holds_and_another_start_does_not(tmp_path):
    tables, [experiment] = ladder(tmp_path, winning)
    assert [str(shape) for shape in experiment.shapes] == ["pruned"]
    [answer] = pruning.answer(tables)
    assert answer.text.startswith(
        "Yes (lenet5 on digits). Tickets win with 50 % and 80 % of the weights pruned. With 80 % pruned a ticket has +"
    )
    start, whole, mask = answer.numbers
    seeds = range(5)
    for number, other in ((start, ("other", 0.8)), (whole, ("", 0.0)), (mask, ("random", 0.8))):
        values = [winning("ticket", 0.8, seed) - winning(*other, seed) for seed in seeds]
        low, high = scipy.stats.t.interval(0.95, 4, np.mean(values), scipy.stats.sem(values))
        assert (number.mean, number.low, number.high) == pytest.approx((np.mean(values), low, high))
    [ladder_] = pruning.ladders(tables)
    found = pruning.differences(ladder_)
    expected = []
    for sparsity in (0.5, 0.8, 0.95):
        pairs = [[winning("ticket", sparsity, seed) - winning(*other, seed) + margin for seed in seeds]
                 for other, margin in ((("other", sparsity), 0.0), (("", 0.0), 0.01))]  # fmt: skip
        expected.append(max(scipy.stats.ttest_1samp(pair, 0, alternative="greater").pvalue for pair in pairs))
    assert [row["p"] for row in found] == pytest.approx(multipletests(expected, method="holm")[1])
    assert [str(row["decision"]) for row in found] == ["reproduced", "reproduced", "contradicted"]


def test_no_ticket_wins_where_the_start_is_of_no_importance(tmp_path):
    [answer] = pruning.answer(ladder(tmp_path, losing).tables)
    assert answer.text.startswith("No (lenet5 on digits). No ticket wins. With ")


def test_nothing_is_said_where_seeds_differ_more_than_cells(tmp_path):
    def noisy(name, sparsity, seed):
        return 0.8 + 40 * noise(name, sparsity, seed)

    [answer] = pruning.answer(ladder(tmp_path, noisy).tables)
    assert answer.text.startswith("Cannot say (lenet5 on digits). No ticket clearly wins, and not all clearly fail.")
    assert "seeds would" in answer.decide


def test_chance_alone_makes_no_winning_ticket():
    """Of ladders whose tickets are as good as their controls at most 2.5 % are said to win, by three sparsities."""
    won, random, sparsities = 0, np.random.default_rng(4), (0.5, 0.8, 0.95)
    lines = (pruning.TICKET, pruning.NEW_START)
    cells = {line: {sparsity: f"{line} {sparsity}" for sparsity in sparsities} for line in lines}
    for _ in range(400):
        names = ["whole", *(cell for rungs in cells.values() for cell in rungs.values())]
        accuracy = {name: pd.Series(0.9 + random.normal(0, 0.004, 5), index=range(5)) for name in names}
        found = pruning.differences(pruning.Ladder("", "whole", "", cells, accuracy))
        won += any(row["p"] <= 0.025 for row in found)
    assert 0 < won <= 18  # 10 are expected at most; the 99 % quantile


def test_without_the_control_there_is_no_verdict(tmp_path):
    tables = ladder(tmp_path, winning, other={"type": "prune", "sparsity": [0.5, 0.8], "by": "random"}).tables
    [answer] = pruning.answer(tables)
    assert answer.verdict == "cannot say" and "remaining: rerandomised" in answer.decide


def test_the_figure_and_the_table_have_every_cell(tmp_path):
    tables, _ = ladder(tmp_path, winning)
    [figure], [table] = pruning.pruning(tables), pruning.table(tables)
    assert figure.data["sparsity"].value_counts().to_dict() == {0.0: 2, 0.5: 3, 0.8: 3, 0.95: 3}
    row = figure.data.set_index(["mask", "remaining", "sparsity"]).loc[("magnitude", "rewound", 0.8)]
    assert row["mean"] == pytest.approx(np.mean([winning("ticket", 0.8, seed) for seed in range(5)]))
    ends = [100 * np.mean([winning("ticket", sparsity, seed) for seed in range(5)]) for sparsity in (0.5, 0.95)]
    told = r"lenet5 on digits: ticket, ([\d.]+) % \[.+\] with 50 % pruned and ([\d.]+) % \[.+\] with 95 % pruned\. "
    assert [float(one) for one in re.match(told, figure.caption).groups()] == pytest.approx(ends, abs=0.05)
    assert table.data["pruned"].tolist() == ["50 %", "80 %", "95 %"]
    assert table.data["less a random mask"].iloc[1].startswith("+1")
    axes = figure.figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["95", "80", "50"]


def test_what_is_ranked_together_is_told_apart(tmp_path):
    """Layers by themselves, and all together, are ladders of their own."""
    ticket = {"type": "prune", "sparsity": [0.5, 0.8], "remaining": "rewound"}
    others = {"global": ticket | {"scope": "global"}, "each": ticket | {"layers": "each", "sparsity": 0.5}}
    tables = ladder(tmp_path, winning, **others).tables
    found = {one.where: one for one in pruning.ladders(tables)}
    words = ["pruned layer by layer", "pruned over all layers", "pruned layer by layer, conv1"]
    assert [f"lenet5 on digits, {part}" for part in words] == [*found][:3] and len(found) == 7
    assert list(found["lenet5 on digits, pruned over all layers"].cells[pruning.TICKET]) == [0.5, 0.8]
