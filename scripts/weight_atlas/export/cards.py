"""The card of a trained network, as Hugging Face's model cards are: a YAML header, then Markdown. All of it is read
from the records, the settings and the tables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from markupsafe import Markup

from weight_atlas import networks, records, store
from weight_atlas.export.networks import Snapshot, in_words
from weight_atlas.export.result import Result
from weight_atlas.reporting.pages import markdown
from weight_atlas.settings import Settings, Start
from weight_atlas.vocabulary import SPLITS

# The licences of data sets that every version of them has, by the card's `source`.
LICENCES = {"digits": "CC BY 4.0 (Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI)"}
UNKNOWN = "not recorded; ask those who published the data"


def card(result: Result, cell_id: str, own: Sequence[Snapshot], accuracy: Mapping[str, str] | None, bundle: str) -> str:
    """The card of a cell as Markdown.

    own: its snapshots; accuracy: the row of summary.csv on its accuracy at the last epoch; bundle: the name of the
    archive.
    """
    cell = result.cells[cell_id]
    settings = cell["cell"]
    data = result.card(cell["card"]) if cell["card"] else None
    runs = _runs(result, cell_id)
    parts = {
        "Data": _data(data),
        "Network": _network(settings),
        "Start": _start(settings.start),
        "Training": _training(settings),
        "Replicates": _replicates(runs, own),
        "Made by": _made_by(runs),
        "Load it": _load(cell_id, cell["named"][0]["labels"], own, bundle),
    }
    named = {study["study"]: study["labels"] for study in cell["named"]}
    lines = [f"{markdown.escape(study)}: {_labels(labels)}." for study, labels in named.items()]
    said = f"Test accuracy at the last epoch: {in_words(dict(accuracy))}." if accuracy else "No test accuracy is known."
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    head = yaml.safe_dump(_header(cell_id, settings, data, accuracy), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n# {cell_id}\n\n{' '.join(lines)} {said}\n\n{body}\n"


def _runs(result: Result, cell_id: str) -> list[dict[str, Any]]:
    """The records of those replicates that have some."""
    cell = result.cells[cell_id]
    blocks = [block for block in map(result.path, cell["blocks"]) if (block / "run.json").exists()]
    seeds = [seed for seed in cell["seeds"] if any(seed in store.block_seeds(block) for block in blocks)]
    return [one.record for one in records.replicates(blocks, seeds, check=False)]


def _header(
    cell_id: str, settings: Settings, data: Mapping[str, Any] | None, accuracy: Mapping[str, str] | None
) -> dict[str, Any]:
    """What https://huggingface.co/docs/hub/model-cards says of a card's header."""
    head: dict[str, Any] = {"library_name": "pytorch", "pipeline_tag": "image-classification"}
    head["tags"] = ["weight-atlas", cell_id.split("-")[0]]
    if data:
        head["datasets"] = [data["dataset_id"]]
    if settings.start.cell or settings.start.weights_id:
        head["base_model"] = settings.start.cell or settings.start.weights_id
    if data and accuracy and accuracy["mean"]:
        metric = {"type": "accuracy", "value": float(accuracy["mean"]), "name": f"mean of n = {accuracy['n']}"}
        made = {
            "task": {"type": "image-classification"},
            "dataset": {"type": data["dataset_id"], "name": data["dataset_id"], "split": "test"},
            "metrics": [metric],
        }
        head["model-index"] = [{"name": cell_id, "results": [made]}]
    return head


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{markdown.escape(axis)} {markdown.escape(label)}" for axis, label in labels.items() if label)


def _data(data: Mapping[str, Any] | None) -> str:
    if data is None:
        return "No data set is named."
    counts = data.get("counts", {})
    split = ", ".join(f"{sum(counts[part])} {part}" for part in SPLITS if part in counts)
    return _list(
        [
            ("data set", data["title"]),
            ("id", markdown.code(data["dataset_id"])),
            ("images", split),
            ("SHA-256 of the tensors", markdown.code(data["sha256"])),
            ("fingerprint of the source", markdown.code(data["fingerprint"])),
            ("licence of the data", LICENCES.get(data["source"], UNKNOWN)),
        ]
    )


