"""Blocks of which only some snapshots stay: what is measured of them, their starts made again, and what they share."""

import contextlib
import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from test_analysis import write_cells
from test_training import SGD, settings, stage

from tests.conftest import tiny
from weight_atlas import cell_table, networks, starts, store
from weight_atlas.analysis import course, group, prune_snapshots
from weight_atlas.analysis.measure import Replicate
from weight_atlas.datasets.prepare import prepare_dataset
from weight_atlas.plan import cost, disk, outcome, study
from weight_atlas.plan.measures import MEASURES, Taken
from weight_atlas.settings import Settings, Start
from weight_atlas.training import block as trainer
from weight_atlas.training import frozen, launcher

FLIP = {"type": "flip", "layers": None, "tensors": "all", "running_mean": False}
RESET = {"type": "reinitialise", "layers": ["conv1"], "tensors": "all"}
NOISE = {"type": "add", "layers": None, "tensors": "all", "size": 0.01, "noise": "gaussian"}
FRESH = {"type": "rerandomise", "layers": ["conv2"], "tensors": "all"}
SEEDS = range(2)


def cell(start=None, kind="lenet5", **changes):
    """A cell of two epochs whose every snapshot is written, tracked."""
    made = settings(kind, stages=changes.pop("stages", [stage(2, 0.02)]), **changes)
    made["training"]["track"] = True
    return Settings.parse(made | ({"start": start} if start else {}))


def perturbed(parent, *steps, take="last", order="same"):
    start = {"kind": "perturb", "cell": parent, "take": take, "scheme": "kaiming_uniform", "steps": list(steps)}
    return cell(start | {"order": order, "repeat": 0, "state": "fresh"})


def grafted(parent, layers, frozen_layers=0):
    start = {"kind": "graft", "scheme": "kaiming_uniform", "cell": parent, "take": "best", "layers": layers}
    return cell(start, stages=[stage(3, 0.02, frozen_layers)])


def taken(kind, **more):
    return {"kind": kind, "scheme": "kaiming_normal", "head": "fresh", "grey": "replicate"} | more


CELLS = {
    "base-a": cell(),
    "base-frozen": cell(stages=[stage(2, 0.02, frozen=2), stage(1, 0.02, frozen=1)]),
    "base-diverged": cell(optimizer=SGD | {"lr": 1e6}, stages=[stage(3, lr=1e6)]),
    "base-weights": cell(taken("weights", weights_id="w")),
    "base-parent": cell(taken("parent", cell="base-weights", take="best") | {"steps": [NOISE]}),
    "perturb-flip": perturbed("base-a", FLIP, take=1),
    "perturb-reset": perturbed("base-parent", RESET, NOISE, FRESH),
    "perturb-again": perturbed("perturb-reset", RESET, take=0),
    "perturb-control": perturbed("base-a", take=1),
    "transfer-frozen": grafted("base-a", 2, 2),
    "transfer-none": grafted(None, 0),
}
KEPT = {name: [] for name in CELLS} | {"base-a": [1], "base-frozen": [1]}


def run(toy, root, name, thinned, settled=CELLS):
    """Train a cell below `root` as the launcher does, and thin it where asked for; its block's directory."""
    made = settled[name]
    directory = root / "results/cells" / name / f"seeds_{SEEDS[0]}-{SEEDS[-1]}"
    parent = made.start.cell
    files = {
        "data": toy / "toy.safetensors",
        "card": toy / "toy.json",
        "weights": str(root / "data/weights/w.safetensors"),
    }
    files["parents"] = [str(directory.parents[1] / parent / directory.name)] if parent else []
    block = launcher.Block(directory, name, made.json)
    trainer.train(name, made, SEEDS, files, "cpu", block.scratch)
    if thinned:
        prune_snapshots.thin(block.scratch, name, made, KEPT[name])
    block.finish()
    return directory


@pytest.fixture(scope="module")
def both(toy, tmp_path_factory):
    """{whether its blocks are thinned: root} of the same cells, trained twice."""
    roots = {}
    for thinned in (False, True):
        roots[thinned] = root = tmp_path_factory.mktemp("thinned" if thinned else "whole")
        first = networks.layer_table(*CELLS["base-a"].network_arguments)
        tensors = dict(starts.drawn(first, Start("init", scheme="xavier_uniform"), 7, "init"))
        store.save_tensors(root / "data/weights/w.safetensors", tensors)
        for name in CELLS:
            run(toy, root, name, thinned)
    return roots


