"""Checkpoints of any model, of which only the tensors are known: files, roles, measures beside numpy's."""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats

from weight_atlas import cell_table, schema, starts, store
from weight_atlas.analysis import group
from weight_atlas.analysis.runs import given as laid
from weight_atlas.networks import stored
from weight_atlas.plan import checks, sharded, study
from weight_atlas.tensors_on_disk import TensorsOnDisk

ROOT = Path(__file__).resolve().parents[2]
WIDTH, VOCABULARY, BLOCKS = 12, 30, 2
STILL, MOST = "wpe.weight", "h.1.mlp.c_fc.weight"  # the tensor that never changes, and the one that moves most
STEPS = (0, 100, 1000)
ROLES = {
    **{"wte.weight": "embedding", "wpe.weight": "embedding", "lm_head.weight": "weight", "ln_f.weight": "norm"},
    **{"h.{}.ln_1.weight": "norm", "h.{}.ln_1.bias": "norm", "h.{}.attn.c_attn.weight": "weight"},
    **{"h.{}.attn.c_attn.bias": "bias", "h.{}.attn.bias": "buffer", "h.{}.mlp.c_fc.weight": "weight"},
    **{"h.{}.mlp.c_fc.bias": "bias", "ln_f.bias": "norm", "h.{}.attn.calls": "buffer"},
}
SHAPES = {
    **{"wte.weight": (VOCABULARY, WIDTH), "wpe.weight": (16, WIDTH), "lm_head.weight": (VOCABULARY, WIDTH)},
    **{"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,), "h.{}.ln_1.weight": (WIDTH,), "h.{}.ln_1.bias": (WIDTH,)},
    **{"h.{}.attn.c_attn.weight": (WIDTH, 3 * WIDTH), "h.{}.attn.c_attn.bias": (3 * WIDTH,)},
    **{"h.{}.attn.bias": (1, 1, 8, 8), "h.{}.mlp.c_fc.weight": (WIDTH, 4 * WIDTH), "h.{}.mlp.c_fc.bias": (4 * WIDTH,)},
    "h.{}.attn.calls": (),
}


def named(by_family):
    """The entries of a dictionary by family, for each block."""
    return {
        family.format(block): value
        for block in range(BLOCKS)
        for family, value in by_family.items()
        if "{}" in family or not block
    }


def model(seed, steps=STEPS, half=torch.bfloat16):
    """{step: tensors} of a model like GPT-2: half of the matrices of 16 bits, the head tied to the embedding."""
    draw, found = torch.Generator().manual_seed(seed), {}
    now = {name: torch.randn(shape, generator=draw) / 4 for name, shape in named(SHAPES).items()}
    for step in steps:
        now |= {"lm_head.weight": now["wte.weight"].clone()}
        now |= {name: torch.tril(torch.ones(shape)) for name, shape in named(SHAPES).items() if ".attn.bias" in name}
        found[step] = {name: tensor.to(half if ".0." in name else torch.float32) for name, tensor in now.items()}
        found[step] |= {name: torch.tensor(step) for name in now if name.endswith("calls")}
        found[step] |= {"ln_f.bias": now["ln_f.bias"].to(torch.float16)}
        now = {
            name: tensor + torch.randn(tensor.shape, generator=draw) * (0.2 if name == MOST else 0.02)
            if name != STILL
            else tensor
            for name, tensor in now.items()
        }
    return found


def write(folder, tensors, shards=1):
    """A checkpoint as Hugging Face's libraries write it."""
    folder.mkdir(parents=True)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    where = {name: f"model-{at % shards + 1:05}-of-{shards:05}.safetensors" for at, name in enumerate(tensors)}
    for file in {*where.values()}:
        save_file({name: tensor for name, tensor in tensors.items() if where[name] == file}, folder / file)
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
    (folder / "model.safetensors.index.json").write_text(text)


def config(root, **given):
    return {"name": "mine", "data_root": str(root), "given": given or {"run": {"files": "run"}}}


def only(root, **asked):
    [cell] = study.Plan(config(root, run={"files": "run"} | asked), Path("nowhere")).cells.values()
    return cell


def exact(tensors, name):
    return tensors[name].double().numpy().ravel()


# ------------------------------------------------------------------------------------------- names and roles


def test_roles_are_guessed_from_names_and_shapes():
    shapes = named(SHAPES)
    floats = {name: not name.endswith("calls") for name in shapes}
    found = stored.entries(shapes, floats, {})
    assert {name: entry.role for name, entry in found.items()} == named(ROLES)


@pytest.mark.parametrize(
    ("name", "shape", "role"),
    [
        ("model.embed_tokens.weight", (9, 4), "embedding"),
        ("model.layers.0.self_attn.q_proj.weight", (4, 4), "weight"),
        ("model.layers.0.post_attention_layernorm.weight", (4,), "norm"),
        ("model.layers.3.mlp.experts.gate_up_proj", (2, 4, 8), "weight"),
        ("embeddings.patch_embeddings.projection.weight", (8, 3, 4, 4), "weight"),
        ("vit.embeddings.cls_token", (1, 1, 4), "embedding"),
        ("encoder.layer.0.output.LayerNorm.beta", (4,), "norm"),
        ("encoder.layer.0.attention.self.query.bias", (4,), "bias"),
        ("layer1.0.bn1.running_mean", (4,), "buffer"),
        ("rotary.inv_freq", (4,), "buffer"),
        ("logit_scale", (), "weight"),
    ],
)
def test_roles_of_other_libraries(name, shape, role):
    assert stored.guess(name, shape) == role


def test_roles_in_the_config_take_the_place_of_guesses(tmp_path):
    write(tmp_path / "run/checkpoint-0", model(0)[0])
    roles = {"lm_head.*": "buffer", "h.1.ln_1.*": "bias", "h.*.ln_1.*": "weight"}
    cell = only(tmp_path, roles=roles)
    found = {layer.name: role for layer in cell.table.layers for role in (*layer.parameters, *layer.buffers)}
    expected = named(ROLES) | {"lm_head.weight": "buffer"}
    expected |= {f"h.{block}.ln_1.{own}": ("weight", "bias")[block] for block in (0, 1) for own in ("weight", "bias")}
    assert found == expected
    assert cell.cell_id != only(tmp_path).cell_id
    learnt = (math.prod(shape) for name, shape in named(SHAPES).items() if expected[name] != "buffer")
    assert cell.table.parameter_count == sum(learnt)


def test_tensors_are_folded_by_their_numbers_and_come_back():
    draw = np.random.default_rng(0)
    for _ in range(100):
        numbers = draw.integers(0, [4, 12, 3], (int(draw.integers(1, 60)), 3))
        found = {
            f"a{x}.{y}.b.{z}.0{z}": stored.Entry(("weight", "bias")[z % 2], (int(draw.integers(1, 3)),))
            for x, y, z in numbers
        }
        assert stored.unfold(stored.fold(found)) == found
    many = {
        f"layers.{layer}.experts.{expert}.w": stored.Entry("weight", (4, 4))
        for layer in range(40)
        for expert in range(64)
    }
    assert stored.fold(many) == {"layers.{0-39}.experts.{0-63}.w": ["weight", 4, 4]}


# ------------------------------------------------------------------------------------------- files


def test_a_folder_of_folders_is_a_series_by_the_folders_numbers(tmp_path):
    for step, tensors in model(0).items():
        write(tmp_path / f"run/checkpoint-{step}", tensors, 3)
    cell = only(tmp_path)
    assert cell.settings.snapshots == [*STEPS]
    assert [path.parent.name for path in cell.files[0]] == [f"checkpoint-{step}" for step in STEPS]
    assert all(sharded.is_index(path) and len(sharded.files(path)) == 4 for path in cell.files[0])
    listed = [f"run/checkpoint-{step}/model.safetensors.index.json" for step in STEPS]
    assert only(tmp_path, files=listed).settings.snapshots == [*STEPS]


def test_several_indices_in_one_folder_are_a_series(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for step, tensors in model(0).items():
        halves = dict(itertools.islice(tensors.items(), 5)), dict(itertools.islice(tensors.items(), 5, None))
        where = {}
        for number, half in enumerate(halves):
            save_file(half, folder / f"step_{step}.{number}.safetensors")
            where |= dict.fromkeys(half, f"step_{step}.{number}.safetensors")
        (folder / f"step_{step}.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert only(tmp_path).settings.snapshots == [*STEPS]


def changed(index, change):
    """The index with its weight_map changed in place."""
    content = json.loads(index.read_text())
    change(content["weight_map"])
    index.write_text(json.dumps(content))


def spoilt(change):
    """A spoiler that changes the index of the second checkpoint."""
    return lambda folder: changed(folder / "checkpoint-100/model.safetensors.index.json", change)


def twice(folder):
    """A tensor that two files have."""
    part = folder / "checkpoint-100/model-00001-of-00002.safetensors"
    found = TensorsOnDisk([part])
    other = TensorsOnDisk([part.with_name("model-00002-of-00002.safetensors")])
    name = next(iter(other))
    save_file({**found, name: other[name]}, part)


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
WRONG = {
    "a shard missing": (
        lambda folder: (folder / f"checkpoint-100/{SECOND}").unlink(),
        [f"names {SECOND}, which is not there", "beside the index"],
    ),
    "a tensor missing": (
        spoilt(lambda where: where.update(extra=FIRST)),
        [f"extra should be in {FIRST}, which does not have it"],
    ),
    "a tensor left out": (
        spoilt(lambda where: where.pop("wte.weight")),
        [f"leaves out the tensor wte.weight of {FIRST}"],
    ),
    "a tensor elsewhere": (
        spoilt(lambda where: where.update({"wte.weight": SECOND})),
        [f"the tensor wte.weight is in {FIRST}, and by the index in {SECOND}"],
    ),
    "a tensor in two files": (twice, [f"is in {FIRST}, and by the index in {SECOND}"]),
    "a file above the folder": (
        spoilt(lambda where: where.update({"wte.weight": "../x.safetensors"})),
        ["wte.weight is in ../x.safetensors, which is not below its folder"],
    ),
    "an absolute path": (
        spoilt(lambda where: where.update({"wte.weight": "/x.safetensors"})),
        ["wte.weight is in /x.safetensors, which is not below its folder"],
    ),
    "a pickle in the index": (
        spoilt(lambda where: where.update({"wte.weight": "pytorch_model.bin"})),
        ["wte.weight is in pytorch_model.bin; allowed: a file *.safetensors"],
    ),
    "a number in the index": (
        spoilt(lambda where: where.update({"wte.weight": 3})),
        ["wte.weight is in 3; allowed: a file *.safetensors"],
    ),
    "no map": (spoilt(lambda where: where.clear()), ["it has no weight_map"]),
    "no JSON": (
        lambda folder: (folder / "checkpoint-100/model.safetensors.index.json").write_text("{"),
        ["is no index of safetensors files"],
    ),
    "a key twice": (
        lambda folder: (folder / "checkpoint-100/model.safetensors.index.json").write_text(
            f'{{"weight_map": {{"a": "{FIRST}", "a": "{SECOND}"}}}}'
        ),
        ["a is there twice"],
    ),
    "a shard cut short": (
        lambda folder: (folder / f"checkpoint-100/{SECOND}").write_bytes(
            (folder / f"checkpoint-100/{SECOND}").read_bytes()[:-1]
        ),
        [SECOND, "not a whole safetensors file"],
    ),
    "another model": (
        lambda folder: write(folder / "checkpoint-3", {"a.weight": torch.zeros(3, 3)}),
        ["checkpoint-3/model.safetensors: ", " is missing there, and [", "give checkpoints of one model"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_of_an_index_is_one_line_of_the_plan(tmp_path, case):
    spoil, words = WRONG[case]
    for step, tensors in model(0, (0, 100)).items():
        write(tmp_path / f"run/checkpoint-{step}", tensors, 2)
    assert only(tmp_path).settings.snapshots == [0, 100]
    spoil(tmp_path / "run")
    with pytest.raises(checks.ConfigError) as error:
        only(tmp_path)
    said = str(error.value)
    assert said.startswith("given.run: ") and "\n" not in said and all(word in said for word in words), said


ODD = {
    "an odd name": ({"a b": torch.zeros(3, 3)}, {}, ["a tensor is called a b; allowed: letters"]),
    "no weights": ({"calls": torch.tensor(3)}, {}, ["has no tensor of weights (calls)"]),
    "an empty file": ({}, {}, ["has no tensor of weights (it is empty)"]),
    "a pattern of nothing": ({"a": torch.zeros(3)}, {"roles": {"b*": "bias"}}, ["'b*' fits no tensor", "(it has a)"]),
    "a role unknown": ({"a": torch.zeros(3)}, {"roles": {"a": "head"}}, ["given.run.roles.a: 'head'", "'embedding'"]),
    "a data set": (
        {"a": torch.zeros(3)},
        {"dataset": "digits"},
        ["`dataset` without `network`", "accuracy", "features"],
    ),
    "a size": ({"a": torch.zeros(3)}, {"size": 3}, ["`size` without `network`"]),
    "roles of a network": ({"a": torch.zeros(3)}, {"network": "x", "roles": {"a": "bias"}}, ["`roles` and `network`"]),
}


@pytest.mark.parametrize("case", ODD)
def test_what_cannot_be_measured_is_said_in_one_line(tmp_path, case):
    tensors, asked, words = ODD[case]
    (tmp_path / "run").mkdir()
    save_file(tensors, tmp_path / "run/epoch_0.safetensors")
    with pytest.raises(checks.ConfigError) as error:
        only(tmp_path, **asked)
    said = str(error.value)
    assert "given.run" in said and "\n" not in said and all(word in said for word in words), said


def test_a_measure_that_needs_a_network_says_so(tmp_path):
    write(tmp_path / "run/checkpoint-0", model(0)[0])
    asked = config(tmp_path) | {"definitions": {"mine": {"given": ["run"], "measure": ["spectra", "convergence"]}}}
    with pytest.raises(checks.ConfigError) as error:
        study.Plan(asked, Path("nowhere"))
    assert str(error.value).startswith("definitions.mine.measure: 'convergence' needs a network, and none of its given")
    asked["definitions"]["mine"]["measure"] = ["spectra"]
    assert len(study.Plan(asked, Path("nowhere")).cells) == 1


def test_links_that_lead_out_of_data_root_are_refused_in_folders_of_checkpoints(tmp_path):
    write(tmp_path / "elsewhere/x", model(0)[0])
    (tmp_path / "root/run/checkpoint-0").mkdir(parents=True)
    link = tmp_path / "root/run/checkpoint-0/model.safetensors"
    link.symlink_to(tmp_path / "elsewhere/x/model.safetensors")
    with pytest.raises(checks.ConfigError, match="a link that leads out of data_root"):
        only(tmp_path / "root")
    asked = config(tmp_path / "root") | {"outside_data_root": True}
    assert len(study.Plan(asked, Path("nowhere")).cells) == 1


# ------------------------------------------------------------------------------------------- what is measured


class Measured:
    """Two series measured: run-a in whole files, run-b in three shards each."""

    def __init__(self, root):
        self.series = {"run-a": model(0), "run-b": model(1, half=torch.float16)}
        for name, found in self.series.items():
            for step, tensors in found.items():
                write(root / f"data/{name}/checkpoint-{step}", tensors, 3 if name == "run-b" else 1)
        plan = study.Plan(config(root / "data", **{name: {"files": name} for name in self.series}), root)
        rows = plan.rows()
        columns = schema.header("cells", list(rows[0]))
        schema.write(root / "cells.csv", "cells", ([row[name] for name in columns] for row in rows), header=columns)
        self.ids = {entry.labels["given"]: entry.cell_id for entry in plan.entries}
        self.block = {name: root / f"results/cells/{cell}/seeds_0-0" for name, cell in self.ids.items()}
        for name, cell in self.ids.items():
            laid.lay_out(cell, plan.cells[cell].settings, plan.cells[cell].files[0], None, None, self.block[name])
        [self.group] = plan.groups
        group.measure(cell_table.grouped(root / "cells.csv", self.group), None, None, root / "measures")
        self.need = plan
        self.tables = root / "measures"

    def rows(self, table, run="run-a", **wanted):
        frame = schema.read(self.tables / f"{table}.csv", table)
        if "cell_id" in frame:
            frame = frame[frame["cell_id"] == self.ids[run]]
        for column, value in wanted.items():
            frame = frame[frame[column] == value]
        return frame

    def flat(self, run, step):
        """All parameters of a checkpoint as one vector, float64."""
        names = [name for name, role in named(ROLES).items() if role != "buffer"]
        return np.concatenate([exact(self.series[run][step], name) for name in names])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("any model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield Measured(root)


@pytest.mark.parametrize("run", ["run-a", "run-b"])
def test_statistics_are_numpys(measured, run):
    frame = measured.rows("statistics", run)
    assert len(frame) == len(STEPS) * len(named(SHAPES)) and not frame.empty
    for row in frame.itertuples():
        values = exact(measured.series[run][row.epoch], row.layer)
        expected = [values.mean(), values.std(), values.min(), values.max(), np.ptp(values), np.linalg.norm(values)]
        assert row.parameter == named(ROLES)[row.layer] and row.size == len(values)
        assert [row.mean, row.std, row.min, row.max, row.range, row.norm] == pytest.approx(expected, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("run", ["run-a", "run-b"])
def test_movement_is_numpys_tensor_by_tensor_and_in_all(measured, run):
    frame = measured.rows("movement", run)
    names = [name for name, role in named(ROLES).items() if role != "buffer"]
    assert set(frame["layer"]) == {*names, "total"}
    for row in frame.itertuples():
        ends = [
            measured.flat(run, step) if row.layer == "total" else exact(measured.series[run][step], row.layer)
            for step in (row.from_epoch, row.to_epoch)
        ]
        norms = [np.linalg.norm(end) for end in ends]
        distance = np.linalg.norm(ends[1] - ends[0])
        expected = [*norms, distance, ends[0] @ ends[1] / norms[0] / norms[1], distance / norms[0]]
        found = [row.norm_from, row.norm_to, row.distance, row.cosine, row.relative]
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    last = frame[(frame["interval"] == "start") & (frame["to_epoch"] == STEPS[-1]) & (frame["layer"] != "total")]
    assert last.loc[last["relative"].idxmax(), "layer"] == MOST
    assert list(last.loc[last["distance"] == 0, "layer"]) == [STILL]


def test_what_never_changed_and_counts_by_tolerance(measured):
    for run, found in measured.series.items():
        first, last = found[0], found[STEPS[-1]]
        for row in measured.rows("unchanged", run).itertuples():
            if row.layer != "total":
                equal = int((exact(first, row.layer) == exact(last, row.layer)).sum())
                assert (row.unchanged, row.changed) == (equal, row.size - equal)
        [still] = measured.rows("unchanged", run, layer=STILL).itertuples()
        assert still.unchanged == still.size == 16 * WIDTH
        for row in measured.rows("tolerance", run, criterion="absolute").itertuples():
            ends = (measured.flat(run, 0), measured.flat(run, STEPS[-1]))
            if row.layer != "total":
                ends = (exact(first, row.layer), exact(last, row.layer))
            assert row.changed == int((np.abs(ends[1] - ends[0]) > row.tolerance).sum())


def test_spectra_are_those_of_the_matrices(measured):
    frame = measured.rows("spectra", "run-b")
    matrices = {name for name, shape in named(SHAPES).items() if len(shape) == 2}
    assert set(frame["layer"]) == matrices and len(frame) == 2 * len(matrices)
    for row in frame.itertuples():
        matrix = measured.series["run-b"][row.epoch][row.layer].double().numpy()
        values = np.linalg.svd(matrix, compute_uv=False)
        assert row.spectral_norm == pytest.approx(values[0], rel=1e-10)
        assert row.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2, rel=1e-10)


def test_runs_are_correlated_with_one_another_and_with_themselves(measured):
    frame = measured.rows("correlations")
    assert set(frame["matching"]) == {"raw"}
    counts = frame.groupby("comparison").size()
    tensors = len(named(SHAPES))
    assert counts.to_dict() == {"models": 2 * tensors, "checkpoints": 2 * tensors}
    runs = {cell: run for run, cell in measured.ids.items()}
    for row in frame.itertuples():
        a = exact(measured.series[runs[row.cell_a]][row.epoch_a], row.layer)
        b = exact(measured.series[runs[row.cell_b]][row.epoch_b], row.layer)
        if len(a) > 1 and a.std() and b.std():
            assert row.pearson == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-9)
            assert row.spearman == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)
        if a.any() and b.any():
            assert row.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-12)
        assert row.changed == int((a != b).sum())


def test_only_what_needs_no_network_is_measured_and_expected(measured):
    written = {path.stem: len(schema.read(path, path.stem)) for path in measured.tables.glob("*.csv")}
    left = {"statistics", "movement", "unchanged", "tolerance", "parameters", "checkpoints", "correlations", "spectra"}
    assert {name for name, count in written.items() if count} == left
    plan = measured.need
    from weight_atlas.plan import measuring

    needs = measuring.group([*plan.cells.values()], plan.listed)
    assert {table: count for need in needs.values() for table, count in need.rows.items()} == {
        name: written[name] for name in left
    }


def test_a_snapshot_links_to_the_files_and_a_change_of_them_is_seen(measured):
    block = measured.block["run-b"]
    [record] = json.loads((block / "run.json").read_text())["replicates"]
    folder = block / "snapshots/seed0"
    for step, file in zip(STEPS, record["files"], strict=True):
        assert file["epoch"] == step and file["converted_from"] == ["float16", "int64"]
        for name, digest in file["shards"].items():
            assert digest == store.sha256(f"data/run-b/checkpoint-{step}/{name}")
        opened = starts.open_snapshot(store.snapshot_path(block, 0, step))
        assert set(opened) == {*named(SHAPES)}
        for name, tensor in measured.series["run-b"][step].items():
            assert opened[name].dtype == torch.float32 and torch.equal(opened[name], tensor.float())
    links = [path for path in folder.iterdir() if path.is_symlink()]
    assert len(links) == 3 * len(STEPS)
    assert sum(path.stat().st_size for path in folder.glob("epoch_*")) < 1000


def test_a_checkpoint_is_never_in_memory_as_a_whole(tmp_path):
    """Reading 400 MB tensor by tensor takes this process 100 MB at most."""
    save_file({f"h.{block}.weight": torch.zeros(1000, 10_000) for block in range(10)}, tmp_path / "a.safetensors")
    code = (
        "import resource, sys; from pathlib import Path; from weight_atlas.tensors_on_disk import TensorsOnDisk\n"
        "from weight_atlas import tensors_on_disk; tensors_on_disk.MAPPED = 0\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, found = most(), TensorsOnDisk([Path(sys.argv[1])])\n"
        "sums = [float(found[name].sum()) for name in found]; print(len(sums), most() - before)"
    )
    environment = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.safetensors"], env=environment, capture_output=True, text=True
    )
    count, kilobytes = map(int, done.stdout.split())
    assert count == 10 and kilobytes < 100_000, done.stderr


def test_a_series_with_a_value_that_is_not_finite_has_diverged(tmp_path, monkeypatch):
    for step, tensors in model(0).items():
        if step:
            tensors["h.0.mlp.c_fc.bias"][3] = torch.nan
        write(tmp_path / f"run/checkpoint-{step}", tensors)
    cell = only(tmp_path)
    laid.lay_out(cell.cell_id, cell.settings, cell.files[0], None, None, tmp_path / "cells/seeds_0-0")
    [record] = json.loads((tmp_path / "cells/seeds_0-0/run.json").read_text())["replicates"]
    assert (record["status"], record["cause"]) == ("diverged", "a value of the file of epoch 100 is not finite")
