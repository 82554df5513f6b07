"""The device of a training: how it is found, what is set, and what is recorded of it, with pretended GPUs."""

import os

import pytest
import torch

from weight_atlas import device, records, store
from weight_atlas.analysis.runs import runs
from weight_atlas.training import checkpoint

SWITCHES = (
    (torch.backends.cudnn.conv, "fp32_precision"),
    (torch.backends.cuda.matmul, "fp32_precision"),
    (torch.backends.cudnn, "benchmark"),
    (torch.utils.deterministic, "fill_uninitialized_memory"),
)


@pytest.fixture(autouse=True)
def switches_as_they_were():
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    before = [getattr(place, name) for place, name in SWITCHES]
    yield
    for (place, name), value in zip(SWITCHES, before, strict=True):
        setattr(place, name, value)
    torch.set_deterministic_debug_mode(deterministic)
    torch.set_num_threads(threads)


@pytest.fixture
def pretended(monkeypatch):
    """A GPU by a name, as torch tells of it."""

    def pretend(name="NVIDIA H200"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
        monkeypatch.setattr(device, "_driver", lambda: "580.65.06")
        return torch.device("cuda")

    return pretend


def test_a_gpu_that_torch_does_not_find_ends_the_process_in_its_own_words(monkeypatch, capsys):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update")

    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(SystemExit) as end:
        device.find("cuda")
    assert end.value.code == os.EX_UNAVAILABLE
    said = "torch finds no GPU: The NVIDIA driver on your system is too old (found version 11040).\n"
    assert capsys.readouterr().out == said
    assert device.find("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("precision", "products"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee")])
@pytest.mark.parametrize("before", ["ieee", "tf32"])
def test_the_precision_of_products_is_set_whatever_it_was(pretended, precision, products, before):
    for place, name in SWITCHES[:2]:
        setattr(place, name, before)
    device.set_up(pretended(), precision, 1)
    assert [getattr(place, name) for place, name in SWITCHES] == [products, products, False, False]
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    device.set_up(torch.device("cpu"), precision, 1)
    assert torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    assert device.machine(pretended())["versions"]["float32_products"] == products


def test_what_is_recorded_of_a_gpu_and_of_a_processor(pretended):
    device.set_up(pretended(), "float32", 2)
    made = device.machine(pretended())
    assert (made["device"], made["device_name"], made["threads"]) == ("cuda", "NVIDIA H200", 2)
    assert made["versions"] == {
        "python": made["versions"]["python"],
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": "91900",
        "driver": "580.65.06",
        "float32_products": "ieee",
    }
    assert device.peak_memory(pretended())["peak_gpu_memory_mib"] == 3.0
    own = device.machine(torch.device("cpu"))
    assert own["device"] == "cpu" and own["versions"].keys() == {"python", "torch"}
    assert device.peak_memory(torch.device("cpu")).keys() == {"peak_memory_mib"}


def test_a_checkpoint_is_of_one_kind_of_gpu(pretended):
    makers = {checkpoint.identity({}, 0, pretended(name)) for name in ("NVIDIA H200", "NVIDIA A100")}
    makers.add(checkpoint.identity({}, 0, torch.device("cpu")))
    assert len(makers) == 3
    assert checkpoint.identity({}, 0, pretended("NVIDIA H200")) in makers


def test_machines_are_told_apart_by_replicate(tmp_path):
    block = tmp_path / "base-x" / "seeds_0-1"
    for seed, kind in enumerate(("cuda", "cpu")):
        machine = {"device": kind, "device_name": f"a {kind}", "threads": 1, "versions": {"torch": "2.15"}}
        record = {"seed": seed, "status": "done", "epochs": 1, "machine": machine}
        store.make_folder(store.record_path(block, seed).parent)
        store.write_json(store.record_path(block, seed), record)
        records.seal(block, seed, {})
    records.assemble(block, "base-x", {})
    found = runs.rows("base-x", [str(block)], [0, 1], {}, {})
    assert [(one.device, one.device_name) for one in found] == [("cuda", "a cuda"), ("cpu", "a cpu")]