def folders(roots):
    """(cell, seed, folder of its snapshots in the whole block, in the thinned one)."""
    place = "results/cells/{}/seeds_0-1/snapshots/seed{}"
    return [
        (name, seed, *(roots[thinned] / place.format(name, seed) for thinned in (False, True)))
        for name in CELLS
        for seed in SEEDS
    ]


def equal(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].numpy().tobytes() == expected[name].numpy().tobytes() for name in expected
    )


# ------------------------------------------------------------------------------------------------- what stays


def test_what_stays_is_what_was_trained(both):
    for name, seed, whole, thinned in folders(both):
        there = {path.stem for path in thinned.glob("*.safetensors")}
        record = store.read_json(thinned.parents[1] / "run.json")["replicates"][seed]
        ends = {max(path.stem for path in whole.glob("epoch_*"))} | {f"epoch_{epoch}" for epoch in KEPT[name]}
        assert there == ends | {"right"} | ({"best"} if record["best_epoch"] else set()), name
        for stem in there:
            path = f"{stem}.safetensors"
            assert equal(store.load_tensors(thinned / path), store.load_tensors(whole / path)), (name, path)


def test_starts_are_made_again_to_the_bit(both):
    for name, _, whole, thinned in folders(both):
        if name != "base-diverged":
            assert not store.snapshot_file(thinned, 0).exists() and store.is_kept(store.snapshot_file(thinned, 0)), name
        assert equal(starts.load(store.snapshot_file(thinned, 0)), starts.load(store.snapshot_file(whole, 0))), name


def test_every_table_is_the_same_to_the_byte(toy, both, tmp_path):
    output = {}
    for thinned, root in both.items():
        rows = []
        for name, made in CELLS.items():
            labels = {"kind": name.split("-")[0], "role": "grid", "init": name, "measure": "filters;identical"}
            labels |= {"role": "perturbed", "perturbation": name, "init": "i"} if name.startswith("perturb") else {}
            labels |= {"role": "control"} if name == "perturb-control" else {}
            labels |= {"role": "transfer"} if name.startswith("transfer") else {}
            if name == "base-a":
                labels["checkpoints"] = json.dumps({"start": 0, "middle": 1, "end": 2})
            rows.append((name, [root / "results/cells" / name / "seeds_0-1"], 2, root / "card", made, labels))
        asked = cell_table.grouped(write_cells(root / "cells.csv", rows), "g")
        output[thinned] = tmp_path / f"thinned {thinned}"
        with contextlib.chdir(root):
            group.measure(asked, toy / "toy.safetensors", store.read_json(toy / "toy.json"), output[thinned])
    files = {path.name for path in output[False].iterdir()}
    assert {
        "statistics.csv",
        "movement.csv",
        "identical.csv",
        "returns.csv",
        "spectra.csv",
        "pairs.safetensors",
    } < files
    for name in files:
        held = [(output[thinned] / name).read_bytes() for thinned in (False, True)]
        assert held[0] == held[1], name
        asked_by_name = [one for one in MEASURES.values() if one.taken is Taken.ASKED and one.tables != ("identical",)]
        empty = ("facts", "faults", "missing", *(table for one in asked_by_name for table in one.tables))
        if name.endswith(".csv") and name.removesuffix(".csv") not in empty:
            assert held[0].count(b"\n") > 1, f"{name} has rows to compare"


# ------------------------------------------------------------------------------------------ starts as hashes alone


def copied(root, tmp_path):
    """A copy of a root, to be harmed."""
    return shutil.copytree(root, tmp_path / "copy", symlinks=True)


def start(root, name, seed=0):
    return root / f"results/cells/{name}/seeds_0-1/snapshots/seed{seed}/epoch_0.safetensors"


