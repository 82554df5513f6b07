"""What to look at first where a GPU is at hand, in ten minutes at most; each part prints a line, and says NO where
something is not as the documentation has it.

    python benchmarks/first_gpu.py [--device cuda] [--seconds 600] [--parts structure,seeds]

It needs no data and no network. With --device cpu it tries itself: smaller networks, and what needs a GPU is left out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import images_per_second
import processes
import torch
from torch.nn import functional

from weight_atlas import device as devices
from weight_atlas import gpu_slots, starts, store
from weight_atlas.analysis.weights import unchanged
from weight_atlas.settings import Settings
from weight_atlas.training import engine, launcher
from weight_atlas.training.data import ImageData, Split
from weight_atlas.training.track import GRADIENT, GradientTracker

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("float32", "tf32", "bfloat16")
ADAM = {"type": "adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
DEVICE, FOLDER, NETWORKS = torch.device("cpu"), Path(), ("lenet5",)  # set by `main`


def made(
    network: str, *, size: int = 32, count: int = 1024, batch: int = 128, out: str = "run", **training
) -> engine.Run:
    """A replicate on so many random images, on the device, with its start."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=draw).to(DEVICE)
    labels = torch.randint(10, (count,), generator=draw).to(DEVICE)
    splits = (Split(images.clone(), labels.clone()) for _ in range(3))
    data = ImageData(*splits, *(torch.tensor([value], device=DEVICE) for value in (0.5, 0.25)))
    settings = images_per_second.run({"architecture": network}, 3, size, 1).settings.json
    changed = settings["training"] | {"batch_size": batch} | training
    settings |= {"training": changed, "snapshots": "ends"}
    devices.set_up(DEVICE, changed["precision"], 1)
    run = engine.Run(f"base-{network}", Settings.parse(settings), 0, data, DEVICE, FOLDER / out)
    starts.initialise(run.model, run.table, "kaiming_uniform", 0)
    run.model.to(DEVICE, memory_format=torch.channels_last).train()
    return run


def steps(run: engine.Run, count: int) -> None:
    """Train for so many steps, one epoch at most."""
    optimizer = run.enter_stage(run.training.stages[0])
    run.feed.shuffle_epoch(1)
    for step in range(min(count, run.steps)):
        run.train_step(*run.feed.batch(step), optimizer)


def wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def milliseconds(run: engine.Run, count: int = 30) -> float:
    """Of a step, after a few."""
    optimizer = run.enter_stage(run.training.stages[0])
    run.feed.shuffle_epoch(1)
    batch = run.feed.batch(0)
    for _ in range(5):
        run.train_step(*batch, optimizer)
    wait()
    began = time.perf_counter()
    for _ in range(count):
        run.train_step(*batch, optimizer)
    wait()
    return 1000 * (time.perf_counter() - began) / count


def say(right: bool, text: str) -> None:
    print(f"  {'ok' if right else 'NO'}  {text}", flush=True)


# ------------------------------------------------------------------------------------------------ the parts


def trainings() -> None:
    """A real training of digits, from its launcher on: its log, its memory, what it takes to start."""
    for cell_id, settings in processes.prepared(FOLDER).values():
        began = time.perf_counter()
        command = processes.training(FOLDER, cell_id, settings, 0, 0, DEVICE.type)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        log = (FOLDER / "log").read_text()
        say(done.returncode == 0, f"{cell_id}: {time.perf_counter() - began:.1f} s; {done.stdout.strip()}")
        print("".join(f"      {line}\n" for line in log.splitlines() if line.startswith(("device:", "core-seconds"))))
        for line in sorted({line for line in log.splitlines() if "Warning" in line}):
            print(f"      {line}")


