"""Learning rates as pure functions of the step, so that a resumed run needs no scheduler state.

The formulas are those of torch.optim.lr_scheduler (MultiStepLR, CosineAnnealingLR, OneCycleLR with cosine annealing
and two phases), taken step by step; the tests hold them against torch's own classes.
"""

import math


def rate(stage: dict, step: int, steps_per_epoch: int) -> float:
    """The learning rate of the step number `step` (from 0) of a stage.

    `stage` has `lr`, `epochs` and `schedule` (`type` and its settings). A warm-up of w epochs multiplies the schedule
    by (step + 1) / (w * steps_per_epoch) while that is below 1; the schedule's own clock starts with the stage.
    """
    schedule, base, total = stage["schedule"], stage["lr"], stage["epochs"] * steps_per_epoch
    epoch = step // steps_per_epoch
    warm = schedule.get("warmup", 0.0) * steps_per_epoch
    factor = min(1.0, (step + 1) / warm) if warm else 1.0
    match schedule["type"]:
        case "constant":
            return base * factor
        case "table":
            return schedule["rates"][epoch] * factor
        case "multistep":
            passed = sum(epoch >= milestone for milestone in schedule["milestones"])
            return base * schedule["gamma"] ** passed * factor
        case "cosine":
            floor = schedule["floor"] * base
            return (floor + (base - floor) * (1 + math.cos(math.pi * step / total)) / 2) * factor
        case "onecycle":
            return _one_cycle(schedule, base, step, total)
    raise ValueError(f"schedule {schedule['type']!r} is not known")


def _one_cycle(schedule: dict, peak: float, step: int, total: int) -> float:
    """Smith & Topin 2019 as in torch.optim.lr_scheduler.OneCycleLR: up to `peak`, then down, both along a cosine."""
    low = peak / schedule["start_divisor"]
    end = low / schedule["end_divisor"]
    top = schedule["rise"] * total - 1
    if step <= top:
        return _cosine(low, peak, step / top if top > 0 else 1.0)
    return _cosine(peak, end, (step - top) / (total - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)
