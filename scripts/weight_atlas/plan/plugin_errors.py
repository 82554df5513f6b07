"""What goes wrong in a file that a user adds to the library, a network or a perturbation, in one line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weight_atlas import perturbations
from weight_atlas.networks import architectures
from weight_atlas.plan.checks import ConfigError


@contextmanager
def in_one_line(where: str) -> Iterator[None]:
    """Turn whatever the code within raises, and its sys.exit, into a ConfigError that begins with `where`.

    A ValueError is the library's own line; of anything else it is said where in the user's file it happened.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}: {_line(error)}") from None
    except SyntaxError as error:
        file = f"{_short(error.filename)}, line {error.lineno}: " if error.filename else ""
        raise ConfigError(f"{where}: {file}{error.msg}; correct the file") from None
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        folders = {*architectures.__path__, *perturbations.__path__}
        last = [frame for frame in frames if str(Path(frame.filename).parent) in folders][-1:] or frames[-1:]
        said = f"{type(error).__name__}: {_line(error)}".rstrip(": ")
        raise ConfigError(f"{where}: {_short(last[0].filename)}, line {last[0].lineno}: {said}; correct it") from None


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-2:])


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:1000]