def structure() -> None:
    """Gradients that are exactly zero, in each precision, against the structure; then Adam with `track`."""
    for network in NETWORKS:
        for precision in PRECISIONS:
            run = made(network, precision=precision, optimizer=ADAM)
            run.tracker = GradientTracker(run.model)
            steps(run, 8)
            bits = {name: tensor.cpu() for name, tensor in run.tracker.tensors().items()}
            wrong, taps = 0, 0
            for layer in (one for one in run.table.layers if one.kind == "Conv2d"):
                structural = unchanged.structural(run.table, layer).expand(layer.parameters["weight"])
                taps += int(structural.sum())
                wrong += int((structural & (bits[f"{layer.name}.weight"] & GRADIENT != 0)).sum())
            say(not wrong, f"{network}, {precision}: {wrong:,} of {taps:,} structural weights had a gradient")


def seeds() -> None:
    """The same seed twice: the same bits; and the operations that torch warns of."""
    for network in NETWORKS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            twice = []
            for _ in range(2):
                run = made(network, augment={"crop": 4, "flip": True, "rotation": 15.0})
                steps(run, 8)
                twice.append({name: value.detach().cpu() for name, value in run.model.state_dict().items()})
        same = all(torch.equal(value, twice[1][name]) for name, value in twice[0].items())
        say(same, f"{network}: 8 steps with every change of images, twice")
        for text in sorted({str(one.message).splitlines()[0] for one in caught}):
            print(f"      warned: {text[:150]}")


def resumed() -> None:
    """Dropout and Adam, stopped after a step and gone on with, against a run that nobody stopped."""
    ends, network = [], "vgg16" if DEVICE.type == "cuda" else "tutorial"
    for stop in (False, True):
        options = {"count": 512, "batch": 64, "optimizer": ADAM, "out": f"stopped_{stop}"}
        engine.Run.stopping = stop
        try:
            made(network, **options).train(None)
        except SystemExit:
            engine.Run.stopping = False
            made(network, **options).train(None)
        ends.append(store.load_tensors(store.snapshot_path(FOLDER / options["out"], 0, 1)))
    say(all(torch.equal(value, ends[1][name]) for name, value in ends[0].items()), "a run that was stopped, to the bit")


def against_cpu() -> None:
    """One step against the processor's, in float64's distance: float32 near, TF32 a thousand times as far."""
    for network in NETWORKS:
        for precision in ("float32", "tf32"):
            run = made(network, precision=precision, batch=64)
            images, labels = run.data.batch(run.data.train.images[:64]), run.data.train.labels[:64]
            ours = torch.autograd.grad(functional.cross_entropy(run.model(images), labels), run.model.parameters())
            run.model.cpu()
            theirs = torch.autograd.grad(
                functional.cross_entropy(run.model(images.cpu()), labels.cpu()), run.model.parameters()
            )
            far = max(float((a.cpu() - b).norm() / (b.norm() + 1e-30)) for a, b in zip(ours, theirs, strict=True))
            bound = 1e-3 if precision == "float32" else 0.3
            say(far < bound, f"{network}, {precision}: gradients {far:.1e} of their norm away from the processor's")


def costs() -> None:
    """What filling new tensors and `track` cost, in milliseconds of a step."""
    for network in NETWORKS:
        plain = milliseconds(made(network))
        run = made(network)
        torch.utils.deterministic.fill_uninitialized_memory = True
        filled = milliseconds(run)
        run = made(network)
        run.tracker = GradientTracker(run.model)
        tracked = milliseconds(run)
        print(
            f"      {network}: {plain:.2f} ms a step; filled {filled / plain:.2f} x, tracked {tracked / plain:.2f} x; "
            f"{128_000 / plain:,.0f} images/s"
        )


