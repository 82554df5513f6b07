"""What a network knows right after it was perturbed, before it is trained again: accuracy and loss on test pictures."""

from weight_atlas.analysis import evaluation


def rows(cell, tensors, pictures):
    """(mode, pictures, accuracy, loss) of a network over all test pictures.

    cell: resolved; tensors: the snapshot, {torch name: tensor}; pictures: `weight_atlas.analysis.evaluation.Pictures`.
    Modes:
    - eval: as it is judged everywhere else, by running statistics and without dropout;
    - batch: BatchNorm takes the statistics of the batch that it sees, all else as in eval;
    - flipped_means: eval, with every running mean negated.
    The last two are those of networks with BatchNorm only.
    """
    found = [_row("eval", evaluation.module(cell, tensors), pictures)]
    batch = evaluation.module(cell, tensors)
    norms = evaluation.norms(batch)
    if norms:
        for norm in norms:  # torch: without running statistics BatchNorm takes the batch's, in eval mode too
            norm.running_mean = norm.running_var = None
        flipped = {name: -tensor for name, tensor in tensors.items() if name.endswith(".running_mean")}
        flipped = evaluation.module(cell, tensors | flipped)
        found += [_row("batch", batch, pictures), _row("flipped_means", flipped, pictures)]
    return found


def _row(mode, module, pictures):
    loss, accuracy = evaluation.evaluate(module, pictures, pictures.test, pictures.labels)
    return mode, len(pictures.test), accuracy, loss
