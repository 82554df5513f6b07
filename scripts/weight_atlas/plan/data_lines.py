"""What the console says of the data sets: the classes and images that were found, and what a user should look at."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from weight_atlas import store
from weight_atlas.plan import lagging
from weight_atlas.plan.cell import Data
from weight_atlas.plan.outdated import CHANGED, data_path, weights_path
from weight_atlas.plan.study import Plan
from weight_atlas.vocabulary import SPLITS

MANY = 20  # classes that have a line each


def found(plan: Plan) -> list[str]:
    """The lines on each data set: its classes, and images per class and split."""
    return [line for data in plan.datasets.values() for line in _found(data)]


def warnings(plan: Plan, again: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """A line per warning: sources that have changed or are gone, those of the card where a data set is prepared, else
    what is known without reading images, and BatchNorms that lag behind.

    again: what is prepared (again), as `outdated` gives it.
    """
    lines = _changed(plan, again)
    for data in plan.datasets.values():
        card = plan.path(f"{data_path(data.dataset_id)}.json")
        prepared = card.exists() and data_path(data.dataset_id) not in again
        told = store.read_json(card).get("warnings", []) if prepared else data.facts["warnings"]
        lines += [f"warning: {data.label}: {warning}" for warning in told]
    return lines + lagging.lines(plan)


def _changed(plan: Plan, again: Mapping[str, str]) -> list[str]:
    """The lines on data sets and weights that are not what they were made from any more."""
    lines = []
    for data in plan.datasets.values():
        if again.get(data_path(data.dataset_id)) == CHANGED:
            lines.append(
                f"warning: {data.label}: its images have changed; it is prepared again, and what was trained on other "
                "images is trained again"
            )
        if data.absent and data.known:
            lines.append(f"warning: {data.label}: its published numbers are shown, but: {data.absent}")
        if data.gone:
            lines.append(f"warning: {data.label}: what was prepared from it is used, but: {data.gone}")
    for weights_id, spec in plan.weights.items():
        if again.get(weights_path(weights_id)) == CHANGED:
            lines.append(
                f"warning: {spec['file']}: has changed; it is read again, and what started from it is trained again"
            )
        if "file" in spec and not (Path(plan.config.data_root) / spec["file"]).exists():
            lines.append(f"warning: {spec['file']}: is not below data_root any more; what was read of it is used")
    return lines


def _found(data: Data) -> list[str]:
    """The lines on one data set."""
    if not data.known:
        return [
            f"data set {data.label}: is not at hand, so that its classes and images, and the parameters, time, memory "
            f"and disk of its cells, are not known; {data.absent}"
        ]
    facts = data.facts
    rows = [
        (name, [facts["per_class"][split][label] for split in SPLITS]) for label, name in enumerate(facts["classes"])
    ]
    used = [(name, counts) for name, counts in rows if any(counts)]
    unused = f" (of {len(rows)})" if len(used) < len(rows) else ""
    totals = ", ".join(f"{facts['counts'][split]:,} {split}" for split in SPLITS)
    height, width = facts["size"]
    kind = "grey" if facts["channels"] == 1 else "colour"
    lines = [f"data set {data.label}: {len(used)} classes{unused}; {totals} images, {height} x {width} pixels, {kind}"]
    if len(used) > MANY:
        spans = ", ".join(
            f"{min(counts):,} to {max(counts):,} {split}"
            for split, counts in zip(SPLITS, zip(*(counts for _, counts in used), strict=True), strict=True)
        )
        return [*lines, f"  each class: {spans}; from {used[0][0]} to {used[-1][0]}"]
    width = max(len("class"), *(len(name) for name, _ in used))
    lines.append(f"  {'class':{width}}" + "".join(f"  {split:>7}" for split in SPLITS))
    return lines + [f"  {name:{width}}" + "".join(f"  {count:>7,}" for count in counts) for name, counts in used]
