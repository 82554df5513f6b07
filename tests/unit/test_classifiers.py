"""Every classifier of torchvision takes a step of the engine, is frozen to a depth of its own, and is perturbed."""

import math
import re
from pathlib import Path

import pytest
import torch
import torchvision.models
from test_foreign import FAMILIES
from test_training import load, settings, stage

from weight_atlas.settings import Settings, Start
from weight_atlas.starts import perturb
from weight_atlas.training import engine

PAGE = Path(__file__).resolve().parents[2] / "docs/classifiers.md"
NAMES = torchvision.models.list_models(torchvision.models)
ONE_EACH = {*FAMILIES, "alexnet", "inception_v3", "maxvit_t", "vgg11", "vit_b_32"}  # of each family that there is
CHOSEN = [pytest.param(name, marks=[] if name in ONE_EACH else pytest.mark.long) for name in NAMES]
SIZE = 1e-3


def fitting(name: str) -> int:
    """The pixels of images that a network takes: 32, unless the page says that it needs more, or parts of another
    size."""
    smallest = int(re.search(rf"^\| `{name}` \| [\d,]+ \| ([\d,]+) \|", PAGE.read_text(encoding="utf-8"), re.M)[1])
    return 28 if smallest == 14 else max(32, smallest)


@pytest.fixture
def begun(toy, tmp_path):
    """A way to make the run of a network whose first half of stages is frozen, and what its parameters are as its
    first step begins."""

    def make(name: str) -> tuple[engine.Run, dict[str, torch.Tensor]]:
        torch.set_num_threads(1)
        network = {"architecture": f"torchvision.models:{name}", "width": 1.0, "options": {}, "threads": 1}
        shape = {"channels": 3, "size": fitting(name)}
        plain = settings(network=network, input=shape, start={"kind": "init", "scheme": "default"})
        frozen = engine.Run(
            "x", Settings.parse(plain), 0, load(toy, **shape), torch.device("cpu"), tmp_path
        ).table.stages
        plain["training"]["stages"] = [stage(epochs=1, lr=0.05, frozen=frozen[(len(frozen) - 1) // 2])]
        plain["training"] |= {"epochs": 1, "batch_size": 4}
        run = engine.Run("x", Settings.parse(plain), 0, load(toy, **shape), torch.device("cpu"), tmp_path)
        before: dict[str, torch.Tensor] = {}
        enter = run.enter_stage

        def entering(part):
            before.update({name: one.detach().clone() for name, one in run.model.named_parameters()})
            return enter(part)

        run.enter_stage = entering
        return run, before

    return make


@pytest.mark.parametrize("name", CHOSEN)
def test_a_step_moves_what_is_not_frozen_alone(begun, name):
    run, before = begun(name)
    assert math.isfinite(run.try_step())
    depth = run.training.stages[0].frozen
    frozen = set(run.table.select(depth))
    still, moved = [], []
    for key, after in run.model.named_parameters():
        (still if torch.equal(before[key], after) else moved).append(run.table.layer_of[key])
    assert not frozen & set(moved), "what is frozen stays, to the bit"
    head = run.table.head.name
    passes_on = bool(before[f"{head}.weight"].any())  # the head of a ViT begins as zeros
    assert head in moved and (len(set(moved)) > 1) == passes_on
    assert frozen and frozen <= set(still) and frozen < {run.table.layer_of[key] for key in before}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_perturbation_changes_every_learnable_value(begun, name):
    run, _ = begun(name)
    tensors = {key: one.detach().clone() for key, one in run.model.state_dict().items()}
    before = {key: one.clone() for key, one in tensors.items()}
    step = {"type": "add", "layers": None, "tensors": "all", "size": SIZE, "noise": "constant"}
    made = perturb.apply(tensors, run.table, Start("perturb", steps=[step]), 0, None)
    learnable = [key for key, _ in run.model.named_parameters()]
    assert all(torch.equal(tensors[key], before[key] + (SIZE if key in learnable else 0)) for key in tensors)
    count = sum(before[key].numel() for key in learnable)
    assert made.record["perturbed_of"] == count == run.table.parameter_count
    assert made.record["perturbation_norm"] == pytest.approx(SIZE * count**0.5, rel=1e-3)
