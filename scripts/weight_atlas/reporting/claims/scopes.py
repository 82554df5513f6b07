"""The scopes of claims on experiments: whether all cells that a claim compares are within it, and what they lack."""

from weight_atlas.reporting.claims.claims import UNTESTED, Verdict, shortcomings, told
from weight_atlas.reporting.exhibits.design.starts import imagenet, start


def outside(claim, found, diverged=False):
    """What keeps cells of some Tables out of `claim["within"]`, in words; empty where all are within.

    Unlike `claims.scope`, every cell must be: what is compared with something outside is not judged. diverged: whether
    a diverged replicate is a result and counts as one.
    """
    within, status = claim["within"], found.status()
    lacking, words = [], []
    for cell in found.cells.itertuples():
        settings, of = found.settings[cell.cell_id], status.loc[cell.cell_id]
        done = int(of["done"] + (of["diverged"] if diverged else 0))
        lacks = shortcomings(within, settings, found.cards.get(cell.dataset_id), done)
        if lacks:
            lacking.append((cell, lacks))
        architecture = settings.network.architecture
        if architecture not in within["architecture"]:
            words.append(f"{architecture} instead of {' or '.join(within['architecture'])}")
        if within.get("start") == "imagenet" and not imagenet(settings):
            words.append(f"a start from {start(settings)} instead of ImageNet weights")
    return "; ".join(dict.fromkeys(filter(None, [told(within, lacking) if lacking else "", *words])))


def ruled(claim, found, verdict, text, numbers, diverged=False):
    """The verdict on a claim, said to be undecided where it is; outside of its scope what is outside and was seen."""
    return settled(outside(claim, found, diverged), verdict, text, numbers)


def settled(why, verdict, text, numbers):
    """As `ruled`, with what is outside of the scope in words, empty where nothing is."""
    if why:
        return Verdict(UNTESTED, f"Outside its scope: {why}. Seen: {text}", numbers)
    return Verdict(verdict, f"Undecided: {text}" if verdict == UNTESTED else text, numbers)
