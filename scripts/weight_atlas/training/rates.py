"""Learning rates, and when a stage stops early, as pure functions of the step and of the validation losses so far, so
that a resumed run needs no state of a scheduler.

The formulas are those of torch.optim.lr_scheduler (MultiStepLR, CosineAnnealingLR, OneCycleLR with cosine annealing
and two phases, ReduceLROnPlateau with a relative threshold and no cooldown), taken step by step, and of Keras's
EarlyStopping; the tests hold them against torch's own classes and the rule of Keras.
"""

import math
from collections.abc import Sequence

from weight_atlas import settings

SMALLEST_CHANGE = 1e-8  # ReduceLROnPlateau's `eps`: a rate that would change by no more stays


def learning_rate(stage: settings.Stage, step: int, steps_per_epoch: int, losses: Sequence[float] = ()) -> float:
    """The learning rate of the step number `step` (from 0) of a stage.

    `losses` are the validation losses after each of its epochs so far. A warm-up of w epochs multiplies the schedule by
    (step + 1) / (w * steps_per_epoch) while that is below 1; the schedule itself starts with the stage, too.
    """
    schedule, base, total = stage.schedule, stage.lr, stage.epochs * steps_per_epoch
    epoch = step // steps_per_epoch
    warmup_steps = schedule.warmup * steps_per_epoch
    factor = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    match schedule:
        case settings.Constant():
            return base * factor
        case settings.RateTable():
            return schedule.rates[epoch] * factor
        case settings.MultiStep():
            passed = sum(epoch >= milestone for milestone in schedule.milestones)
            return base * schedule.gamma**passed * factor
        case settings.Cosine():
            floor = schedule.floor * base
            return (floor + (base - floor) * (1 + math.cos(math.pi * step / total)) / 2) * factor
        case settings.Plateau():
            return _plateau(schedule, base, losses) * factor
        case settings.OneCycle():
            return _one_cycle(schedule, base, step, total)


def stops_early(rule: settings.EarlyStopping | None, losses: Sequence[float]) -> bool:
    """Whether a stage with these validation losses is to stop: for `patience` epochs none was below the best by more
    than `min_delta` (Keras's EarlyStopping; without a rule never)."""
    if rule is None:
        return False
    best, waited = math.inf, 0
    for loss in losses:
        best, waited = (loss, 0) if loss + rule.min_delta < best else (best, waited + 1)
    return waited >= rule.patience


def _plateau(schedule: settings.Plateau, lr: float, losses: Sequence[float]) -> float:
    """torch.optim.lr_scheduler.ReduceLROnPlateau after these losses: the rate times `factor` whenever the loss was for
    more than `patience` epochs not below the best by the share `threshold`; never below `min_lr`."""
    best, waited = math.inf, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best * (1 - schedule.threshold) else (best, waited + 1)
        if waited > schedule.patience:
            lower, waited = max(lr * schedule.factor, schedule.min_lr), 0
            lr = lower if lr - lower > SMALLEST_CHANGE else lr
    return lr


def _one_cycle(schedule: settings.OneCycle, peak: float, step: int, total: int) -> float:
    """Smith & Topin 2019 as in torch.optim.lr_scheduler.OneCycleLR: up to `peak`, then down, both along a cosine."""
    low = peak / schedule.start_divisor
    end = low / schedule.end_divisor
    top = schedule.rise * total - 1
    if step <= top:
        return _cosine(low, peak, step / top if top > 0 else 1.0)
    return _cosine(peak, end, (step - top) / (total - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)
