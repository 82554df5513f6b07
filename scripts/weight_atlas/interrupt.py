"""Ctrl-C: what a user sees of it. It imports next to nothing, so that it counts early."""

import sys
from types import TracebackType

STOPPED = "stopped; the same command goes on"


def end_in_one_line() -> None:
    """From here on, this process ends in one line where a user stops it, and not in a traceback."""
    sys.excepthook = _say
    sys.unraisablehook = _say_unraisable  # once more, while it ends


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(STOPPED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _say_unraisable(what: "sys.UnraisableHookArgs") -> None:
    if not issubclass(what.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(what)