def test_a_start_that_comes_out_otherwise_is_refused_in_one_line(both, tmp_path):
    root = copied(both[True], tmp_path)
    path = root / "results/cells/base-a/seeds_0-1/run.json"
    run = store.read_json(path)
    run["replicates"][1]["start_sha256"] = "0" * 64
    store.write_json(path, run)
    assert equal(starts.load(start(root, "base-a")), starts.load(start(both[False], "base-a")))
    with pytest.raises(
        ValueError, match=r"epoch_0.*cannot be made again: torch \S+ makes other values.*remove "
    ) as told:
        starts.load(start(root, "base-a", 1))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("gone", "name"),
    [
        ("results/cells/base-a", "perturb-flip"),
        ("results/cells/base-parent", "perturb-again"),
        ("data/weights/w.safetensors", "base-weights"),
    ],
)
def test_a_start_whose_origin_is_gone_says_what_is_missing(both, tmp_path, gone, name):
    """What starts from another's start needs that one's origin as well."""
    root = copied(both[True], tmp_path)
    path = root / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match="cannot be made again: .*is not there; remove .*to train it again$") as told:
        starts.load(start(root, name))
    assert path.name in str(told.value) and "\n" not in str(told.value)


def test_a_start_that_cannot_be_made_again_stays(toy, both, tmp_path, capsys):
    """Its hash is another one already as its training ends."""
    made = launcher.Block(tmp_path / "cells/base-frozen/seeds_0-1", "base-frozen", CELLS["base-frozen"].json)
    files = {"data": toy / "toy.safetensors", "card": toy / "toy.json", "weights": None, "parents": []}
    trainer.train("base-frozen", CELLS["base-frozen"], SEEDS, files, "cpu", made.scratch)
    path = store.record_path(made.scratch, 1)
    store.write_json(path, store.read_json(path) | {"start_sha256": "0" * 64})
    prune_snapshots.thin(made.scratch, "base-frozen", CELLS["base-frozen"], [])
    assert "seed 1  its start stays, since it cannot be made again: torch" in capsys.readouterr().out
    assert [(made.scratch / f"snapshots/seed{seed}/epoch_0.safetensors").exists() for seed in SEEDS] == [False, True]
    for seed in SEEDS:
        whole = both[False] / f"results/cells/base-frozen/seeds_0-1/snapshots/seed{seed}"
        for path in (made.scratch / f"snapshots/seed{seed}").glob("*.safetensors"):
            assert equal(store.load_tensors(path), store.load_tensors(whole / path.name))


def test_an_epoch_that_is_not_kept_fails_a_child_in_one_line(both, tmp_path):
    root = copied(both[True], tmp_path)
    files = {"weights": None, "parents": [str(root / "results/cells/perturb-flip/seeds_0-1")]}
    there = {take: perturbed("perturb-flip", take=take).start for take in ("last", "best", 0, 1)}
    for take in ("last", "best", 0):
        assert trainer._start_file(there[take], 0, files)
    with pytest.raises(starts.Missing, match="perturb-flip has not kept epoch 1 .*remove .* to train it again so that"):
        trainer._start_file(there[1], 0, files)


# ------------------------------------------------------------------------------------- what is stored once


def test_what_never_changes_is_stored_once(both):
    for name in ("base-frozen", "transfer-frozen"):
        made = CELLS[name]
        table = networks.layer_table(*made.network_arguments)
        fixed = set(frozen.constant(table, made.training))
        assert {one.partition(".")[0] for one in fixed} == ({"conv1"} if name == "base-frozen" else {"conv1", "conv2"})
        every = {key for key, _ in (*table.parameters(), *table.buffers())}
        for own, _, whole, thinned in folders(both):
            if own == name:
                for folder, lead in ((whole, "epoch_0"), (thinned, "epoch_3")):
                    for path in folder.glob("*.safetensors"):
                        if path.stem not in ("track", "best", "right"):
                            held = set(load_file(path))
                            assert held == (every if path.stem == lead else every - fixed), path
                    assert equal(
                        store.load_tensors(folder / "epoch_3.safetensors"),
                        store.load_tensors(folder / "best.safetensors"),
                    ) == (os.path.samefile(folder / "epoch_3.safetensors", folder / "best.safetensors"))


