"""What goes wrong in a file that a user adds to the library, a network or a perturbation, in one line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weight_atlas.plan.checks import ConfigError


@contextmanager
def in_one_line(where: str) -> Iterator[None]:
    """Turn whatever the code within raises, and its sys.exit, into a ConfigError that begins with `where`.

    A ValueError is the library's own line; of anything else it is said where in the file it happened.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}: {_line(error)}") from None
    except SyntaxError as error:
        raise ConfigError(f"{where}: {error.filename}, line {error.lineno}: {error.msg}; correct the file") from None
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        file = Path(last.filename)
        said = f"{type(error).__name__}: {_line(error)}".rstrip(": ")
        raise ConfigError(f"{where}: {file.parent.name}/{file.name}, line {last.lineno}: {said}; correct it") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:1000]
