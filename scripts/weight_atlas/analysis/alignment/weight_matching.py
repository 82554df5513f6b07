"""The symmetry of a network that brings it closest to another: weight matching.

Coordinate descent over the groups of channels (Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin: merging models
modulo permutation symmetries", algorithm 1), with the signs and positive factors that the layer table allows
(`weight_atlas.networks.symmetry`). Distances are those of all learnable parameters; running statistics follow.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from weight_atlas.analysis.alignment import products
from weight_atlas.analysis.alignment.matching import best_order
from weight_atlas.analysis.alignment.transforms import KINDS, Counts, Transform, apply, apply_to_group, check
from weight_atlas.analysis.types import FloatArray, Tensors
from weight_atlas.networks import symmetry
from weight_atlas.networks.symmetry import Axis, Group, Wire
from weight_atlas.networks.table import Table

SWEEPS = 100
GAIN = 1e-6  # what a step must gain, as a share of its tensors' inner product with the reference or squared length
LARGEST = 2.0**20  # factors of a channel stay between 1 / LARGEST and LARGEST


class Aligned(NamedTuple):
    """A network after a symmetry, {torch name: tensor}, and how many channels the symmetry changes."""

    tensors: Tensors
    counts: Counts


class _Sums(NamedTuple):
    """Sums per channel of a wire, float64 [channels]: of reference . now and now . now, over the axes that write it and
    over those that read it."""

    written: FloatArray
    written_squares: FloatArray
    read: FloatArray
    read_squares: FloatArray


class _Block(NamedTuple):
    """now . now and reference . now of the blocks of a tensor: float64 [channels of axis 0, channels of axis 1]."""

    squares: FloatArray
    products: FloatArray


def align(table: Table, reference: Tensors, tensors: Tensors, kinds: Sequence[str] = KINDS) -> Aligned:
    """Apply the symmetry found that brings a network closest to a reference.

    The descent starts from the tensors as they are, or from a forward pass that matches each layer's rows with
    everything before it in place, whichever is closer. Where its end is farther away than the tensors were, or a
    distance is not finite, the tensors are returned as they are. Deterministic.

    Parameters
    ----------
    table : Table
        The network's layer table.
    reference, tensors : dict of float tensors on the CPU
        Parameters and buffers of two models of this network.
    kinds : sequence of str
        The symmetries to use, of KINDS.

    Raises
    ------
    ValueError
        Where a tensor is missing or has another shape than in the table.
    """
    check(table, reference)
    check(table, tensors)
    learnable = [name for name, _ in table.parameters()]
    distance_before = products.distance(reference, tensors, learnable)
    if not 0 < distance_before < math.inf:
        return Aligned(dict(tensors), Transform().counts())
    best = _descend(table, reference, tensors, kinds, distance_before)
    # Factors of several steps were rounded one by one on the way; here they are applied at once.
    aligned = apply(table, tensors, best)
    if not products.distance(reference, aligned, learnable) < distance_before:
        best, aligned = Transform(), dict(tensors)
    return Aligned(aligned, best.counts())


def _descend(
    table: Table, reference: Tensors, tensors: Tensors, kinds: Sequence[str], distance_before: float
) -> Transform:
    """The symmetry at the end of a descent; what the descent holds is freed with it."""
    matching = WeightMatching(table, reference, tensors, kinds)
    matching.forward()
    if not products.distance(reference, matching.now, matching.now) < distance_before:
        matching = WeightMatching(table, reference, tensors, kinds)
    matching.descend()
    return matching.transform


class WeightMatching:
    """A coordinate descent: the parameters as they are `now`, and the transform that made them so."""

    def __init__(self, table: Table, reference: Tensors, tensors: Tensors, kinds: Sequence[str]) -> None:
        self.table, self.kinds = table, kinds
        self.groups = symmetry.groups(table)
        self.reference = reference
        self.now = {name: tensors[name] for name, _ in table.parameters()}
        self.transform = Transform()

    def descend(self) -> None:
        """Orders and signs until none brings the network closer, then factors, then orders again, until they stay."""
        self._permute()
        for _ in range(SWEEPS):
            if "scale" not in self.kinds or not self._rescale() or not self._permute():
                return

    def forward(self) -> None:
        """A start: in the table's order, each wire by the rows of the layer that it is named after, whose inputs are in
        place by then. Rows are compared by their direction, as their length may be a matter of scale."""
        position = {layer.name: n for n, layer in enumerate(self.table.layers)}
        wires = [(group, wire) for group in self.groups for wire in group.wires if wire.name in position]
        for group, wire in sorted(wires, key=lambda pair: position[pair[1].name]):
            rows = [x for x in wire.axes if x.axis == 0 and x.power == 1 and x.tensor.rsplit(".", 1)[0] == wire.name]
            if wire.name == group.name and group.permutation and "permutation" in self.kinds:
                lengths = self._sums(wire, group.channels, rows).written_squares
                gain = np.zeros((group.channels, group.channels))
                for row in rows:
                    pair = self.reference[row.tensor], self.now[row.tensor]
                    gain = gain + products.channel_products(*pair, 0, group.channels)
                gain = gain / np.sqrt(np.where(lengths > 0, lengths, 1))
                order = best_order(np.abs(gain) if self._may_flip(wire) else gain)
                self._commit(group, Transform({group.name: order}))
            sums = self._sums(wire, group.channels, rows)
            factors = np.where(sums.written < 0, -1.0, 1.0) if self._may_flip(wire) else np.ones(group.channels)
            if wire.scale and "scale" in self.kinds:
                lengths = np.zeros(group.channels)
                for row in rows:
                    lengths = lengths + products.channel_dots(
                        self.reference[row.tensor], self.reference[row.tensor], 0, group.channels
                    )
                live = (lengths > 0) & (sums.written_squares > 0)
                ratio = np.divide(lengths, sums.written_squares, out=np.ones(group.channels), where=live)
                factors *= np.clip(np.sqrt(ratio), 1 / LARGEST, LARGEST)
            self._commit(group, Transform({}, {wire.name: factors}))

    def _permute(self) -> bool:
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
                for wire in filter(self._may_flip, group.wires):
                    sums = self._sums(wire, group.channels)
                    signs = np.where(sums.written + sums.read < 0, -1.0, 1.0)
                    better |= self._try(group, Transform({}, {wire.name: signs}))
                if better:
                    changed = True
                    waiting |= {other for other in names if names[other] & names[group.name]}
        return changed

    def _rescale(self) -> bool:
        """Factors of one wire after another until none is an improvement, or for 100 sweeps; whether any was one.

        A factor is the same for a whole block of a tensor, so that two numbers per block, now . now and
        reference . now, hold all that is needed: the squared distance is |reference|^2 + sum(now . now) -
        2 sum(reference . now).
        """
        factors = {wire: np.ones(group.channels) for group in self.groups for wire in group.wires if wire.scale}
        blocks = self._blocks(factors)
        changed = False
        for _ in range(SWEEPS):
            better = [self._rescale_one(wire, blocks, factors) for wire in factors]
            changed |= any(better)
            if not any(better):
                break
        for group in self.groups:
            self._commit(group, Transform({}, {wire.name: factors[wire] for wire in group.wires if wire in factors}))
        return changed

    def _rescale_one(self, wire: Wire, blocks: dict[str, _Block], factors: dict[Wire, FloatArray]) -> bool:
        """The best factors of one wire with all others as they are: changes `blocks` and `factors` if they help."""
        axes = [axis for axis in wire.axes if axis.power and axis.tensor in blocks]
        sums = _Sums(*np.zeros((4, len(factors[wire]))))
        for axis in axes:
            dots, lengths = sums[:2] if axis.power > 0 else sums[2:]
            dots += blocks[axis.tensor].products.sum(1 - axis.axis)
            lengths += blocks[axis.tensor].squares.sum(1 - axis.axis)
        steps = nearest_factors(*sums)
        tensors = list(dict.fromkeys(axis.tensor for axis in axes))  # no set: sums keep their order in every process
        before = sum(blocks[name].squares.sum() - 2 * blocks[name].products.sum() for name in tensors)
        size = sum(blocks[name].squares.sum() for name in tensors)
        # A residual layer's weight has both axes on one wire: factors, each right alone, may be too large together.
        for power in (1, 1 / 2, 1 / 4, 1 / 8) if len(tensors) < len(axes) else (1,):
            new = {name: blocks[name] for name in tensors}
            for axis in axes:
                factor = (steps ** (power * axis.power))[:, None]
                factor = factor if axis.axis == 0 else factor.T
                block = new[axis.tensor]
                new[axis.tensor] = _Block(block.squares * factor**2, block.products * factor)
            after = sum(block.squares.sum() - 2 * block.products.sum() for block in new.values())
            if before - after > GAIN * size:
                blocks.update(new)
                factors[wire] *= steps**power
                return True
        return False

    def _blocks(self, factors: dict[Wire, FloatArray]) -> dict[str, _Block]:
        """The blocks of each tensor on the wires; an axis whose channels may not be rescaled counts as one channel."""
        counts: dict[str, list[int]] = {}
        for wire, values in factors.items():
            for axis in wire.axes:
                if axis.power:
                    counts.setdefault(axis.tensor, [1, 1])[axis.axis] = len(values)
        blocks = {}
        for name, (rows, columns) in counts.items():
            ours, theirs = (
                x.reshape(rows, x.shape[0] // rows, columns, -1) for x in (self.reference[name], self.now[name])
            )
            block = _Block(np.empty((rows, columns)), np.empty((rows, columns)))
            step = max(1, products.PIECE // ours[0].numel())
            for first in range(0, rows, step):
                at = slice(first, first + step)
                one, other = ours[at].double(), theirs[at].double()
                block.squares[at] = other.square().sum((1, 3)).numpy()
                block.products[at] = (one * other).sum((1, 3)).numpy()
            blocks[name] = block
        return blocks

    def _may_flip(self, wire: Wire) -> bool:
        return wire.sign != "no" and "sign" in self.kinds

    def _reorder(self, group: Group) -> bool:
        """The order of a group's channels, and their signs, that make the inner product with the reference largest.

        Norms stay, so that the squared distance falls by twice what the inner product gains: where it
        gains, the change is made. Two cases are approximate, and are tried first: a tensor on two wires with signs (a
        BatchNorm's weight, one number per channel) is left out, and one whose two axes belong to the group (a residual
        layer's) counts with either axis as if the other stayed.
        """
        axes = [axis for axis in group.axes if axis.tensor in self.now]
        exact = len({axis.tensor for axis in axes}) == len(axes)
        gains: dict[str | None, FloatArray] = {}  # of what one wire's sign flips, by that wire, and of what none does
        for axis in axes:
            flipped_by = [
                wire.name
                for wire in filter(self._may_flip, group.wires)
                if any(x.power and (x.tensor, x.axis) == (axis.tensor, axis.axis) for x in wire.axes)
            ]
            if len(flipped_by) < 2:
                key = flipped_by[0] if flipped_by else None
                gain = gains.setdefault(key, np.zeros((group.channels, group.channels)))
                gain += products.channel_products(
                    self.reference[axis.tensor], self.now[axis.tensor], axis.axis, group.channels
                )
            exact &= len(flipped_by) < 2
        best = np.zeros((group.channels, group.channels))
        for wire_name, gain in gains.items():
            best = best + (gain if wire_name is None else np.abs(gain))
        order = best_order(best)
        channels = np.arange(group.channels)
        product = best[channels, order].sum()
        if product - sum(gain.trace() for gain in gains.values()) <= GAIN * abs(product):
            return False
        change = Transform({group.name: order})
        for wire_name, gain in gains.items():
            if wire_name is not None:
                change.factors[wire_name] = np.ones(group.channels)
                change.factors[wire_name][order] = np.where(gain[channels, order] < 0, -1.0, 1.0)
        if not exact:
            return self._try(group, change)
        self._commit(group, change)
        return True

    def _sums(self, wire: Wire, channels: int, axes: Sequence[Axis] | None = None) -> _Sums:
        """The sums per channel over a wire's axes, or over those that are given."""
        sums = _Sums(*np.zeros((4, channels)))
        for axis in wire.axes if axes is None else axes:
            if axis.power and axis.tensor in self.now:
                dots, lengths = sums[:2] if axis.power > 0 else sums[2:]
                ours, theirs = self.reference[axis.tensor], self.now[axis.tensor]
                dots += products.channel_dots(ours, theirs, axis.axis, channels)
                lengths += products.channel_dots(theirs, theirs, axis.axis, channels)
        return sums

    def _try(self, group: Group, change: Transform) -> bool:
        """Makes a change if it brings the network closer; whether it did."""
        new = apply_to_group(group, self.now, change)
        before = [products.squares(self.reference[name], self.now[name]) for name in new]
        after = sum(products.squares(self.reference[name], tensor).difference for name, tensor in new.items())
        closer = sum(x.difference for x in before) - after > GAIN * sum(x.size for x in before)
        if closer:
            self._commit(group, change, new)
        return closer

    def _commit(self, group: Group, change: Transform, new: Tensors | None = None) -> None:
        """Takes a change: the parameters now, and the transform from the start."""
        self.now |= apply_to_group(group, self.now, change) if new is None else new
        order = self.transform.permutations.get(group.name, np.arange(group.channels))
        for wire_name, factor in change.factors.items():
            factors = self.transform.factors.setdefault(wire_name, np.ones(group.channels))
            factors[order] *= factor
        if group.name in change.permutations:
            self.transform.permutations[group.name] = order[change.permutations[group.name]]


def nearest_factors(
    written: FloatArray, written_squares: FloatArray, read: FloatArray, read_squares: FloatArray
) -> FloatArray:
    """The a > 0 that minimises |a w - r|^2 + |w' / a - r'|^2 of each channel; float64 [channels].

    written = r . w and written_squares = w . w of what is written, read and read_squares the same of what is read. With
    a = c b and c^4 = read_squares / written_squares the derivative is zero where
    b^4 - (written c^3 / read_squares) b^3 + (read c / read_squares) b - 1 = 0; of the positive roots, and 1, the best
    is taken. A channel of which one side is zero keeps 1.
    """
    factors = np.ones(len(written_squares))
    live = np.flatnonzero((written_squares > 0) & (read_squares > 0))
    q, p, v, u = (side[live] for side in (written, written_squares, read, read_squares))
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