def test_best_is_another_name_of_its_epoch_where_that_stays(both):
    linked = 0
    for name, seed, whole, thinned in folders(both):
        record = store.read_json(whole.parents[1] / "run.json")["replicates"][seed]
        for folder in (whole, thinned):
            epoch = store.snapshot_file(folder, record["best_epoch"])
            if record["best_epoch"] and epoch.exists():
                linked += os.path.samefile(epoch, store.snapshot_file(folder, "best"))
                assert os.path.samefile(epoch, store.snapshot_file(folder, "best")), (name, folder)
    assert linked > len(CELLS)


def test_arrays_follow_to_the_other_file_and_say_when_it_is_gone(both, tmp_path):
    folder = copied(both[False] / "results/cells/transfer-frozen/seeds_0-1/snapshots/seed0", tmp_path)
    path = folder / "epoch_3.safetensors"
    arrays, tensors = store.load_arrays(path), store.load_tensors(path)
    assert arrays.keys() == tensors.keys() and all((arrays[name] == tensors[name].numpy()).all() for name in arrays)
    (folder / "epoch_0.safetensors").unlink()
    for read in (store.load_arrays, store.load_tensors):
        with pytest.raises(FileNotFoundError, match="shares with epoch_0.safetensors are gone with it; train"):
            read(path)


# --------------------------------------------------------------------------------------------- interruptions


@pytest.fixture
def trained(toy, tmp_path):
    """A block that is trained and not yet thinned, with frozen layers and a best epoch that stays by itself."""
    made = launcher.Block(tmp_path / "cells/base-frozen/seeds_0-1", "base-frozen", CELLS["base-frozen"].json)
    files = {"data": toy / "toy.safetensors", "card": toy / "toy.json", "weights": None, "parents": []}
    trainer.train("base-frozen", CELLS["base-frozen"], range(1), files, "cpu", made.scratch)
    return made.scratch


def contents(scratch):
    return {
        path.relative_to(scratch): path.read_bytes() for path in (scratch / "snapshots").rglob("*") if path.is_file()
    }


def test_killed_before_and_after_every_change_of_a_file(trained, tmp_path):
    alone = shutil.copytree(trained, tmp_path / "alone/cells/.seeds_0-1")
    prune_snapshots.thin(alone, "base-frozen", CELLS["base-frozen"], [1])
    expected, kills = contents(alone), 0

    def deadly(function, count, after):
        def called(*given, **named):
            count[0] -= 1
            if count[0] == 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = function(*given, **named)
            if count[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return called

    for at in range(1, 100):
        scratch, after, count = shutil.copytree(trained, tmp_path / f"{at}/cells/.seeds_0-1"), at % 2, [at]
        process = os.fork()
        if not process:
            os.replace, os.unlink = deadly(os.replace, count, after), deadly(os.unlink, count, after)
            try:
                prune_snapshots.thin(scratch, "base-frozen", CELLS["base-frozen"], [1])
            finally:
                os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert ended in (0, -signal.SIGKILL)
        kills += ended != 0
        prune_snapshots.thin(scratch, "base-frozen", CELLS["base-frozen"], [1])
        for half in scratch.rglob(".part-*"):  # as the launcher does
            half.unlink()
        found = contents(scratch)
        assert found == expected, (at, [name for name in expected if found.get(name) != expected[name]])
        if at > 2 * kills + 2:
            break
    assert kills > 12


def test_what_is_gone_is_said_where_another_cannot_go(trained, monkeypatch, capsys):
    unlink, first = Path.unlink, store.snapshot_path(trained, 0, 0)

    def denied(path, **named):
        if path == first:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, **named)

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(PermissionError):
        prune_snapshots.thin(trained, "base-frozen", CELLS["base-frozen"], [])
    assert capsys.readouterr().out == "seed 0  measured 4 snapshots, removed 2 (epochs 2, 1)\n"
    assert first.exists()


def test_what_a_measure_could_not_take_in_stays(trained, monkeypatch, capsys):
    def broken(*_):
        raise LookupError("no such layer")

    before = contents(trained)
    with monkeypatch.context() as harmed:
        harmed.setattr(course.Movement, "see", broken)
        prune_snapshots.thin(trained, "base-frozen", CELLS["base-frozen"], [])
    assert capsys.readouterr().out == "seed 0  not thinned: movement: LookupError: no such layer\n"
    assert contents(trained) == before
    prune_snapshots.thin(trained, "base-frozen", CELLS["base-frozen"], [])
    assert "measured 4 snapshots, removed 3" in capsys.readouterr().out


