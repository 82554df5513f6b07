"""A small folder of results as a run leaves it, written by hand: two cells of two replicates, one of them diverged."""

import csv
import json

import numpy as np
from PIL import Image

from tests.unit import blocks, cells
from weight_atlas import store
from weight_atlas.plan.pages import pages

LETTERS = "α < β & 100 % $x$ \\input{y} a_b #1 ~ ^ {z}"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36"><path d="M0 0"/></svg>\n'
CELLS = {"base-toy-one-sgd-0123456789": 0.1, "base-toy-one-adam-9876543210": 0.01}
LAST = 2


def settings(rate):
    """The settings of a cell, as JSON."""
    return cells.record(dataset_id="toy-1", training={"optimizer": {"type": "sgd", "lr": rate}, "epochs": LAST})


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make(root, name="small", cells=CELLS, noise=0.0, text=LETTERS):
    """Write results/<name>, results/cells and data/ below `root`; returns results/<name>.

    cells: {cell id: learning rate}; noise: what is added to the weights of the last epoch; text: a title.
    """
    folder = root / "results" / name
    listed, runs, accuracy, movement, metrics, summary = [], [], [], [], [], []
    for number, (cell_id, rate) in enumerate(cells.items()):
        block = f"results/cells/{cell_id}/seeds_0-1"
        labels = {"dataset": "toy", "network": "one", "init": "default", "optimizer": f"level-{number}"}
        card = {"card": "data/toy-1.json", "data": "data/toy-1.safetensors", "dataset_id": "toy-1"}
        own = {"cell_id": cell_id, "study": "first", "kind": "base", "role": "grid", **labels, "replicates": 2}
        own |= {"blocks": block, "parent": "", "checkpoints": "", "against": "", "measure": "", "group": "g"}
        own |= {**card, "parameters": 5}
        listed.append(own | {"cell": json.dumps(settings(rate))})
        for seed in (0, 1):
            status = "diverged" if number and seed else "done"
            weights = train(root / block, cell_id, seed, number, noise)
            size = float(np.sqrt((weights**2).sum()))
            same = {"cell_id": cell_id, "seed": seed}
            machine = {"device": "cpu", "device_name": "a CPU", "threads": 1, "torch": "2.0"}
            runs.append(same | {"status": status, "cause": f"in {root}/x.py" if seed else "", "epochs": LAST} | machine)
            for protocol, value in (("last", 0.5), ("best_valid", 0.9 + 0.01 * seed - noise)):
                accuracy.append(same | {"status": status, "protocol": protocol, "epoch": LAST, "accuracy": value})
            for epoch in range(LAST + 1):
                metrics.append(same | {"epoch": epoch, "test_accuracy": 0.25 * epoch + 0.01 * seed})
            for epoch, norm in ((LAST, size), (1, 1.0)):
                steps = {"layer": "total", "from_epoch": 0, "to_epoch": epoch, "interval": "start"}
                movement.append(same | steps | {"norm_from": 1.0, "norm_to": norm, "distance": norm / 2})
        mean = {"mean": 0.505, "low": 0.4, "high": 0.61, "std": 0.01}
        summary.append({"measure": "accuracy", "cell_id": cell_id, "key": "last", "n": 2, "of": 2, **mean})
        ended = {"cause": None, "epochs": LAST, "best_epoch": 1}
        ended |= {"started": "2026-01-02T03:04:05Z", "wall_seconds": 90.2}
        replicates = [{"seed": run["seed"], "status": run["status"], **ended} for run in runs[-2:]]
        blocks.write(root / block, cell_id, settings(rate), replicates)
    write(folder / "cells.csv", listed)
    tables = {"runs": runs, "accuracy": accuracy, "movement": movement, "metrics": metrics, "summary": summary}
    for table, found in tables.items():
        write(folder / f"tables/{table}.csv", found)
    describe(root, folder, text)
    return folder


def train(block, cell_id, seed, number, noise):
    """Write a replicate's snapshots: the start, the best epoch and the last one; returns the weights at the end."""
    start = np.random.default_rng(10 * number + seed).normal(size=4).astype(np.float32)
    end = start + np.float32(1 + noise)
    for epoch, weights in ((0, start), ("best", start + np.float32(1)), (LAST, end)):
        statistics = np.full(2, 100 * noise if epoch == LAST else 0, np.float32)
        tensors = {"fc.weight": weights, "norm.running_mean": statistics}
        metadata = {"cell_id": cell_id, "seed": seed, "epoch": epoch}
        store.save_tensors(store.snapshot_path(block, seed, epoch), tensors, metadata)
    return end


def describe(root, folder, text):
    """The config, the data set, the report, and a figure of each kind and a table."""
    config = {"name": folder.name, "title": text, "text": None, "page": "several"}
    config |= {"data_root": str(root.parent / "pictures")}
    asked = {"asked": ["first"], "titles": {}, "command": f"snakemake --config data_root={root.parent}/pictures"}
    store.write_json(folder / "config.json", config | asked)
    store.save_tensors(root / "data/toy-1.safetensors", {"images": np.zeros((2, 1, 1, 1), np.uint8)})
    card = {"dataset_id": "toy-1", "title": text, "source": "digits", "fingerprint": "f", "sha256": "0" * 64}
    store.write_json(root / "data/toy-1.json", card)
    page = '<!DOCTYPE html><meta name="generator" content="Pandoc 3.9">'
    page += f'<p>{root}/logs<a href="#x">x</a><a href="data:,y">y</a><a href="https://a.org">z</a>'
    (folder / "report").mkdir(exist_ok=True)
    for name in pages(asked["asked"], config["page"]):
        (folder / f"report/{name}.html").write_text(page, encoding="utf-8")
        head = '---\ntitle: "x"\ndate: "2026-01-02"\n---\n'
        (folder / f"report/{name}.qmd").write_text(head, encoding="utf-8")
    exhibits = [
        {"name": "lines", "kind": "figure", "file": "lines.svg"},
        {"name": "map", "kind": "figure", "file": "map.png"},
        {"name": "numbers", "kind": "table", "file": None, "columns": ["the_cell", "p"]},
    ]
    for chapter, own in {"first": exhibits, "data": []}.items():
        for exhibit in own:
            exhibit |= {"title": text, "caption": text, "alt": text, "csv": f"{exhibit['name']}.csv"}
            exhibit["source"] = {"functions": ["weight_atlas.one.two"], "files": ["cells.csv", "runs.csv"]}
            write(folder / f"figures/{chapter}/{exhibit['csv']}", [{"the_cell": text, "p": 0.25, "more": 1}])
        store.write_json(folder / f"figures/{chapter}/exhibits.json", {"chapter": chapter, "exhibits": own})
    store.write_json(folder / "figures/first/claims.json", [])
    (folder / "figures/first/lines.svg").write_text(SVG, encoding="utf-8")
    (folder / "pictures/first").mkdir(parents=True, exist_ok=True)
    for path, colour in {"figures/first/map.png": "red", "pictures/first/lines.png": "blue"}.items():
        Image.new("RGB", (40, 20), colour).save(folder / path)
