"""Extracts a checkpoint from a zip of any origin, or from a tar as ALBERTs are released.

Its files may be at any depth. A zip with links or with names that lead out of the target folder is
refused. All extracted bytes are checked against the zip's CRCs.
"""

import contextlib
import errno
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bert_tf import files
from bert_tf.formats.source import CONFIG_NAME, CONFIG_NAMES, check_growth

_ENCRYPTED = 0x1


def checkpoint_name(path: Path, beside: str = CONFIG_NAME) -> str:
    """Returns the name of the zip's folder with the checkpoint, or of the zip if it has none."""
    with _opened(path) as archive:
        return _checkpoint_folder(path, archive, beside).name or path.stem


def extract_checkpoint(path: Path, folder: Path, beside: str = CONFIG_NAME) -> None:
    """Extracts `bert_config.json`, or `beside` in its place, and the files beside it into `folder`.

    Raises a ValueError if the zip is damaged or unsafe, or does not have exactly one checkpoint; an
    OSError if the disk is too full.
    """
    if tarfile.is_tarfile(path):
        _extract_tar(path, folder)
        return
    with _opened(path) as archive:
        root = _checkpoint_folder(path, archive, beside)
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and PurePosixPath(member.filename).parent == root
        ]
        _check_space(path, folder, sum(m.file_size for m in members))
        for member in members:
            target = folder / PurePosixPath(member.filename).name
            with archive.open(member) as source, open(target, "xb") as file:
                shutil.copyfileobj(source, file)


def _check_space(path: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = (
            f"{path} needs {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB left: set "
            "BERT_TF_CACHE to a folder with more space"
        )
        raise OSError(errno.ENOSPC, reason, str(folder))


def _extract_tar(path: Path, folder: Path) -> None:
    """Extracts the files beside the configuration of a tar; links in it are left out."""
    with files.naming_damage(str(path)), tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        roots = {
            PurePosixPath(member.name).parent
            for member in members
            if PurePosixPath(member.name).name in CONFIG_NAMES
        }
        if len(roots) != 1:
            raise ValueError(
                f"{path}: one model is needed, with {' or '.join(CONFIG_NAMES)}. There: "
                f"{files.some(member.name for member in members) or 'nothing'}"
            )
        members = [m for m in members if {PurePosixPath(m.name).parent} == roots]
        needed = sum(member.size for member in members)
        if needed > files.max_unpacked_bytes(path.stat().st_size):
            raise ValueError(f"{path}: refused: it grows to {needed:,} bytes.")
        _check_space(path, folder, needed)
        for member in members:
            target = folder / PurePosixPath(member.name).name
            with archive.extractfile(member) as source, open(target, "xb") as file:
                shutil.copyfileobj(source, file)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip and checks all of its members."""
    files.refuse_other_kinds(str(path), "zip")
    with files.naming_damage(str(path)), zipfile.ZipFile(path) as archive:
        check_growth(str(path), archive)
        names = set()
        for member in archive.infolist():
            _check_member(path, member)
            if member.filename in names:
                raise ValueError(f"{path}: {member.filename!r} is in the zip twice.")
            names.add(member.filename)
        yield archive


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


def _checkpoint_folder(path: Path, archive: zipfile.ZipFile, beside: str) -> PurePosixPath:
    names = [PurePosixPath(name) for name in archive.namelist()]
    # macOS adds copies to a zip.
    folders = [n.parent for n in names if n.name == beside and "__MACOSX" not in n.parts]
    if len(folders) > 1:
        raise ValueError(
            f"{path}: there are {len(folders)} models in the zip, and one is needed. Extract it "
            f"and give the path of one: {', '.join(map(str, folders))}"
        )
    if not folders:
        raise ValueError(
            f"{path}: not a google-research checkpoint: there is no {beside} in the zip. "
            f"There: {files.some(map(str, names)) or 'nothing'}"
        )
    return folders[0]
