"""Symmetries of a network applied to its weights, and the one that brings a network closest to another.

Weight matching by coordinate descent over the groups of channels (Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin:
merging models modulo permutation symmetries", algorithm 1), with the signs and positive factors that the layer table
allows (`weight_atlas.networks.symmetry`). Distances are those of all learnable parameters; running statistics follow.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from weight_atlas.analysis.kernels.torch_kernels import CHUNK
from weight_atlas.networks import symmetry
from weight_atlas.networks.build import TableModule
from weight_atlas.networks.table import Table

KINDS = ("permutation", "sign", "scale")
PIECE = 1 << 23  # values of one float64 factor of a matrix product: 64 MB
SWEEPS = 100
GAIN = 1e-6  # what a step must gain, as a share of its tensors' inner product with the reference or squared length
LARGEST = 2.0**20  # factors of a channel stay between 1 / LARGEST and LARGEST


@dataclass
class Transform:
    """A symmetry of a network. Channels are first multiplied by their factors, then renamed.

    permutations: {group: int64 [channels]}, new channel i is the old channel order[i]; factors: {wire: float64
    [channels]}, in the old order. What is left out stays as it is.
    """

    permutations: dict[str, np.ndarray] = field(default_factory=dict)
    factors: dict[str, np.ndarray] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many channels it moves, flips, and multiplies by something else than 1 and -1 (on every wire, each)."""
        factors = list(self.factors.values())
        return {
            "permuted": sum(int((order != np.arange(len(order))).sum()) for order in self.permutations.values()),
            "signs": sum(int((factor < 0).sum()) for factor in factors),
            "scaled": sum(int((abs(factor) != 1).sum()) for factor in factors),
        }


def apply(table, tensors, transform) -> dict:
    """The tensors after a symmetry: a new dict, of the same dtypes; tensors that it does not touch are shared.

    table: the network's layer table; tensors: {torch name: float tensor}, parameters and buffers. Signs and factors
    that are powers of two are exact. Raises ValueError where a tensor is missing or has another shape.
    """
    _check(table, tensors)
    changed = dict(tensors)
    for group in symmetry.groups(table):
        changed |= _act(group, changed, transform)
    return changed


def random(table, seed, kinds=KINDS) -> Transform:
    """A random symmetry of the network, of the kinds it allows; factors are powers of two from 1/4 to 4."""
    if not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds are {', '.join(kinds)}; allowed: {', '.join(KINDS)}")
    generator, transform = np.random.default_rng(seed), Transform()
    for group in symmetry.groups(table):
        if "permutation" in kinds and group.permutation:
            transform.permutations[group.name] = generator.permutation(group.channels)
        for wire in group.wires:
            factors = np.ones(group.channels)
            if "sign" in kinds and wire.sign != "no":
                factors *= generator.choice([-1.0, 1.0], group.channels)
            if "scale" in kinds and wire.scale:
                factors *= 2.0 ** generator.integers(-2, 3, group.channels)
            if (factors != 1).any():
                transform.factors[wire.name] = factors
    return transform


def align(table, reference, tensors, kinds=KINDS) -> tuple[dict, dict]:
    """(aligned tensors, counts): the tensors after the symmetry found that brings them closest to the reference.

    table: the network's layer table; reference, tensors: {torch name: float tensor on the CPU}, parameters and buffers
    of two models of this network; kinds: the symmetries to use. counts: {"permuted", "signs", "scaled"}, numbers
    of channels. Deterministic. The descent starts from the tensors as they are, or from a forward pass that matches
    each layer's rows with everything before it in place, whichever is closer; where its end is farther away than the
    tensors were, or a distance is not finite, the tensors are given back as they are.
    """
    _check(table, reference)
    _check(table, tensors)
    learnable = [name for name, _ in table.parameters()]
    plain = distance(reference, tensors, learnable)
    if not 0 < plain < math.inf:
        return dict(tensors), Transform().counts()
    found = _Matching(table, reference, tensors, kinds)
    found.forward()
    if not distance(reference, found.now, learnable) < plain:
        found = _Matching(table, reference, tensors, kinds)
    found.descend()
    best, found = found.transform, None
    # Factors of several steps were rounded one by one on the way; here they are applied at once.
    aligned = apply(table, tensors, best)
    if not distance(reference, aligned, learnable) < plain:
        best, aligned = Transform(), dict(tensors)
    return aligned, best.counts()


def distance(reference, tensors, names) -> float:
    """Euclidean distance over the named tensors, in float64."""
    return math.sqrt(sum(_squares(reference[name], tensors[name])[0] for name in names))


