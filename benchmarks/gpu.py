"""What a GPU makes of it: images/s of each network of the study `dynamics` beside a bare loop, what a training costs to
start, how long the whole study takes from these, and whether replicates batched together would pay.

    python benchmarks/gpu.py [--device cuda] [--repeats 5] [--seconds 2] [--networks lenet5,resnet18,vgg19]

Each repeat trains the networks in turn, with the settings of a cell of config/dynamics.yaml on random pictures: the
engine's own step in float32 and in bfloat16, and beside it a bare loop on one resident batch, as it is, captured as a
CUDA graph and compiled. Replicates: eight LeNet-5 by torch.func.vmap, with and without a CUDA graph, beside one after
another, and how far their weights end from those trained apart. It needs no data and no network. Torch's versions from
2.11 on have all that is used.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import processes
import torch
import yaml
from images_per_second import resident
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from weight_atlas import starts
from weight_atlas.plan import study
from weight_atlas.settings import Settings
from weight_atlas.training import engine
from weight_atlas.training.data import ImageData, Split

ROOT = Path(__file__).resolve().parents[1]
REPLICATES = 8
EPOCH_BATCHES = 16
RATE = 0.01


def cells(networks: list[str]) -> tuple[study.Plan, dict[tuple, str]]:
    """(the plan of `dynamics` with one replicate, a cell for each network and number of channels)."""
    config = yaml.safe_load((ROOT / "config/dynamics.yaml").read_text(encoding="utf-8"))
    plan = study.Plan(config | {"replicates": 1}, Path(tempfile.gettempdir()) / "nowhere")
    found = {}
    for cell_id, cell in plan.cells.items():
        if cell.architecture in networks:
            found.setdefault(kind(cell), cell_id)
    return plan, found


def kind(cell) -> tuple:
    """What the speed of a cell depends on."""
    return (
        cell.architecture,
        cell.settings.json["input"]["channels"],
        cell.settings.json["training"]["optimizer"]["type"],
    )


def run(cell, precision: str, *, device: torch.device, out: Path, batch: int | None) -> engine.Run:
    """A replicate of a cell, on random pictures, ready to step."""
    training = cell.settings.json["training"] | {"precision": precision}
    training |= {"batch_size": batch} if batch else {}
    shape, count = cell.settings.json["input"], EPOCH_BATCHES * training["batch_size"]
    size = (count, shape["channels"], shape["size"], shape["size"])
    split = Split(
        torch.randint(256, size, dtype=torch.uint8, device=device),
        torch.randint(cell.settings.json["classes"], (count,), device=device),
    )
    pictures = ImageData(split, split, split, *(torch.tensor([value], device=device) for value in (0.5, 0.25)))
    made = engine.Run(
        cell.cell_id, Settings.parse(cell.settings.json | {"training": training}), 0, pictures, device, out
    )
    starts.initialise(made.model, made.table, "kaiming_uniform", 0)
    made.model.to(device, memory_format=torch.channels_last).train()
    return made


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def speed(step, pictures: int, seconds: float, device: torch.device) -> float:
    """Images a second of `step`, which trains so many pictures, over about so many seconds after a first call."""
    step()
    wait(device)
    done, began = 0, time.perf_counter()
    while done < 2 or time.perf_counter() - began < seconds:
        step()
        wait(device)
        done += 1
    return done * pictures / (time.perf_counter() - began)


def epoch_of(made: engine.Run):
    """A call that trains an epoch with the engine, and how many pictures it has."""
    optimizer = made.enter_stage(made.training.stages[0])
    return lambda: made.train_epoch(optimizer, 0), len(made.feed)


def bare(made: engine.Run, how: str, optimizer=None):
    """A call that trains one resident batch over and over, as often as an epoch has batches, and how many pictures; by
    the cell's own optimizer where none is given."""
    optimizer = optimizer or made.enter_stage(made.training.stages[0])
    images, labels = resident(made)
    model = torch.compile(made.model) if how == "compiled" else made.model

    def step():
        optimizer.zero_grad(set_to_none=how != "graph")
        with made._precision():
            loss = functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()

    step = captured(step, optimizer) if how == "graph" else step
    return lambda: [step() for _ in range(EPOCH_BATCHES)], EPOCH_BATCHES * len(labels)


