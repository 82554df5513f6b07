"""What the first and the last convolution of a network have learnt to see: their filters and their activations for one
picture, and how many of the first layer's filters differ from one another."""

import torch

from weight_atlas import starts, store
from weight_atlas.analysis import evaluation

# Experiments of a study's grid, by name, whose cells are asked for their filters: `filters` itself, and new last layers
# on features of another network.
EXPERIMENT = "filters"
PICTURED = (EXPERIMENT, "last-layer")


def experiments(entry):
    """The names of the experiments in whose grids a cell, as `weight_atlas.cell_table.grouped` gives it, stands."""
    return {one["labels"].get("experiment", "") for one in entry["named"] if one["role"] == "grid"}


def rows(layers, files):
    """Rows of identical.csv without cell and seed: (epoch, layer, filters, distinct, spread); [] where the network has
    no convolution. The table has those of the cells that stand in an experiment `filters`.

    layers: the layer table; files: {epoch: snapshot}. distinct: how many of the first convolution's filters (without
    their biases) differ from all before them in at least one bit of value; spread: the largest distance between two of
    them over their mean norm, in float64. A snapshot with a value that is not finite has no row.
    """
    if not convolutions(layers):
        return []
    layer, found = convolutions(layers)[0], []
    for epoch, path in files.items():
        weight = starts.load(path)[f"{layer}.weight"].flatten(1).double()
        if weight.isfinite().all():
            apart = torch.cdist(weight, weight, compute_mode="donot_use_mm_for_euclid_dist").max()
            spread = float(apart / weight.norm(dim=1).mean())
            found.append((epoch, layer, len(weight), len(weight.unique(dim=0)), spread))
    return found


def keep(kept, entry, seed, layers, path, pictures):
    """Add what `pictures` shows to `kept`, {key of filters.safetensors: tensor}, for the first replicate of a cell that
    stands in one of PICTURED.

    <cell>/seed<k>/weights: those of the first convolution, float32 [out, in, h, w]; <cell>/seed<k>/first and /last: the
    outputs of the first and the last convolution, before BatchNorm and ReLU, for the first test picture, float16
    [channels, h, w]; <cell>/picture: that picture as the network takes it, uint8 [channels, h, w].
    """
    name = entry["cell_id"]
    if f"{name}/picture" in kept or not experiments(entry) & {*PICTURED} or not convolutions(layers):
        return
    tensors = store.load_tensors(path)
    ends = dict(zip(("first", "last"), (convolutions(layers)[0], convolutions(layers)[-1]), strict=True))
    caught = activations(evaluation.module(entry["cell"], tensors), ends.values(), pictures)
    kept[f"{name}/seed{seed}/weights"] = tensors[f"{ends['first']}.weight"].float().clone()
    for end, layer in ends.items():
        kept[f"{name}/seed{seed}/{end}"] = caught[layer].half()
    kept[f"{name}/picture"] = pictures.test[0].contiguous()


def activations(module, layers, pictures):
    """{layer: its output for the first test picture, float32 [channels, h, w]} of a module, in eval mode."""
    caught, hooks = {}, []
    for layer in set(layers):

        def hook(_, __, output, layer=layer):
            caught[layer] = output[0].clone()  # what follows may change it in place

        hooks.append(module.get_submodule(layer).register_forward_hook(hook))
    try:
        with torch.inference_mode():
            module(pictures.normalised(pictures.test[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    return caught


def convolutions(layers):
    """The names of a layer table's convolutions, from the input."""
    return [layer.name for layer in layers.weight_layers if layer.kind == "Conv2d"]
