"""Training LeNet-5 and ResNet18 with the engine, beside the program that a user would write, from pictures to accuracy.

    python benchmarks/programs.py [--repeats 5] [--cores 2] [--networks lenet5,resnet18]

The user's program: a torchvision data set of PIL pictures, torchvision's transforms (crop with padding 4, flip,
rotation by up to 15 degrees, normalisation), a DataLoader, one process with all cores as threads, `.item()` at every
step. It is given its best number of workers. The best such program: as many of these as cores, with one thread and no
worker each. The engine: as many trainings as cores, with one thread each, as the workflow runs them. All train the same
network on as many random pictures for two epochs, and the second one is timed; sides take turns.
"""

import argparse
import os
import statistics
import sys
import time
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

PICTURES = {"lenet5": 12_800, "resnet18": 1_280}
BATCH = 128


def users(name: str, threads: int, workers: int, gate, answers) -> None:
    """The user's program; puts the seconds of its second epoch."""
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from weight_atlas.networks import build

    torch.set_num_threads(threads)
    draw = np.random.default_rng(0)
    change = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.25,) * 3),
        ]
    )

    class Pictures(Dataset):
        images = draw.integers(256, size=(PICTURES[name], 32, 32, 3), dtype=np.uint8)
        labels = draw.integers(10, size=PICTURES[name])

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, at):
            return change(Image.fromarray(self.images[at])), int(self.labels[at])

    model, _ = build.build({"architecture": name}, 3, 32, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    parallel = {"persistent_workers": True, "multiprocessing_context": "fork"} if workers else {}
    loader = DataLoader(Pictures(), BATCH, shuffle=True, num_workers=workers, **parallel)
    for epoch in range(2):
        gate.wait()
        began, right, loss_sum = time.perf_counter(), 0, 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            outputs = model(images)
            loss = torch.nn.functional.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            right += (outputs.argmax(1) == labels).sum().item()
        if epoch:
            answers.put(time.perf_counter() - began)


def ours(name: str, threads: int, _: int, gate, answers) -> None:
    """The engine's own epoch, on as many pictures."""
    import torch
    from images_per_second import run

    torch.set_num_threads(threads)
    made = run({"architecture": name}, 3, 32, PICTURES[name])
    optimizer = made._enter(made.training["stages"][0])
    for epoch in range(2):
        gate.wait()
        began = time.perf_counter()
        made._epoch(optimizer, 0)
        if epoch:
            answers.put(time.perf_counter() - began)


def speed(program, name: str, processes: int, threads: int, workers: int = 0) -> float:
    """Images a second of so many of these programs at a time, all together."""
    from weight_atlas import warm

    context = get_context("spawn")
    for variable in warm.MEMORY:
        os.environ.pop(variable, None)
    if program is ours:
        os.environ.update(warm.MEMORY)  # what the launcher of a training sets
    gate, answers = context.Barrier(processes), context.Queue()
    running = [context.Process(target=program, args=(name, threads, workers, gate, answers)) for _ in range(processes)]
    for process in running:
        process.start()
    seconds = [answers.get() for _ in running]
    for process in running:
        process.join()
    return processes * PICTURES[name] / max(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--networks", default="lenet5,resnet18")
    args = parser.parse_args()
    print(f"{args.cores} cores, batch {BATCH}, images/s of all processes, median of {args.repeats}; ratios of medians")
    print("| network | user's program (workers) | as many as cores | engine | / user's | / as many |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in args.networks.split(","):
        tried = {workers: speed(users, name, 1, args.cores, workers) for workers in range(args.cores + 1)}
        best = max(tried, key=tried.get)
        sides = {
            "one": lambda name=name, best=best: speed(users, name, 1, args.cores, best),
            "many": lambda name=name: speed(users, name, args.cores, 1),
            "ours": lambda name=name: speed(ours, name, args.cores, 1),
        }
        found = {side: [] for side in sides}
        for _ in range(args.repeats):
            for side, measure in sides.items():
                found[side].append(measure())
        one, many, own = (statistics.median(found[side]) for side in sides)
        print(f"| {name} | {one:,.0f} ({best}) | {many:,.0f} | {own:,.0f} | {own / one:.1f} | {own / many:.1f} |")


if __name__ == "__main__":
    main()