def memory() -> None:
    """VGG16 at 224 px: an evaluation within its bound; kept features; a full GPU, and an assertion, by their causes."""
    size = 224 if DEVICE.type == "cuda" else 32
    run = made("vgg16", size=size, count=600, batch=16)
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    run.evaluate(run.data.test)
    if DEVICE.type == "cuda":
        used = torch.cuda.max_memory_allocated() - before
        say(used < 1.5 * 2**30, f"an evaluation at {size} px took {used / 2**30:.2f} GiB beyond the weights")
    names = [layer.name for layer in run.table.weight_layers][:4]
    stage = run.settings.json["training"]["stages"][0] | {"frozen": names}
    kept = made("vgg16", size=size, count=600, batch=16, stages=[stage], cache_features=True)
    kept.enter_stage(kept.training.stages[0])
    say(kept.feed.features is not None, f"features of {len(names)} frozen layers at {size} px are kept")
    if DEVICE.type == "cuda":
        for code, expected in (
            ("torch.empty(1 << 45, device='cuda')", "OutOfMemoryError"),
            (
                "torch.zeros(2, device='cuda')[torch.tensor([5], device='cuda')]; torch.cuda.synchronize()",
                "Error: CUDA",
            ),
        ):
            done = subprocess.run(
                [sys.executable, "-c", f"import torch; {code}"], capture_output=True, text=True, check=False
            )
            why = launcher.cause(done.returncode, (done.stdout + done.stderr).splitlines())
            say(expected in why, f"the cause that would be recorded: {why[:110]}")


def waiting() -> None:
    """No step waits for the GPU: torch raises an error where one does."""
    for network in NETWORKS:
        run = made(network, augment={"crop": 4, "flip": True, "rotation": 15.0})
        optimizer = run.enter_stage(run.training.stages[0])
        run.feed.shuffle_epoch(1)
        sums = torch.zeros(2, dtype=torch.float64, device=DEVICE)
        run.train_step(*run.feed.batch(0), optimizer)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step in range(20):
                sums += run.train_step(*run.feed.batch(step % run.steps), optimizer)
            say(True, f"{network}: 20 steps without waiting")
        except RuntimeError as error:
            say(False, f"{network}: {str(error).splitlines()[0]}")
            traceback.print_exc(limit=-3)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def cards() -> None:
    """GPUs by index and by UUID are the same ones; two jobs on one card."""
    found = gpu_slots.gpus()
    print(f"      {', '.join(f'{gpu.name} ({gpu.uuid})' for gpu in found)}; memory {gpu_slots.memory()}")
    os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    try:
        say([gpu.uuid for gpu in gpu_slots.gpus()] == [found[0].uuid], "index 0 has the UUID of the first one")
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    (cell_id, settings), *_ = processes.prepared(FOLDER).values()
    commands = [processes.training(FOLDER, cell_id, settings, seed, seed, "cuda") for seed in (0, 1)]
    began = time.perf_counter()
    both = [
        subprocess.Popen([*words, "--jobs-per-gpu", "2"], cwd=ROOT, stdout=subprocess.DEVNULL) for words in commands
    ]
    say([job.wait() for job in both] == [0, 0], f"two trainings on one GPU: {time.perf_counter() - began:.1f} s")


PARTS: dict[str, Callable[[], None]] = {
    "structure": structure,
    "waiting": waiting,
    "seeds": seeds,
    "resumed": resumed,
    "against_cpu": against_cpu,
    "trainings": trainings,
    "memory": memory,
    "cards": cards,
    "costs": costs,
}
ON_GPU = ("waiting", "cards")


def main() -> None:
    global DEVICE, FOLDER, NETWORKS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=600, help="no part begins after so many")
    parser.add_argument("--parts", default=",".join(PARTS), help="which ones, in this order")
    args = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as a training's launcher does
    DEVICE = devices.find(args.device)
    NETWORKS = ("resnet18", "vgg19") if args.device == "cuda" else ("lenet5", "resnet18")
    devices.set_up(DEVICE, "float32", 1)
    print(devices.machine(DEVICE))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        FOLDER = Path(name)
        for part in args.parts.split(","):
            if part in ON_GPU and args.device == "cpu":
                continue
            print(f"\n{part} ({time.monotonic() - began:.0f} s): {PARTS[part].__doc__}", flush=True)
            if time.monotonic() - began > args.seconds:
                print("  left out: no time left; ask for it with --parts")
                continue
            try:
                PARTS[part]()
            except Exception:  # the next part is asked all the same
                say(False, traceback.format_exc(limit=-3))
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
