"""Networks of torchvision and of a file of one's own, through movement, perturbation and transfer to the report."""

import json
import re

import pytest
import yaml

from tests import pages
from tests.conftest import ROOT, Workflow
from weight_atlas import store

FEW = {"train": 6, "valid": 3, "test": 3}


def documented() -> tuple[str, dict]:
    """The Mixer that docs/networks.md has in full, and its config."""
    page = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
    section = page[page.index("## Any torch module") : page.index("## Your own network")]
    return re.search(r"```python\n(.*?)```", section, re.S)[1], yaml.safe_load(
        re.search(r"```yaml\n(.*?)```", section, re.S)[1]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    module, config = documented()
    root = tmp_path_factory.mktemp("open") / "open networks"
    root.mkdir()
    (root / "mixer.py").write_text(module, encoding="utf-8")
    digits = {"source": "digits", "per_class": FEW}
    low, high = ({"classes": list(classes), "labels": "compact"} for classes in ("01234", "56789"))
    config |= {"replicates": 2, "training": {"epochs": 1}, "perturbations": {"flip": {"type": "flip"}}}
    config["datasets"] = {"low": digits | low, "high": digits | high}
    config["networks"]["mobile"] = {"torchvision": "mobilenet_v3_small", "stem": "small", "width_mult": 0.25}
    grid = config["definitions"]["mine"]["grid"] | {"dataset": ["low"], "network": [*config["networks"]]}
    moved = {"base": "low", "target": "high", "depths": "stages"}
    config["definitions"] = {
        "movement": {"measure": ["convergence", "laziness"], "grid": grid, "perturb": {"perturbations": ["flip"]}},
        "moved": {
            "grid": grid | {"dataset": ["low", "high"], "network": ["mixer", "vit"]},
            "transfer": {"moved": moved},
        },
    }
    made = Workflow(root, config)
    made.said = made.run("all").stdout
    return made


def test_nothing_fails_and_a_second_run_has_nothing_to_do(run):
    assert "all else stands" not in run.said, run.said[-3000:]
    for study in ("movement", "moved"):
        assert not store.read_json(run.root / f"results/mixer/figures/{study}/exhibits.json")["faults"]
    assert "Nothing to be done" in run.run("all").stdout


def test_every_network_is_measured_and_shown(run):
    page = pages.whole(run.root / "results/mixer")
    for words in ("mixer", "vit", "mobile", "Test accuracy"):
        assert words in page
    runs = [json.loads(path.read_text()) for path in run.root.glob("results/cells/transfer-*/*/run.json")]
    depths = {(one["cell"]["network"]["architecture"], one["cell"]["training"]["stages"][0]["frozen"]) for one in runs}
    assert {name for name, _ in depths} == {"mixer.py:Mixer", "torchvision.models:VisionTransformer"}
    assert len(depths) > 6, "a depth at the end of each block"