def _network(settings: Settings) -> str:
    table = networks.layer_table(*settings.network_arguments)
    rows, weights, size = len(table.layers), len(table.weight_layers), table.parameter_count
    taken = f"{settings.input.channels} x {settings.input.size} x {settings.input.size}"
    facts: list[tuple[str, object]] = [
        ("layer table", f"{rows} rows, {weights} of them convolutions or linear; {size:,} parameters"),
        ("takes images of", taken),
    ]
    if settings.network.tensors:
        return _list([("architecture", "not known: its tensors alone are"), facts[0]])
    options = {"architecture": settings.network.architecture, "width": settings.network.width}
    return f"{_list(facts)}\n\n{_yaml(options | {'options': settings.network.options})}"


def _start(start: Start) -> str:
    given = {key: value for key, value in vars(start).items() if value not in (None, {})}
    parent = start.cell or start.weights_id
    said = f"Trained from `{parent}`.\n\n" if parent else ""
    return f"{said}{_yaml(given)}"


def _training(settings: Settings) -> str:
    if settings.is_given:
        return "Its checkpoints were given: the training is not recorded."
    return _yaml(settings.json["training"])


def _replicates(runs: Sequence[Mapping[str, Any]], own: Sequence[Snapshot]) -> str:
    """A table of the replicates, then the digests of the snapshots that the index lists."""
    rows = [
        [run["seed"], run["status"], run["epochs"], run.get("best_epoch") or "", run.get("started") or ""]
        for run in runs
    ]
    told = markdown.table(["Seed", "Status", "Epochs", "Best epoch", "Started"], rows)
    sums = "".join(f"{one.digests[name]}  {name}\n" for one in own for name in one.files)
    return f"{told}\n\n```text\n{sums}```" if sums else str(told)


def _made_by(runs: Sequence[Mapping[str, Any]]) -> str:
    machines = [run["machine"] for run in runs]
    devices = sorted({f"{one['device']}: {one['device_name']}" for one in machines if one["device"]})
    versions = sorted({f"{kind} {version}" for one in machines for kind, version in one["versions"].items()})
    names = {"code": "training code", "own_code": "network's own code", "settings": "settings", "start": "start"}
    digests = {said: sorted({run["recipe"].get(part) or "" for run in runs} - {""}) for part, said in names.items()}
    facts: list[tuple[str, object]] = [("machine", "; ".join(devices)), ("versions", ", ".join(versions))]
    facts += [(f"digest of the {said}", _codes(found)) for said, found in digests.items() if found]
    return _list([fact for fact in facts if fact[1]])


def _codes(digests: Sequence[str]) -> Markup:
    """Digests as code, of which few are shown."""
    shown = [str(markdown.code(digest)) for digest in digests[:3]]
    return Markup(", ".join(shown) + (" .." if len(digests) > 3 else ""))


def _load(cell_id: str, labels: Mapping[str, str], own: Sequence[Snapshot], bundle: str) -> str:
    chosen = {axis: label for axis, label in labels.items() if label}
    code = ["import weight_atlas as wa", ""]
    code += [f"model = wa.load({key!r}, seed={own[0].seed}, root={bundle!r})" for key in (cell_id, chosen)]
    return _fenced("python", "\n".join(code) + "\n")


def _list(facts: Sequence[tuple[str, object]]) -> str:
    return "\n".join(f"- {name}: {markdown.escape(value)}" for name, value in facts)


def _yaml(value: object) -> str:
    return _fenced("yaml", yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _fenced(kind: str, text: str) -> str:
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{ticks}{kind}\n{text}{ticks}"
