"""A checkpoint's files out of a zip, which may come from anywhere and say anything.

    uncased_L-12_H-768_A-12/bert_config.json
    uncased_L-12_H-768_A-12/vocab.txt
    uncased_L-12_H-768_A-12/bert_model.ckpt.index
    uncased_L-12_H-768_A-12/bert_model.ckpt.data-00000-of-00001

The files may lie at any depth. A zip in which any name leads out of the folder, or which holds a
link, is refused whole. Every byte that is taken out is held to the zip's checksums.
"""

import contextlib
import errno
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bert_tf.formats.structure import CONFIG_NAME

_ENCRYPTED = 0x1
_COPY_BYTES = 1 << 20
# What zipfile raises for a zip that is damaged or packed in a way that Python cannot unpack.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def is_checkpoint_zip(path: Path) -> bool:
    """Whether a file is a zip with a `bert_config.json` in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == CONFIG_NAME for name in archive.namelist())
    except (*_DAMAGE, OSError):
        return False


def checkpoint_name(path: Path) -> str:
    """The name of the folder in a zip that holds the checkpoint; the zip's own where none does.

    Raises:
        ValueError: see `extract_checkpoint`.
    """
    with _opened(path) as archive:
        return _checkpoint_folder(path, archive).name or path.stem


def extract_checkpoint(path: Path, folder: Path) -> None:
    """Writes the files beside the zip's `bert_config.json`, the checkpoint's, into `folder`.

    Raises:
        ValueError: if it is no whole zip, has no checkpoint or several, or holds what no zip of a
            model has: names that lead out of the folder, links, two files of one name, a password.
        OSError: if the disk has no room for them.
    """
    with _opened(path) as archive:
        root = _checkpoint_folder(path, archive)
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and PurePosixPath(member.filename).parent == root
        ]
        needed, free = sum(m.file_size for m in members), shutil.disk_usage(folder).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"unpacked, {path} needs {needed / 1e6:,.0f} MB, and the disk has room for "
                f"{free / 1e6:,.0f}: set BERT_TF_CACHE to a folder with more",
                str(folder),
            )
        for member in members:
            target = folder / PurePosixPath(member.filename).name
            with archive.open(member) as source, open(target, "xb") as file:
                shutil.copyfileobj(source, file, _COPY_BYTES)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip whose members are all harmless."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set()
            for member in archive.infolist():
                _check_member(path, member)
                if member.filename in names:
                    raise ValueError(f"{path}: {member.filename!r} is in the zip twice.")
                names.add(member.filename)
            yield archive
    except _DAMAGE as error:
        raise ValueError(f"{path}: the zip is damaged or not whole: {error}") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    # ZipFile shortens a name at a NUL; what the file really says is in orig_filename.
    name, mode = member.orig_filename, member.external_attr >> 16
    parts = re.split(r"[/\\]", name)
    if (
        ".." in parts
        or not parts[0]
        or "\\" in name
        or "\0" in name
        or re.match(r"[A-Za-z]:", name)
    ):
        raise ValueError(
            f"{path}: refused: {name!r} in the zip would be written outside of its folder, or is "
            "no plain name. No released model has such a file."
        )
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{path}: refused: {name!r} in the zip is a link or a device, no file.")
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{path}: {name!r} in the zip is encrypted. Unpack it, and give a folder.")


def _checkpoint_folder(path: Path, archive: zipfile.ZipFile) -> PurePosixPath:
    """The folder in the zip that holds `bert_config.json`."""
    names = [PurePosixPath(name) for name in archive.namelist()]
    # What macOS adds to a zip is no model.
    folders = [n.parent for n in names if n.name == CONFIG_NAME and "__MACOSX" not in n.parts]
    if len(folders) == 1:
        return folders[0]
    if folders:
        raise ValueError(
            f"{path}: there are {len(folders)} models in the zip, one is needed. Unpack it, and "
            f"give the path of one: {', '.join(str(folder) for folder in folders)}"
        )
    listed = ", ".join(str(name) for name in names[:10]) or "nothing"
    raise ValueError(
        f"{path}: no google-research checkpoint: there is no {CONFIG_NAME} in the zip. There: "
        f"{listed}"
    )
