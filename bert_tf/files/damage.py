"""Words errors: of damaged files, of missing packages; cuts long lists."""

import contextlib
import importlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from types import ModuleType

# Readers and libraries raise these for content that they do not expect. Among RuntimeErrors are
# RecursionError, NotImplementedError and what StopIteration becomes in a generator.
_SIGNS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(StopIteration, TypeError, ValueError),
    *(lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)
_PACKAGES = {"yaml": "pyyaml"}  # By the module's name, if it is another.


@contextlib.contextmanager
def naming_damage(path: str) -> Iterator[None]:
    """Gives errors in the block, which reads `path`, the path and a class that programs show.

    Errors about damaged content become a ValueError, those of TensorFlow too. ValueErrors that have
    the path, and the operating system's errors, stay as they are.
    """
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{path}: too large for the memory. {error}") from error
    except Exception as error:
        is_of_system = isinstance(error, OSError) and error.errno is not None
        is_named = isinstance(error, ValueError) and str(path) in str(error)
        is_of_tensorflow = type(error).__module__.startswith("tensorflow.")
        if is_of_system or is_named or not (is_of_tensorflow or isinstance(error, _SIGNS)):
            raise
        raise ValueError(_message(path, error)) from error


def optional_module(name: str, user: str) -> ModuleType:
    """Returns a module of a package that only its `user` needs.

    Raises a ValueError that says how to install it if it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ValueError(
            f"{user} needs a package that is not installed ({error}): "
            f"pip install {_PACKAGES.get(package, package)}"
        ) from error


def some(names: Iterable[str], separator: str = ", ", listed: int = 10) -> str:
    """Returns the first few of `names` and the number of others, for a message."""
    names = list(names)
    more = len(names) - listed
    return separator.join(names[:listed]) + (f"{separator}and {more:,} more" if more > 0 else "")


def _message(path: str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"{path}: lists or objects are nested too deeply to be read."
    if isinstance(error, ValueError):
        return f"{path}: {error}"
    name, reason = type(error).__name__, getattr(error, "message", error)
    return f"{path}: it is damaged or incomplete, or of another form ({name}: {reason})."
