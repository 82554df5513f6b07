"""A share of the weights set to zero, where they stay while the network is trained again; and what the others are.

One-shot pruning. With the remaining weights rewound it makes the tickets of Frankle and Carbin 2019, "The lottery
ticket hypothesis: finding sparse, trainable neural networks"; rerandomised ones are their control, and trained ones
what is called fine-tuning (Han et al. 2015, "Learning both weights and connections for efficient neural networks").
"""

from typing import TYPE_CHECKING, Literal

from weight_atlas.perturbations import Weights

if TYPE_CHECKING:
    import torch

KINDS = ("Conv2d", "Linear", "MultiheadAttention")  # the layers whose weights are pruned


def check(*, sparsity: float, **options: object) -> None:
    """Refuse a share that is none (ValueError)."""
    if not 0 < sparsity < 1:
        raise ValueError(f"type 'prune': option 'sparsity' is {sparsity:g}; allowed: between 0 and 1")


def perturb(
    weights: Weights,
    names: list[str],
    *,
    sparsity: float = 0.8,
    by: Literal["magnitude", "random"] = "magnitude",
    scope: Literal["layer", "global"] = "layer",
    remaining: Literal["trained", "rewound", "rerandomised"] = "trained",
) -> None:
    """Prune the share `sparsity` of the weights in `names`; biases and normalisations are never pruned.

    by: those of the smallest magnitude, as they are now, or any; scope: of each tensor, or of all together.
    remaining: what the whole network is besides: as it is, as the parent began, or drawn anew as that was. Random masks
    of one seed are nested: what is pruned at 0.5 is pruned at 0.8 too.
    """
    import torch

    chosen = [name for name in names if _is_weight(weights, name)]
    if by == "magnitude":
        scores = {name: weights.tensors[name].abs() for name in chosen}
    else:  # the largest draws are pruned, as in torch.nn.utils.prune
        scores = {name: -torch.rand(weights.tensors[name].shape, generator=weights.generator(name)) for name in chosen}
    groups = [chosen] if scope == "global" else [[name] for name in chosen]
    for group in filter(None, groups):
        kept = _highest(torch.cat([scores[name].reshape(-1) for name in group]), sparsity)
        for name, own in zip(group, kept.split([scores[name].numel() for name in group]), strict=True):
            mask = own.reshape(scores[name].shape)
            weights.masks[name] = mask & weights.masks.get(name, mask)
    if remaining != "trained":
        others = weights.initial() if remaining == "rewound" else weights.redrawn()
        for name, tensor in weights.tensors.items():
            tensor.copy_(others[name])


def _is_weight(weights: Weights, name: str) -> bool:
    return weights.tensors[name].dim() > 1 and weights.table[weights.table.layer_of[name]].kind in KINDS


def _highest(scores: "torch.Tensor", sparsity: float) -> "torch.Tensor":
    """Which values remain, bool [n], when round(sparsity n) of them are pruned: the lowest, the first of equals."""
    import torch

    kept = torch.ones_like(scores, dtype=torch.bool)
    kept[scores.argsort(stable=True)[: round(sparsity * scores.numel())]] = False
    return kept
