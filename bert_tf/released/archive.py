"""Extracts a checkpoint from a zip of any origin, or from a tar as ALBERTs are released.

Its files may be at any depth. A zip with links or with names that lead out of the target folder is
refused. All extracted bytes are checked against the zip's CRCs.
"""

import collections
import contextlib
import errno
import functools
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from bert_tf import files
from bert_tf.formats.source import CONFIG_NAME, CONFIG_NAMES, check_growth

_ENCRYPTED = 0x1


class _File(NamedTuple):
    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def checkpoint_name(path: Path, beside: str = CONFIG_NAME) -> str:
    """Returns the name of the zip's folder with the checkpoint, or of the zip if it has none."""
    with _opened(path) as archived:
        return _checkpoint_folder(path, archived, beside).name or path.stem


def extract_checkpoint(path: Path, folder: Path, beside: str = CONFIG_NAME) -> None:
    """Extracts a model's configuration, or `beside` in its place, and the files beside it.

    Raises a ValueError if the zip is damaged or unsafe, or does not have exactly one checkpoint; an
    OSError if the disk is too full.
    """
    with _opened(path) as archived:
        root = _checkpoint_folder(path, archived, beside)
        archived = [file for file in archived if file.path.parent == root]
        needed, free = sum(file.size for file in archived), shutil.disk_usage(folder).free
        if needed > free:
            reason = (
                f"{path} needs {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB left: set "
                "BERT_TF_CACHE to a folder with more space"
            )
            raise OSError(errno.ENOSPC, reason, str(folder))
        for file in archived:
            with file.open() as source, open(folder / file.path.name, "xb") as target:
                shutil.copyfileobj(source, target)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[list[_File]]:
    """Opens a zip or a tar, checks all of it, and yields its files."""
    if tarfile.is_tarfile(path):
        with files.naming_damage(str(path)), tarfile.open(path) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]  # No links.
            size = sum(member.size for member in members)
            if size > files.max_unpacked_bytes(path.stat().st_size):
                raise ValueError(f"{path}: refused: it grows to {size:,} bytes.")
            yield [_file(m.name, m.size, archive.extractfile, m) for m in members]
        return
    files.refuse_other_kinds(str(path), "zip")
    with files.naming_damage(str(path)), zipfile.ZipFile(path) as archive:
        check_growth(str(path), archive)
        members = archive.infolist()
        for member in members:
            _check_member(path, member)
        for name, count in collections.Counter(archive.namelist()).items():
            if count > 1:
                raise ValueError(f"{path}: {name!r} is in the zip twice.")
        yield [_file(m.filename, m.file_size, archive.open, m) for m in members if not m.is_dir()]


def _file(name: str, size: int, opens: Callable, member: object) -> _File:
    return _File(PurePosixPath(name), size, functools.partial(opens, member))


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    # ZipFile cuts names at a NUL; orig_filename is complete.
    name, mode = member.orig_filename, member.external_attr >> 16
    parts = re.split(r"[/\\]", name)
    if ".." in parts or not parts[0] or re.search(r"\\|\0|^[A-Za-z]:", name):
        raise ValueError(
            f"{path}: refused: {name!r} in the zip would be written outside of its folder, or is "
            "not a plain name."
        )
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{path}: refused: {name!r} in the zip is a link or a device, no file.")
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{path}: {name!r} in the zip is encrypted. Extract it and give a folder.")


def _checkpoint_folder(path: Path, archived: list[_File], beside: str) -> PurePosixPath:
    wanted = CONFIG_NAMES if beside == CONFIG_NAME else (beside,)
    # macOS adds copies to a zip.
    found = [f.path for f in archived if f.path.name in wanted and "__MACOSX" not in f.path.parts]
    folders = sorted({path.parent for path in found})
    if len(folders) > 1:
        raise ValueError(
            f"{path}: there are {len(folders)} models in the archive, and one is needed. Extract "
            f"it and give the path of one: {', '.join(map(str, folders))}"
        )
    if not folders:
        raise ValueError(
            f"{path}: not a google-research checkpoint: there is no {' or '.join(wanted)} in the "
            f"archive. There: {files.some(str(file.path) for file in archived) or 'nothing'}"
        )
    return folders[0]
