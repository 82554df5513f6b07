"""Parts of a chapter that raise: they are noted, and all other parts stand."""

import traceback
from collections.abc import Iterator
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


@contextmanager
def spared(faults: list[Fault], what: str) -> Iterator[None]:
    """Note what raises inside in `faults`, print its traceback, and go on behind; NothingToShow is no fault."""
    try:
        yield
    except NothingToShow:
        raise
    except Exception as error:
        traceback.print_exc()
        faults.append(Fault(what, f"{type(error).__name__}: {printable(error)}"))
