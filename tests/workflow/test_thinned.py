"""A whole run of which the ends alone stay."""

import pytest
import torch

import weight_atlas as wa
from tests.conftest import Workflow, small
from weight_atlas import store


@pytest.fixture(scope="module")
def thinned(tmp_path_factory):
    """One cell, and three that start from an epoch of it that it keeps for them, one with its own start put back."""
    config = small("lenet1") | {"replicates": 1}
    config["training"] |= {"epochs": 3, "track": True}
    config["perturbations"]["reset"] = {"type": "reinitialise", "layers": ["conv1"]}
    study = config["definitions"]["dynamics"]
    study |= {"keep": "ends", "perturb": {"perturbations": ["flip", "reset"], "take": 1, "controls": ["same"]}}
    workflow = Workflow(tmp_path_factory.mktemp("thinned"), config)
    workflow.first = workflow.run("all")
    return workflow


def test_what_stays(thinned):
    for block in (thinned.root / "results/cells").glob("*/seeds_0-0"):
        taken = {"epoch_1"} if block.parent.name.startswith("base-") else set()
        assert {path.stem for path in block.rglob("*.safetensors")} == {"epoch_3", "best", "right"} | taken
        (record,) = store.read_json(block / "run.json")["replicates"]
        assert record["status"] == "done"
    assert (thinned.root / "results/tiny/report/report.html").exists()


def test_there_is_nothing_left_to_do_or_to_remove(thinned):
    assert "Nothing to be done" in thinned.run("all").stdout
    assert "wanted by none of them: 0 in all" in thinned.run("prune").stdout


def test_a_notebook_has_the_start_and_what_stays(thinned):
    base = {"study": "dynamics", "network": "lenet1", "role": "grid"}
    first, flipped = (wa.load(cell, epoch=0, root=thinned.root) for cell in (base, {"perturbation": "flip"}))
    one = wa.load(base, epoch=1, root=thinned.root).state_dict()
    assert not any(torch.equal(first.state_dict()[name], tensor) for name, tensor in one.items())
    assert all(torch.equal(flipped.state_dict()[name], -tensor) for name, tensor in one.items())
    reset = wa.load({"perturbation": "reset"}, epoch=0, root=thinned.root).state_dict()
    for name, tensor in reset.items():
        assert torch.equal(tensor, first.state_dict()[name] if name.startswith("conv1") else one[name]), name
    with pytest.raises(ValueError, match="has no snapshot 2; there are: 0, 1, 3, best$"):
        wa.load(base, epoch=2, root=thinned.root)


def test_an_id_is_that_of_a_cell_that_keeps_all(thinned):
    config = thinned.config | {"definitions": {"dynamics": thinned.config["definitions"]["dynamics"] | {"keep": "all"}}}
    thinned.write(config)
    try:
        jobs = thinned.jobs()
    finally:
        thinned.write(thinned.config)
    assert not [job for job in jobs if "training" in job or job.startswith("measuring")]