@pytest.mark.parametrize("linked", ["snapshots", "snapshots/seed0"])
def test_a_link_below_the_block_is_not_followed(trained, tmp_path, capsys, linked):
    (trained / linked).rename(tmp_path / "disk")
    (trained / linked).symlink_to(tmp_path / "disk")
    before = set((tmp_path / "disk").rglob("*"))
    prune_snapshots.thin(trained, "base-frozen", CELLS["base-frozen"], [])
    assert capsys.readouterr().out == f"seed 0  not thinned: {trained / linked} is a link, which is not followed\n"
    assert before and set((tmp_path / "disk").rglob("*")) == before


# ------------------------------------------------------------------------------------------------ the launcher


@pytest.fixture
def job(toy, tmp_path):
    """A launcher's block that keeps the ends alone, whose trainer has done its work."""
    made = launcher.Block(tmp_path / "cells/base-a/seeds_0-0", "base-a", CELLS["base-a"].json, keep="ends")
    files = {"data": toy / "toy.safetensors", "card": toy / "toy.json", "weights": None, "parents": []}
    trainer.train("base-a", CELLS["base-a"], range(1), files, "cpu", made.scratch)
    return made


def launch(made, attempt=1):
    command, log = [sys.executable, "-c", "print('trained')"], made.directory.parents[1] / "train.log"
    return launcher.launch(made, launcher.Job(command, log, attempt, 3, False, [], 1))


def test_the_launcher_thins_before_it_puts_the_files_into_place(job):
    assert launch(job) == 0 and not job.scratch.exists()
    names = {path.name for path in (job.directory / "snapshots/seed0").iterdir()}
    assert names == {
        "epoch_2.safetensors",
        "best.safetensors",
        "right.safetensors",
        "course.json",
        "metrics.csv",
        "record.json",
        *(f"{name}.csv" for name in course.TABLES),
    }
    said = (job.directory.parents[1] / "train.log").read_text().splitlines()
    assert said == [
        "seeds_0-0: all replicates are trained already; they are taken as they are",
        "seed 0  measured 3 snapshots, removed 2 (epochs 1, 0)",
    ]


def test_what_cannot_be_thinned_is_tried_again_and_then_kept(job, tmp_path, monkeypatch, capfd):
    (tmp_path / "broken.py").write_text("import sys; sys.exit('ValueError: no')")
    monkeypatch.setattr(launcher, "PRUNE_SNAPSHOTS", tmp_path / "broken.py")
    assert [launch(job, attempt) for attempt in (1, 2, 3)] == [1, 1, 0]
    said = capfd.readouterr().err
    assert said.count("removing snapshots failed, exit status 1: ValueError: no") == 2
    assert "removing snapshots failed, so they stay, exit status 1: ValueError: no; see" in said
    assert {path.stem for path in (job.directory / "snapshots/seed0").glob("epoch_*")} == {
        f"epoch_{n}" for n in range(3)
    }
    assert store.read_json(job.directory / "run.json")["replicates"][0]["status"] == "done"


def test_a_retry_goes_on_with_thinning_where_it_was(job, tmp_path, monkeypatch):
    broken = f"import os, signal, sys\nsys.path.insert(0, {str(launcher.PRUNE_SNAPSHOTS.parent)!r})\n"
    broken += "import prune_snapshots as command\nfrom weight_atlas.analysis import prune_snapshots\n"
    broken += "prune_snapshots.prune = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\ncommand.main()\n"
    (tmp_path / "killed.py").write_text(broken)
    with monkeypatch.context() as patched:
        patched.setattr(launcher, "PRUNE_SNAPSHOTS", tmp_path / "killed.py")
        assert launch(job) == 1
    told = store.course_path(job.scratch / "snapshots/seed0")
    (told.parent / "statistics.csv").write_text(marked := (told.parent / "statistics.csv").read_text() + "x")
    assert launch(job, 2) == 0
    folder = job.directory / "snapshots/seed0"
    assert (folder / "statistics.csv").read_text() == marked, "measured once"
    assert not (folder / "epoch_0.safetensors").exists()


# ----------------------------------------------------------------------------------------- what the plan says