def captured(step, optimizer=None):
    """The step as a CUDA graph (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""
    for group in optimizer.param_groups if optimizer else ():
        if "capturable" in group:
            group["capturable"] = True
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def batched(made: list[engine.Run]):
    """(a call that trains the replicates on a batch each, all at once by plain SGD, their stacked parameters)."""
    models = [one.model for one in made]
    parameters, buffers = stack_module_state(models)
    images, labels = (torch.stack(parts) for parts in zip(*map(resident, made), strict=True))

    def loss(parameters, buffers, images, labels):
        with made[0]._precision():
            outputs = functional_call(models[0], (parameters, buffers), (images,))
        return functional.cross_entropy(outputs.float(), labels)

    gradient = vmap(grad(loss), randomness="different")

    @torch.no_grad()
    def step():
        found = gradient(parameters, buffers, images, labels)
        for name, values in parameters.items():
            values.sub_(found[name], alpha=RATE)

    return step, parameters


def together(made: list[engine.Run], graph: bool):
    """A call that trains the replicates at once, as often as an epoch has batches, and how many pictures that is."""
    step, _ = batched(made)
    step = captured(step) if graph else step
    return lambda: [step() for _ in range(EPOCH_BATCHES)], EPOCH_BATCHES * made[0].training.batch_size * len(made)


def deviation(made: list[engine.Run]) -> float:
    """How far weights trained together end from those trained apart, after an epoch's steps from the same start: the
    largest difference in a tensor, in parts of its largest weight."""
    step, stacked = batched(made)
    for _ in range(EPOCH_BATCHES):
        step()
    worst = 0.0
    for number, own in enumerate(made):
        train, _ = bare(own, "plain", torch.optim.SGD(own.model.parameters(), lr=RATE))
        train()
        for name, values in own.model.named_parameters():
            far = (stacked[name][number] - values).abs().max() / values.abs().max()
            worst = max(worst, far.item())
    return worst


def medians(sides: dict, repeats: int, seconds: float, device: torch.device) -> dict:
    """{name: median images/s}: the sides take turns. One that cannot run says why, and has no figure."""
    ready, found = {}, {}
    for name, make in sides.items():
        try:
            ready[name] = make()
            ready[name][0]()
        except Exception as error:  # what torch cannot capture or compile here is a finding, not the end
            ready.pop(name, None)
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
    for _ in range(repeats):
        for name, side in ready.items():
            found.setdefault(name, []).append(speed(*side, seconds, device))
    return {name: statistics.median(own) for name, own in found.items()}


def start_seconds(device: torch.device, repeats: int) -> float:
    """Wall seconds of a training of one step, from its launcher on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cell_id, settings = processes.prepared(folder)["few"]
        stage = settings["training"]["stages"][0] | {"epochs": 1}
        settings = settings | {"training": settings["training"] | {"epochs": 1, "stages": [stage]}}
        spent = []
        for _ in range(repeats):
            command = processes.training(folder, cell_id, settings, 0, 0, device.type)
            began = time.perf_counter()
            processes.core_seconds(command)
            spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def study_seconds(plan: study.Plan, speeds: dict, start: float) -> tuple[int, float]:
    """(trainings, seconds) of the study at these speeds: all of its cells, one after another, evaluation as a third."""
    seconds, count = 0.0, 0
    for cell in plan.cells.values():
        if kind(cell) in speeds:
            counts, epochs = cell.data.facts["counts"], cell.settings.json["training"]["epochs"]
            pictures = counts["train"] + (counts["valid"] + counts["test"]) / 3
            seconds, count = seconds + start + epochs * pictures / speeds[kind(cell)], count + 1
    return count, seconds


def table(plan: study.Plan, chosen: dict, fresh, args) -> dict[str, dict]:
    """Print a row a network and precision; {precision: {kind: the engine's images/s}}."""
    ways = ["plain", *(["graph", "compiled"] if args.device == "cuda" else [])]
    print("| network, channels, optimizer | precision | engine |", *(f"bare, {way} |" for way in ways))
    print("| --- | --- | ---: |", *("---: |" for _ in ways))
    best: dict[str, dict] = {"float32": {}, "bfloat16": {}}
    for of, cell_id in chosen.items():
        for precision, speeds in best.items():
            one = partial(fresh, plan.cells[cell_id], precision)
            sides = {"engine": lambda one=one: epoch_of(one())}
            sides |= {way: lambda way=way, one=one: bare(one(), way) for way in ways}
            found = medians(sides, args.repeats, args.seconds, torch.device(args.device))
            speeds[of] = found["engine"]
            row = [", ".join(map(str, of)), precision, *(f"{found.get(key, math.nan):,.0f}" for key in sides)]
            print(f"| {' | '.join(row)} |", flush=True)
    return best


def replicates(one, args) -> None:
    """Print the images/s of so many replicates, one after another and together."""

    def eight(graph: bool):
        return together([one() for _ in range(REPLICATES)], graph)

    sides = {"one after another": lambda: epoch_of(one()), "vmap": lambda: eight(False)}
    sides |= {"vmap, graph": lambda: eight(True)} if args.device == "cuda" else {}
    for side, found in medians(sides, args.repeats, args.seconds, torch.device(args.device)).items():
        print(f"{REPLICATES} replicates of LeNet-5, {side}: {found:,.0f} images/s of all together")
    far = deviation([one() for _ in range(REPLICATES)])
    print(f"their weights after {EPOCH_BATCHES} steps, together and apart: up to {far:.1e} of a tensor's largest away")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--networks", default="lenet5,resnet18,vgg19")
    parser.add_argument("--batch", type=int, help="pictures a batch, instead of the study's")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU here; give --device cpu to try the command")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    plan, chosen = cells(args.networks.split(","))
    start = start_seconds(device, args.repeats)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, 1 thread"
    print(f"{name}, torch {torch.__version__}, images/s, medians of {args.repeats}")
    print(f"a training of one step, from its launcher on: {start:.1f} s\n")
    with tempfile.TemporaryDirectory() as folder:
        fresh = partial(run, device=device, out=Path(folder), batch=args.batch)
        best = table(plan, chosen, fresh, args)
        small = [cell_id for of, cell_id in chosen.items() if of[0] == "lenet5" and of[2] == "sgd"]
        if small:
            replicates(partial(fresh, plan.cells[small[0]], "float32"), args)
    for precision, speeds in best.items():
        count, seconds = study_seconds(plan, speeds, start)
        print(
            f"dynamics in {precision}: {count} trainings of these networks, {seconds / 60:,.0f} minutes on one device"
        )


if __name__ == "__main__":
    main()
