"""Parts that raise: exhibits, answers, measures. They are noted, and all other parts stand."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from weight_atlas.text import printable


class NothingToShow(Exception):
    """Raised by an exhibit's function where its tables hold nothing to draw; the message says why, in a sentence."""


@dataclass
class Fault:
    """what: the part, as a reader would name it; why: the exception in one line. Its traceback is in the log."""

    what: str
    why: str


def _never(_: Exception) -> bool:
    return False


@contextmanager
def spared(faults: list[Fault], what: str, ends: Callable[[Exception], bool] = _never) -> Iterator[None]:
    """Note what raises inside in `faults`, print its traceback, and go on behind; NothingToShow is no fault.

    ends: which other exceptions are none, and are raised.
    """
    try:
        yield
    except NothingToShow:
        raise
    except Exception as error:
        if ends(error):
            raise
        traceback.print_exc()
        print(f"failed: {what}; all else goes on", file=sys.stderr, flush=True)
        faults.append(Fault(what, f"{type(error).__name__}: {printable(error)}"))