@pytest.mark.parametrize("keep", ["all", "ends"])
def test_the_plan_knows_the_disk_within_a_tenth(tmp_path, keep):
    """Cells that are drawn, start from others, are perturbed, are frozen in part and keep the optimizer's state."""
    config = tiny() | {"networks": {"lenet5": {}}, "replicates": 8, "replicates_per_job": 8}
    config["training"] = {"epochs": 5, "track": True}
    config["optimizers"] = {"sgd": {"type": "sgd", "lr": 0.01, "momentum": 0.9}}
    grid = {"dataset": ["digits"], "network": ["lenet5"], "init": ["default", "pretrained"], "optimizer": ["sgd"]}
    flip = {"perturbations": ["flip"], "where": {"init": "default"}, "controls": []}
    part = {"stages": [{"epochs": 4, "frozen": 3}, {"epochs": 2, "frozen": 2}], "keep_optimizer": True}
    config["definitions"] = {
        "moved": {"grid": grid, "perturb": flip, "keep": keep},
        "frozen": {"grid": grid | {"init": ["default"]}, "training": part | {"snapshots": "ends"}, "keep": keep},
    }
    plan = study.Plan(config, tmp_path)
    for name, data in plan.datasets.items():
        card = prepare_dataset(data.spec, name, tmp_path, tmp_path / f"{name}.safetensors")
        store.write_json(tmp_path / f"{name}.json", card)
    most = 0
    for name, made in plan.cells.items():
        (block,) = plan.blocks[name]
        stem = tmp_path / made.data.dataset_id
        files = {"data": f"{stem}.safetensors", "card": f"{stem}.json", "weights": None}
        parent = tmp_path / "results/cells" / str(made.parent) / "seeds_0-7"
        job = launcher.Block(tmp_path / study.block_path(name, block), name, made.settings.json)
        trainer.train(name, made.settings, job.seeds, files | {"parents": [str(parent)]}, "cpu", job.scratch)
        need = cost.need(made, 8, "cpu", plan.kept[name])
        most = max(most, disk.used([job.scratch])[0] / (need.disk_bytes + need.working_bytes))
        if keep != "all":
            prune_snapshots.thin(job.scratch, name, made.settings, plan.kept[name])
        job.finish()
    found = disk.used([tmp_path / "results/cells"])[0]
    assert outcome.disk_bytes(plan) == pytest.approx(found, rel=0.1)
    assert 0.5 < most < 1.1, "and never much more in between than it says"


# --------------------------------------------------------------------------------------------- what reads it


def test_rows_of_other_code_are_told_and_of_other_columns_refused(both, tmp_path, capsys, monkeypatch):
    root = copied(both[True], tmp_path)
    directory = root / "results/cells/base-a/seeds_0-1"
    layers = networks.layer_table(*CELLS["base-a"].network_arguments)
    replicate = store.read_json(directory / "run.json")["replicates"][0]
    assert not course.outdated(directory, replicate)
    monkeypatch.setattr(course, "code", lambda: "edited")
    assert course.outdated(directory, replicate)
    path = store.replicate_path(directory, 0) / "movement.csv"
    path.write_text(path.read_text().replace("cosine", "angle", 1))
    with pytest.raises(ValueError, match="movement.csv: has other columns than now, .*; remove .*, to train it again$"):
        course.rows(Replicate(layers, directory, replicate), [0, 1, 2], course.MEASURES, spare=None)


def test_a_thinned_replicate_without_its_last_snapshot_is_skipped(both, tmp_path):
    root = copied(both[True], tmp_path)
    directory = root / "results/cells/base-a/seeds_0-1"
    replicate = store.read_json(directory / "run.json")["replicates"][0]
    assert course.available(CELLS["base-a"], directory, replicate) == ([0, 1, 2], None)
    store.snapshot_path(directory, 0, 2).unlink()
    assert course.available(CELLS["base-a"], directory, replicate) == (None, "no snapshot of epoch 2")


def test_a_run_that_diverged_is_among_them(both):
    for root in both.values():
        run = store.read_json(root / "results/cells/base-diverged/seeds_0-1/run.json")
        assert [record["status"] for record in run["replicates"]] == ["diverged"] * 2