def matched(a, b, signs=False):
    """(order, flips, correlation): which unit of b is which of a; a measure of likeness, no symmetry.

    a, b: [units, n], arrays or tensors; rows are standardised (a constant row becomes 0). Unit i of a goes with
    flips[i] times unit order[i] of b; the sum of the inner products is the largest there is. flips are 1 or, with
    `signs`, 1 or -1; correlation is the mean of flips[i] * Pearson's r of the pairs. Raises ValueError
    for other shapes.
    """
    a, b = _standard(a), _standard(b)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"matrices of shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be equal, [units, n]")
    products = _products(a, b, 0, len(a)).numpy()
    order = _assign(np.abs(products) if signs else products)
    pairs = products[np.arange(len(order)), order]
    flips = np.where(signs & (pairs < 0), -1.0, 1.0)
    return order, flips, float((flips * pairs).mean()) if len(order) else math.nan


class _Matching:
    """A coordinate descent: the parameters as they are `now`, and the transform that made them so."""

    def __init__(self, table, reference, tensors, kinds):
        self.table, self.kinds = table, kinds
        self.groups = symmetry.groups(table)
        self.reference = reference
        self.now = {name: tensors[name] for name, _ in table.parameters()}
        self.transform = Transform()

    def descend(self):
        """Orders and signs until none brings the network closer, then factors, then orders again, until they stay."""
        self._rename()
        for _ in range(SWEEPS):
            if "scale" not in self.kinds or not self._rescale() or not self._rename():
                return

    def _rename(self) -> bool:
        """Steps for the order and the signs of one group after another until none is an improvement, or for 100
        sweeps; a group is looked at again when one that shares a tensor with it has changed. Whether any was one."""
        names = {group.name: {axis.tensor for axis in group.axes if axis.tensor in self.now} for group in self.groups}
        waiting, changed = set(names), False
        for _ in range(SWEEPS):
            for group in self.groups:
                if group.name not in waiting:
                    continue
                waiting.remove(group.name)
                better = group.permutation and "permutation" in self.kinds and self._reorder(group)
                for wire in filter(self._flips, group.wires):
                    written, _, read, _ = self._sums(wire, group.channels)
                    better |= self._try(group, Transform({}, {wire.name: np.where(written + read < 0, -1.0, 1.0)}))
                if better:
                    changed = True
                    waiting |= {other for other in names if names[other] & names[group.name]}
        return changed

    def _rescale(self) -> bool:
        """Factors of one wire after another until none is an improvement, or for 100 sweeps; whether any was one.

        A factor is the same for a whole block of a tensor, so that two numbers a block, now . now and reference . now,
        hold all that is needed: the squared distance is |reference|^2 + sum(now . now) - 2 sum(reference . now).
        """
        wires = {wire: np.ones(group.channels) for group in self.groups for wire in group.wires if wire.scale}
        blocks = self._blocks(wires)
        changed = False
        for _ in range(SWEEPS):
            better = [self._rescale_one(wire, blocks, wires) for wire in wires]
            changed |= any(better)
            if not any(better):
                break
        for group in self.groups:
            self._commit(group, Transform({}, {wire.name: wires[wire] for wire in group.wires if wire in wires}))
        return changed

    def _rescale_one(self, wire, blocks, wires) -> bool:
        """The best factors of one wire with all others as they are: changes `blocks` and `wires` if they help."""
        axes = [axis for axis in wire.axes if axis.power and axis.tensor in blocks]
        sums = np.zeros((4, len(wires[wire])))
        for axis in axes:
            theirs, both = (block.sum(1 - axis.axis) for block in blocks[axis.tensor])
            sums[0 if axis.power > 0 else 2] += both
            sums[1 if axis.power > 0 else 3] += theirs
        factors = nearest_factors(*sums)
        tensors = list(dict.fromkeys(axis.tensor for axis in axes))  # no set: sums keep their order in every process
        before = sum(blocks[name][0].sum() - 2 * blocks[name][1].sum() for name in tensors)
        size = sum(blocks[name][0].sum() for name in tensors)
        # A residual layer's weight has both axes on one wire: factors, each right alone, may be too large together.
        for power in (1, 1 / 2, 1 / 4, 1 / 8) if len(tensors) < len(axes) else (1,):
            new = {name: blocks[name] for name in tensors}
            for axis in axes:
                factor = (factors ** (power * axis.power))[:, None]
                factor = factor if axis.axis == 0 else factor.T
                theirs, both = new[axis.tensor]
                new[axis.tensor] = theirs * factor**2, both * factor
            after = sum(theirs.sum() - 2 * both.sum() for theirs, both in new.values())
            if before - after > GAIN * size:
                blocks.update(new)
                wires[wire] *= factors**power
                return True
        return False

    def _blocks(self, wires) -> dict:
        """{tensor: (now . now, reference . now)}, float64 [channels of axis 0, channels of axis 1], where an axis whose
        channels may not be rescaled counts as one channel."""
        counts = {}
        for wire, factors in wires.items():
            for axis in wire.axes:
                if axis.power:
                    counts.setdefault(axis.tensor, [1, 1])[axis.axis] = len(factors)
        blocks = {}
        for name, (rows, columns) in counts.items():
            ours, theirs = (
                x.reshape(rows, x.shape[0] // rows, columns, -1) for x in (self.reference[name], self.now[name])
            )
            found = [np.empty((rows, columns)), np.empty((rows, columns))]
            step = max(1, PIECE // ours[0].numel())
            for first in range(0, rows, step):
                at = slice(first, first + step)
                one, other = ours[at].double(), theirs[at].double()
                found[0][at] = other.square().sum((1, 3)).numpy()
                found[1][at] = (one * other).sum((1, 3)).numpy()
            blocks[name] = tuple(found)
        return blocks

    def forward(self):
        """A start: in the table's order, each wire by the rows of the layer that it is named after, whose inputs are in
        place by then. Rows are compared by their direction, as their length may be a matter of scale."""
        place = {layer.name: n for n, layer in enumerate(self.table.layers)}
        wires = [(group, wire) for group in self.groups for wire in group.wires if wire.name in place]
        for group, wire in sorted(wires, key=lambda pair: place[pair[1].name]):
            own = [x for x in wire.axes if x.axis == 0 and x.power == 1 and x.tensor.rsplit(".", 1)[0] == wire.name]
            _, theirs, _, _ = self._sums(wire, group.channels, own)
            if wire.name == group.name and group.permutation and "permutation" in self.kinds:
                sides = [(self.reference[x.tensor], self.now[x.tensor]) for x in own]
                gain = sum(_products(*side, 0, group.channels).numpy() for side in sides)
                gain = gain / np.sqrt(np.where(theirs > 0, theirs, 1))
                order = _assign(np.abs(gain) if self._flips(wire) else gain)
                self._commit(group, Transform({group.name: order}))
            both, theirs, _, _ = self._sums(wire, group.channels, own)
            factors = np.where(both < 0, -1.0, 1.0) if self._flips(wire) else np.ones(group.channels)
            if wire.scale and "scale" in self.kinds:
                ours = sum(_dots(self.reference[x.tensor], self.reference[x.tensor], 0, group.channels) for x in own)
                live = (ours > 0) & (theirs > 0)
                ratio = np.divide(ours, theirs, out=np.ones(group.channels), where=live)
                factors *= np.clip(np.sqrt(ratio), 1 / LARGEST, LARGEST)
            self._commit(group, Transform({}, {wire.name: factors}))

    def _flips(self, wire) -> bool:
        return wire.sign != "no" and "sign" in self.kinds

    def _reorder(self, group) -> bool:
        """The order of a group's channels, and their signs, that make the inner product with the reference largest.

        Neither changes a length, so that the squared distance falls by twice what the inner product gains: where it
        gains, the change is made. Two cases are approximate, and are tried first: a tensor on two wires with signs (a
        BatchNorm's weight, one number a channel) is left out, and one whose two axes belong to the group (a residual
        layer's) counts with either axis as if the other stayed.
        """
        axes = [axis for axis in group.axes if axis.tensor in self.now]
        gains, exact = {}, len({axis.tensor for axis in axes}) == len(axes)
        for axis in axes:
            flips = [
                wire.name
                for wire in filter(self._flips, group.wires)
                if any(x.power and (x.tensor, x.axis) == (axis.tensor, axis.axis) for x in wire.axes)
            ]
            if len(flips) < 2:  # gains: of what one wire's sign flips, by that wire, and of what none does (None)
                gain = gains.setdefault(flips[0] if flips else None, np.zeros((group.channels, group.channels)))
                gain += _products(self.reference[axis.tensor], self.now[axis.tensor], axis.axis, group.channels).numpy()
            exact &= len(flips) < 2
        best = sum(gain if wire is None else np.abs(gain) for wire, gain in gains.items())
        order = _assign(best)
        here, there = np.arange(group.channels), best[np.arange(group.channels), order].sum()
        if there - sum(gain.trace() for gain in gains.values()) <= GAIN * abs(there):
            return False
        change = Transform({group.name: order})
        for wire, gain in gains.items():
            if wire is not None:
                change.factors[wire] = np.ones(group.channels)
                change.factors[wire][order] = np.where(gain[here, order] < 0, -1.0, 1.0)
        if not exact:
            return self._try(group, change)
        self._commit(group, change)
        return True

    def _sums(self, wire, channels, axes=None):
        """Four float64 [channels]: reference . now and now . now of what is written, and the same of what is read."""
        sums = np.zeros((4, channels))
        for axis in wire.axes if axes is None else axes:
            if axis.power and axis.tensor in self.now:
                at = 0 if axis.power > 0 else 2
                ours, theirs = self.reference[axis.tensor], self.now[axis.tensor]
                sums[at] += _dots(ours, theirs, axis.axis, channels)
                sums[at + 1] += _dots(theirs, theirs, axis.axis, channels)
        return sums

    def _try(self, group, change) -> bool:
        """Makes a change if it brings the network closer; whether it did."""
        new = _act(group, self.now, change)
        before = [_squares(self.reference[name], self.now[name]) for name in new]
        after = sum(_squares(self.reference[name], tensor)[0] for name, tensor in new.items())
        closer = sum(step for step, _ in before) - after > GAIN * sum(size for _, size in before)
        if closer:
            self._commit(group, change, new)
        return closer

    def _commit(self, group, change, new=None):
        """Takes a change: the parameters now, and the transform from the start."""
        self.now |= _act(group, self.now, change) if new is None else new
        order = self.transform.permutations.get(group.name, np.arange(group.channels))
        for wire, factor in change.factors.items():
            factors = self.transform.factors.setdefault(wire, np.ones(group.channels))
            factors[order] *= factor
        if group.name in change.permutations:
            self.transform.permutations[group.name] = order[change.permutations[group.name]]


def nearest_factors(both_in, in_, both_out, out):
    """The a > 0 that minimises |a w - r|^2 + |w' / a - r'|^2 of each channel; float64 [channels].

    both_in = r . w, in_ = w . w of what is written, both_out and out the same of what is read. With a = c b and
    c^4 = out / in_ the derivative is zero where b^4 - (both_in c^3 / out) b^3 + (both_out c / out) b - 1 = 0; of the
    positive roots, and 1, the best is taken. A channel of which one side is zero keeps 1.
    """
    factors = np.ones(len(in_))
    live = np.flatnonzero((in_ > 0) & (out > 0))
    q, p, v, u = (side[live] for side in (both_in, in_, both_out, out))
    c = (u / p) ** 0.25
    companion = np.zeros((len(live), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1
    companion[:, 0, 3], companion[:, 1, 3], companion[:, 3, 3] = 1, -v * c / u, q * c**3 / u
    roots = np.linalg.eigvals(companion)
    real = np.where((np.abs(roots.imag) < 1e-6 * np.abs(roots)) & (roots.real > 0), roots.real * c[:, None], 1)
    a = np.clip(np.hstack([np.ones((len(live), 1)), real]), 1 / LARGEST, LARGEST)
    squares = a**2 * p[:, None] - 2 * a * q[:, None] + u[:, None] / a**2 - 2 * v[:, None] / a
    factors[live] = a[np.arange(len(live)), squares.argmin(1)]
    return factors


def _act(group, tensors, transform) -> dict:
    """The tensors of one group that a transform changes; those that `tensors` lacks are left out."""
    changed = {}

    def view(name, axis):
        """The tensor as [before, channels, after] about an axis."""
        tensor = changed.get(name, tensors[name])
        return tensor.reshape(math.prod(tensor.shape[:axis]), group.channels, -1)

    for wire in group.wires:
        factors = transform.factors.get(wire.name)
        if factors is None or (factors == 1).all():
            continue
        for name, axis, power in ((x.tensor, x.axis, x.power) for x in wire.axes if x.power and x.tensor in tensors):
            channels = torch.from_numpy(factors).to(tensors[name].dtype).view(1, -1, 1)
            new = view(name, axis) * channels if power > 0 else view(name, axis) / channels
            changed[name] = new.reshape(tensors[name].shape)
    order = transform.permutations.get(group.name)
    if order is not None and (order != np.arange(group.channels)).any():
        for name, axis in ((x.tensor, x.axis) for x in group.axes if x.tensor in tensors):
            new = view(name, axis).index_select(1, torch.from_numpy(order))
            changed[name] = new.reshape(tensors[name].shape)
    return changed


def _check(table, tensors):
    """Raise ValueError where a tensor of the table is missing or has another shape."""
    for name, shape in (*table.parameters(), *table.buffers()):
        have = tuple(tensors[name].shape) if name in tensors else "missing"
        if have != tuple(shape):
            raise ValueError(f"{name} is {have} in the snapshot, {tuple(shape)} in the layer table")


def _unfolded(ours, theirs, axis, channels):
    """Pairs of float64 pieces [channels, n], of 64 MB at most each, of two tensors unfolded along an axis."""
    views = [x.reshape(math.prod(x.shape[:axis]), channels, -1) for x in (ours, theirs)]
    if len(views[0]) == 1:
        pieces = [view[0].split(max(1, PIECE // channels), dim=1) for view in views]
    else:
        pieces = [view.split(max(1, PIECE // views[0][0].numel())) for view in views]
    for pair in zip(*pieces, strict=True):
        yield [x.double() if x.ndim == 2 else x.transpose(0, 1).reshape(channels, -1).double() for x in pair]


def _products(ours, theirs, axis, channels):
    """Inner products of every channel of one tensor with every one of another: float64 [channels, channels]."""
    total = torch.zeros(channels, channels, dtype=torch.float64)
    for one, other in _unfolded(ours, theirs, axis, channels):
        total.addmm_(one, other.T)
    return total


def _dots(ours, theirs, axis, channels):
    """Inner product of every channel of one tensor with the same one of another: float64 [channels]."""
    return sum((one * other).sum(1) for one, other in _unfolded(ours, theirs, axis, channels)).numpy()


def _assign(gain):
    """The order that makes the sum of gain[i, order[i]] largest; between equals, channels stay in place."""
    gain = gain + np.eye(len(gain)) * 1e-12 * np.abs(gain).max(initial=0)
    return linear_sum_assignment(gain, maximize=True)[1]


def _squares(ours, theirs):
    """(|ours - theirs|^2, |ours|^2 + |theirs|^2) of two tensors, in float64."""
    step = size = 0.0
    for one, other in zip(ours.reshape(-1).split(CHUNK), theirs.reshape(-1).split(CHUNK), strict=True):
        one, other = one.double(), other.double()
        size += float(one.dot(one) + other.dot(other))
        other = other - one
        step += float(other.dot(other))
    return step, size


def _standard(matrix):
    """Rows of mean 0 and length 1, float64; a constant row becomes 0."""
    matrix = torch.as_tensor(matrix).double()
    matrix = matrix - matrix.mean(1, keepdim=True)
    length = matrix.norm(dim=1, keepdim=True)
    return matrix / torch.where(length > 0, length, 1.0)


# Facts: what flipping, renaming and rescaling do to small networks, computed ----------------------------------------

TOLERANCE = 1e-10


def facts(seed=0) -> list[dict]:
    """What transformations of the weights do to a network's outputs, one dict a fact, computed in float64.

    {"network", "transformation", "expected": "f" or "-f", "error": largest |f' - expected| over largest |f|, "holds":
    error <= 1e-10}. Small networks with random weights and statistics. "Batch" is with the batch's statistics in
    BatchNorm, "eval" with the running ones.
    """
    conv, tanh, odd, relu = _conv_bn(), _linear("tanh", 4), _linear("tanh", 3), _linear("relu", 3)
    biased = _linear("tanh", 3, bias=True)
    found = []

    def fact(name, table, what, change, expected, start=(), batch=False):
        """start: endings of names whose tensors are 0 at first; change: tensors -> tensors."""
        tensors = noise(table, seed)
        tensors |= {name: torch.zeros_like(x) for name, x in tensors.items() if name.endswith(tuple(start))}
        before, after = (outputs(table, x, seed, batch) for x in (tensors, change(tensors)))
        error = float((after - (before if expected == "f" else -before)).abs().max() / before.abs().max())
        found.append(
            {"network": name, "transformation": what, "expected": expected, "error": error, "holds": error <= TOLERANCE}
        )

    def flip(table, *more):
        """Negates all parameters, and the tensors whose names end so."""
        learnable = {name for name, _ in table.parameters()}
        return lambda tensors: {n: -x if n in learnable or n.endswith(more or "-") else x for n, x in tensors.items()}

    def pair(tensors):
        """Negates the first convolution, its BatchNorm's weight and running mean."""
        return tensors | {x: -tensors[x] for x in ("conv.weight", "conv.bias", "norm.weight", "norm.running_mean")}

    def symmetric(table, kind):
        return lambda tensors: apply(table, tensors, random(table, seed, (kind,)))

    def rescale(layer, reader):
        """Doubles a layer's rows and halves the next one's columns."""
        factors = {f"{layer}.weight": 2, f"{layer}.bias": 2, f"{reader}.weight": 0.5}
        return lambda tensors: {name: x * factors.get(name, 1) for name, x in tensors.items()}

    beta = ("norm.bias", "norm2.bias")
    name = "conv, BatchNorm, ReLU; beta = 0"
    fact(name, conv, "all parameters flipped, batch", flip(conv), "-f", beta, batch=True)
    fact(name, conv, "all parameters flipped, eval", flip(conv), "-f", beta)
    fact(name, conv, "all parameters and running means flipped, eval", flip(conv, "running_mean"), "-f", beta)
    name = "conv, BatchNorm, ReLU"
    fact(name, conv, "all parameters flipped, batch", flip(conv), "-f", batch=True)
    fact(name, conv, "a conv, its gamma and running mean flipped, eval", pair, "f")
    fact(name, conv, "a conv and its gamma flipped, batch", pair, "f", batch=True)
    fact("tanh, no biases, 4 weight layers", tanh, "all parameters flipped", flip(tanh), "f")
    fact("tanh, no biases, 3 weight layers", odd, "all parameters flipped", flip(odd), "-f")
    fact("tanh, biases, 3 weight layers", biased, "all parameters flipped", flip(biased), "-f")
    fact("ReLU", relu, "all parameters flipped", flip(relu), "f")
    fact("ReLU", relu, "all parameters flipped", flip(relu), "-f")
    for name, table in (("ReLU", relu), ("tanh, biases, 3 weight layers", biased), ("conv, BatchNorm, ReLU", conv)):
        fact(name, table, "channels permuted", symmetric(table, "permutation"), "f")
    fact(
        "tanh, biases, 3 weight layers",
        biased,
        "channels flipped, and the columns that read them",
        symmetric(biased, "sign"),
        "f",
    )
    for name, table in (("ReLU", relu), ("conv, BatchNorm, ReLU", conv)):
        fact(name, table, "channels rescaled, and the columns that read them", symmetric(table, "scale"), "f")
    fact(
        "tanh, biases, 3 weight layers",
        biased,
        "one layer's rows doubled, the next one's columns halved",
        rescale("fc0", "fc1"),
        "f",
    )
    return found


def noise(table, seed) -> dict:
    """Random float64 tensors of a layer table, weights scaled by their fan-in, gammas of either sign."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in (*table.parameters(), *table.buffers()):
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_var"):
            values = values.square() + 0.5
        elif name.endswith("num_batches_tracked"):
            values = torch.tensor(1)
        elif name.endswith(".bias"):
            values *= 0.3
        elif len(shape) > 1:
            values *= (2 / math.prod(shape[1:])) ** 0.5
        tensors[name] = values
    return tensors


@torch.no_grad()
def outputs(table, tensors, seed, batch=False):
    """float64 outputs of a layer table's network for eight random pictures; batch: BatchNorm uses their statistics."""
    model = TableModule(table).double().eval()
    model.load_state_dict(tensors)
    for part in model.modules():
        if batch and isinstance(part, torch.nn.BatchNorm2d):
            part.train()
    generator = torch.Generator().manual_seed(seed)
    shape = (8, table.channels, table.size, table.size)
    return model(torch.randn(shape, generator=generator, dtype=torch.float64))


def _conv_bn():
    """conv - BatchNorm - ReLU - conv - BatchNorm - ReLU - average - linear."""
    table = Table(2, 8)
    for n in ("", "2"):
        table.conv(f"conv{n}", 6, 3, padding=1)
        table.batchnorm(f"norm{n}")
        table.relu(f"relu{n}")
    table.adaptive_avgpool("pool", 1)
    table.flatten("flat")
    table.linear("fc", 5)
    return table


def _linear(kind, layers, bias=None):
    """So many linear layers with tanh (without biases unless asked) or ReLU (with them) between."""
    table = Table(1, 4)
    table.flatten("flat")
    for n in range(layers):
        table.linear(f"fc{n}", 5 if n == layers - 1 else 8, bias=kind == "relu" if bias is None else bias)
        if n < layers - 1:
            getattr(table, kind)(f"{kind}{n}")
    return table
