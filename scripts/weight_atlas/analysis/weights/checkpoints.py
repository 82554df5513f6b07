"""Checkpoints, the named epochs of a cell: which they are, and what is measured between the models at them."""

from itertools import combinations, pairwise

from weight_atlas import cell_table, records, schema, starts, store
from weight_atlas.analysis.weights import correlation, spectra


def rows(table, group, models):
    """{"checkpoints", "correlations", "spectra": rows} of the models whose cells have checkpoints.

    table: the layer table that they share; group: {cell: as `weight_atlas.cell_table.grouped` gives it}; models:
    the finished (cell, seed), in order. Correlated are
    - models: two cells of a study that differ in one label, each replicate with the next one of the other cell (the
      last with the first), at the checkpoints that both have. Two of one seed begin with the same draws, so that they
      are alike whatever they learn;
    - twins: those of one seed nevertheless;
    - checkpoints: each replicate with itself, from one checkpoint to the next and from the first to the last;
    - independent: two replicates of one cell at one checkpoint, which is what chance and the data make alike.
    Models and independent ones are also correlated after matching (`correlation.matched`).
    """
    points = {model: taken(group, *model) for model in models if group[model[0]].get("checkpoints")}
    found = {"checkpoints": [], "correlations": [], "spectra": []}
    for model, own in points.items():
        for name, (epoch, path) in own.items():
            found["checkpoints"].append((*model, name, epoch))
            found["spectra"] += [(*model, name, epoch, *row) for row in spectra.rows(table, starts.load(path))]
    for (one, first), (other, second), comparison in compared(group, points):
        matchings = correlation.MATCHINGS if comparison in ("models", "independent") else ("raw",)
        ends = (points[one][first], points[other][second])
        front = (*one, *other, comparison, first, second, *(epoch for epoch, _ in ends))
        tensors = (starts.load(path) for _, path in ends)
        found["correlations"] += [(*front, *row) for row in correlation.rows(table, *tensors, matchings)]
    return found


def taken(group, cell_id, seed):
    """{checkpoint: (epoch, snapshot's path)} of a finished replicate; those without a snapshot are left out."""
    named = group[cell_id]["checkpoints"]
    [(_, block, _, replicate)] = records.replicates(group[cell_id]["blocks"], [seed])
    paths = {epoch: store.snapshot_path(block, seed, epoch) for epoch in range(replicate["epochs"] + 1)}
    paths = {epoch: path for epoch, path in paths.items() if store.is_kept(path)}
    if "match" in named:
        named = matched(group, named, block, seed, list(paths))
    return {name: (epoch, paths[epoch]) for name, epoch in named.items() if epoch in paths}


def matched(group, rule, block, seed, kept):
    """{checkpoint: epoch} where a replicate's metric is nearest to that of the other cell's replicate of the same seed.

    rule: {"match": cell, "by": metric, "epochs": its checkpoints}; kept: the epochs to choose from, of which the first
    of equals is taken. Before training is before training: where the other's epoch is 0, so is this one. Without the
    other replicate there is no checkpoint but that.
    """
    ours, theirs = metric(block, seed, rule["by"]), {}
    if rule["match"] in group:
        [(_, other, _, _)] = records.replicates(group[rule["match"]]["blocks"], [seed])
        theirs = metric(other, seed, rule["by"])
    found = {}
    for name, epoch in rule["epochs"].items():
        choice = [at for at in kept if at and at in ours]
        if epoch == 0:
            found[name] = 0
        elif epoch in theirs and choice:
            found[name] = min(choice, key=lambda at: abs(ours[at] - theirs[epoch]))
    return found


def metric(block, seed, name):
    """{epoch: value} of one column of a replicate's metrics, where it has a value; {} of one that left none."""
    path = store.metrics_path(block, seed)
    columns, held = schema.names("metrics"), schema.rows(path, "metrics") if path.exists() else []
    epoch, value = columns.index("epoch"), columns.index(name)
    found = {int(row[epoch]): float(row[value] or "nan") for row in held}
    return {epoch: value for epoch, value in found.items() if value == value}


def compared(group, points):
    """((model, checkpoint), (model, checkpoint), comparison) of each comparison that `rows` makes, in its order."""
    for contrast in cell_table.contrasts(group):
        seeds = {cell: [seed for own, seed in points if own == cell] for cell in (contrast.cell_a, contrast.cell_b)}
        both = [seed for seed in seeds[contrast.cell_a] if seed in seeds[contrast.cell_b]]
        shifted = zip(both, both[1:] + both[:1], strict=True) if len(both) > 1 else ()
        for kind, pairs in (("models", shifted), ("twins", zip(both, both, strict=True))):
            for first, second in pairs:
                yield from _common(points, (contrast.cell_a, first), (contrast.cell_b, second), kind)
    for model, own in points.items():
        steps = [*pairwise(own), *([(next(iter(own)), list(own)[-1])] if len(own) > 2 else [])]
        yield from (((model, first), (model, second), "checkpoints") for first, second in steps)
    for one, other in combinations(points, 2):
        if one[0] == other[0]:
            yield from _common(points, one, other, "independent")


def _common(points, one, other, comparison):
    """What `compared` gives for two models, at each checkpoint that both have."""
    return [((one, name), (other, name), comparison) for name in points[one] if name in points[other]]
