"""Training speed of each network on one CPU thread, beside a bare loop and what the plan expects.

    python benchmarks/images_per_second.py [--repeats 5] [--seconds 4]

Each repeat trains the networks in turn for about so many seconds, with the engine's own step, pictures cropped, flipped
and rotated as in study 001 and without evaluation; and right after it the same network for as long by a bare loop:
forward, backward and the optimizer's step on one resident batch, in the same memory format, with no data work. Both
have what the launcher of a training sets for its memory.
"""

import argparse
import itertools
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
from torch.nn import functional

from weight_atlas import networks, starts, warm
from weight_atlas.plan import cost
from weight_atlas.settings import Settings
from weight_atlas.training import engine
from weight_atlas.training.data import ImageData, Split

CASES = {
    "lenet5, 28 grey": ({"architecture": "lenet5"}, 1, 32),
    "lenet5, 32 RGB": ({"architecture": "lenet5"}, 3, 32),
    "resnet18, ImageNet stem, 32 RGB": ({"architecture": "resnet18"}, 3, 32),
    "resnet18, CIFAR stem, 32 RGB": ({"architecture": "resnet18", "options": {"stem": "cifar"}}, 3, 32),
    "vgg11_bn, 32 RGB": ({"architecture": "vgg11_bn"}, 3, 32),
    "vgg19, 32 RGB": ({"architecture": "vgg19"}, 3, 32),
}
BATCH = 128


def run(network: dict, channels: int, size: int, count: int = 8 * BATCH) -> engine.Run:
    """A replicate on so many random pictures, ready to step."""
    split = Split(torch.randint(256, (count, channels, size, size), dtype=torch.uint8), torch.randint(10, (count,)))
    stage = {"epochs": 1, "lr": 0.01, "schedule": {"type": "constant"}, "frozen": 0}
    training = {
        "optimizer": {"type": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
        "epochs": 1,
        "batch_size": BATCH,
        "stages": [stage],
        "augment": {"crop": 4, "flip": True, "rotation": 15.0},
        "copies": None,
        "redraw": True,
        "precision": "float32",
        "early_stopping": None,
        "penalty": None,
        "frozen_batchnorm": "fixed",
        "frozen_dropout": True,
        "cache_features": False,
        "track": False,
        "keep_optimizer": False,
    }
    settings = {
        "dataset_id": "",
        "classes": 10,
        "start": {"kind": "init", "scheme": "kaiming_uniform"},
        "input": {"channels": channels, "size": size},
        "network": {"width": 1.0, "options": {}, "threads": 1} | network,
        "training": training,
        "snapshots": "ends",
    }
    pictures = ImageData(split, split, split, [0.5], [0.25])
    made = engine.Run("base-speed", Settings.parse(settings), 0, pictures, torch.device("cpu"), Path())
    starts.initialise(made.model, made.table, "kaiming_uniform", 0)
    made.model.to(memory_format=torch.channels_last).train()
    return made


def stepping(step, seconds: float) -> float:
    """Images a second over at least two calls of `step` and about `seconds`, after one call more."""
    step()
    steps, began = 0, time.perf_counter()
    while steps < 2 or time.perf_counter() - began < seconds:
        step()
        steps += 1
    return steps * BATCH / (time.perf_counter() - began)


def measured(made: engine.Run, seconds: float) -> float:
    """Images a second of the engine."""
    optimizer, done = made.enter_stage(made.training.stages[0]), itertools.count()

    def step():
        epoch, at = divmod(next(done), made.steps)
        if at == 0:
            made.feed.shuffle_epoch(epoch)
        made.train_step(*made.feed.batch(at), optimizer)

    return stepping(step, seconds)


def resident(made: engine.Run) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch that stays where it is: normalised pictures, and their labels."""
    size, train = made.training.batch_size, made.data.train
    return made.data.batch(train.images[:size]), train.labels[:size]


def bare(made: engine.Run, seconds: float) -> float:
    """Images a second of the same module, on a batch that is there."""
    optimizer = made.enter_stage(made.training.stages[0])
    images, labels = resident(made)

    def step():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(made.model(images), labels).backward()
        optimizer.step()

    return stepping(step, seconds)


def expected(table: networks.Table) -> float:
    """Images a second that the plan's constants give."""
    step = cost.STEP + table.parameter_count * cost.PARAMETER
    return 1 / (3 * cost.forward(table.layers) + cost.IMAGE + step / BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    if not warm.MEMORY.keys() <= os.environ.keys():  # read as a process begins
        os.execve(sys.executable, [sys.executable, *sys.argv], warm.MEMORY | os.environ)
    torch.set_num_threads(1)
    ready = {name: run(*case) for name, case in CASES.items()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(args.repeats):
        for name, made in ready.items():
            found[name].append((measured(made, args.seconds), bare(made, args.seconds)))
    print(f"torch {torch.__version__}, 1 thread, batch {BATCH}, median of {args.repeats}")
    print("| network | images/s | bare loop | engine / bare | plan expects | engine / plan |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, speeds in found.items():
        own, plain = (statistics.median(side) for side in zip(*speeds, strict=True))
        ratio, plan = statistics.median(one / other for one, other in speeds), expected(ready[name].table)
        print(f"| {name} | {own:,.0f} | {plain:,.0f} | {ratio:.2f} | {plan:,.0f} | {own / plan:.2f} |")


if __name__ == "__main__":
    main()
