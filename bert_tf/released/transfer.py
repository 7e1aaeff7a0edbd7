"""A file over HTTP that arrives whole or not at all: it resumes, waits, and knows an error page.

    FILE.part           what has arrived
    FILE.part.json      of which version of the file: its size, ETag, date, MD5

A broken connection goes on where it broke, at once or when the same command runs again. Only the
standard library is used.
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.client
import json
import logging
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TextIO

from bert_tf import files
from bert_tf.progress import Progress
from bert_tf.version import __version__

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_ZIP_START = b"PK\x03\x04"
# What a server says when it may work later: too slow, too many requests, its own trouble.
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    stall_seconds: without a byte, after which a connection counts as broken.
    attempts: in a row, none of which brings a byte.
    pause_seconds: before the second attempt; twice as long before each further one.
    """

    stall_seconds: float = 60.0
    attempts: int = 5
    pause_seconds: float = 1.0


class DownloadError(OSError):
    """A download that cannot succeed, or not now."""


class _Broken(Exception):
    """An attempt that failed, where another may succeed."""


@dataclasses.dataclass(frozen=True)
class _Version:
    """Which version of a file has begun to arrive; None where the server does not say."""

    url: str
    size: int | None = None
    etag: str | None = None
    modified: str | None = None
    md5: str | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: a weak ETag does not promise the same bytes."""
        is_strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if is_strong else self.modified


def fetch_zip(
    url: str,
    part: Path,
    patience: Patience | None = None,
    stream: TextIO | None = None,
    expected_bytes: int | None = None,
) -> None:
    """Downloads a zip into `part`; what is there of it already is not downloaded again.

    Its size is held to what the server says and to `expected_bytes`, its bytes to the MD5 sum that
    Google's storage sends along. That it is a whole zip is for the reader to see.

    Args:
        url: http or https.
        part: where it arrives, beside its final place.
        patience: see Patience.
        stream: where progress is shown; nowhere if None.
        expected_bytes: its published size.

    Raises:
        DownloadError: with what would do. What has arrived stays, unless it is wrong.
    """
    patience = patience or Patience()
    most, failures = 0, 0
    while True:
        try:
            version = _attempt(url, part, patience.stall_seconds, stream, expected_bytes)
            break
        except _Broken as error:
            arrived = _size(part)
            failures = 0 if arrived > most else failures + 1
            most = max(most, arrived)
            if failures >= patience.attempts:
                raise DownloadError(
                    f"{url}: {error}. {patience.attempts} attempts in a row brought nothing. "
                    f"{arrived:,} bytes have arrived; the same command goes on from there."
                ) from error
            pause = patience.pause_seconds * 2 ** max(failures - 1, 0)
            pause = min(pause, _LONGEST_PAUSE_SECONDS)
            logger.warning("%s: %s. Trying again in %g s.", url, error, pause)
            time.sleep(pause)
    if version.md5 is not None and digest(part, "md5") != version.md5:
        discard(part)
        raise DownloadError(
            f"{url}: its bytes do not have the MD5 sum that the server gives, and were removed. "
            "Run the same command again; if it happens again, something on the way alters the file."
        )


def discard(part: Path) -> None:
    """Removes what has arrived, and what is known of it."""
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


def digest(path: Path, algorithm: str) -> str:
    """A sum of a file's bytes, as hexadecimal digits; `algorithm` is one of hashlib's."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


def _attempt(
    url: str, part: Path, stall_seconds: float, stream: TextIO | None, expected_bytes: int | None
) -> _Version:
    """One connection. Returns the file's version when all of it has arrived."""
    known = _read_state(part, url) if _size(part) else None
    offset = _size(part)
    if known and known.size == offset:
        return known
    with _open(url, known, offset, part, stall_seconds) as response:
        start, version = b"", known
        if known and response.status == 206:
            _check_continues(response, known, offset, part)
        else:
            start = _read(response, len(_ZIP_START))
            _check_is_zip(url, response, start)
            offset, version = 0, _version_of(url, response)
            _check_size(url, version.size, expected_bytes)
            discard(part)
            _write_state(part, version)
        _receive(response, part, version, offset, start, stream)
    arrived = _size(part)
    if version.size is not None and arrived < version.size:
        raise _Broken(f"the connection broke off after {arrived:,} of {version.size:,} bytes")
    return dataclasses.replace(version, size=arrived)


def _open(
    url: str, known: _Version | None, offset: int, part: Path, stall_seconds: float
) -> http.client.HTTPResponse:
    """The server's answer. What is known is asked to be continued from `offset` on."""
    headers = {"User-Agent": f"bert_tf/{__version__}", "Accept-Encoding": "identity"}
    if known:
        headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.urlopen(request, timeout=stall_seconds)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                discard(part)
                raise _Broken("the server has fewer bytes than have arrived") from error
            if error.code in _MAY_PASS:
                raise _Broken(f"the server answers {error.code} {error.reason}") from error
            raise DownloadError(f"{url}: {_refusal(error)}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{url}: the server's certificate is not valid ({reason}). Behind a proxy with a "
                "certificate of its own, name that in SSL_CERT_FILE."
            ) from error
        raise _Broken(_what_broke(reason, stall_seconds)) from error


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    version: _Version,
    offset: int,
    start: bytes,
    stream: TextIO | None,
) -> None:
    """Adds what comes to `part`."""
    total = None if version.size is None else version.size / 1e6
    progress = stream and Progress(total, "MB", stream, part.name.lstrip("."), offset / 1e6)
    with progress or contextlib.nullcontext(), open(part, "ab") as file:
        chunk = start or _read(response, _CHUNK_BYTES)
        while chunk:
            file.write(chunk)
            if progress:
                progress.update(len(chunk) / 1e6)
            if version.size is not None and file.tell() > version.size:
                break
            file.flush()  # Killed, the next run goes on from here.
            chunk = _read(response, _CHUNK_BYTES)
    if version.size is not None and _size(part) > version.size:
        discard(part)
        raise _Broken(f"the server sent more than the {version.size:,} bytes that it announced")


def _read(response: http.client.HTTPResponse, size: int) -> bytes:
    """What has come, at most `size` bytes; b"" at the end."""
    try:
        return response.read1(size)
    except (http.client.HTTPException, OSError) as error:
        raise _Broken(_what_broke(error, None)) from error


def _what_broke(reason: object, stall_seconds: float | None) -> str:
    if isinstance(reason, TimeoutError):
        waited = f" in {stall_seconds:g} s" if stall_seconds else ""
        return f"the server stalls: nothing came{waited}"
    if isinstance(reason, socket.gaierror):
        return f"the server's address cannot be found, as without a network ({reason})"
    return f"the connection broke off ({reason or type(reason).__name__})"


def _check_continues(
    response: http.client.HTTPResponse, known: _Version, offset: int, part: Path
) -> None:
    """Refuses a part that does not continue the one that is there."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    version = _version_of(known.url, response)
    same = all(
        getattr(version, name) in (None, getattr(known, name)) for name in ("etag", "modified")
    )
    total = {"*": None}.get(match[2], match[2]) if match else None
    if not match or int(match[1]) != offset or not same or total not in (None, str(known.size)):
        discard(part)
        raise _Broken("the server goes on with another file, or elsewhere in it: starting anew")


def _check_is_zip(url: str, response: http.client.HTTPResponse, start: bytes) -> None:
    kind = response.headers.get_content_type()
    looks_right = kind != "text/html" and start.startswith(_ZIP_START[: len(start)])
    if response.status == 200 and looks_right:
        return
    text = (start + _read(response, 200)).decode("utf-8", "replace")
    raise DownloadError(
        f"{url}: the server sends no zip but {kind}, which begins with "
        f"{' '.join(text.split())[:80]!r}: an error page, or the login of a network? Try another "
        "network or a mirror; or download the zip with a browser and give its path as --model."
    )


def _check_size(url: str, size: int | None, expected: int | None) -> None:
    if expected is not None and size is not None and size != expected:
        raise DownloadError(
            f"{url}: the server's file has {size:,} bytes, the released one {expected:,}: it is "
            "another file. Try another mirror."
        )


def _refusal(error: urllib.error.HTTPError) -> str:
    """What a final refusal means, and what would do."""
    if error.code in (404, 410):
        return (
            f"there is no such file ({error.code} {error.reason}). A mirror must have the models "
            "under the paths of the release, as 2018_10_18/uncased_L-12_H-768_A-12.zip."
        )
    return (
        f"the server refuses ({error.code} {error.reason}). Google's storage does that now and "
        "then, and for some networks always: try later, from another network, or from a mirror "
        "(BERT_TF_MIRROR); or download the zip with a browser and give its path as "
        "--model."
    )


def _version_of(url: str, response: http.client.HTTPResponse) -> _Version:
    headers = response.headers
    length = headers.get("Content-Length", "")
    hashes = re.findall(r"md5=([A-Za-z0-9+/=]+)", ",".join(headers.get_all("x-goog-hash", [])))
    return _Version(
        url=url,
        size=int(length) if length.isdigit() else None,
        etag=headers.get("ETag"),
        modified=headers.get("Last-Modified"),
        md5=base64.b64decode(hashes[0]).hex() if hashes else None,
    )


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _write_state(part: Path, version: _Version) -> None:
    with files.atomic_write(str(_state_path(part)), "w") as file:
        file.write(json.dumps(dataclasses.asdict(version), indent=2) + "\n")


def _read_state(part: Path, url: str) -> _Version | None:
    """What has begun to arrive from `url`; None if nothing that can be continued."""
    try:
        version = _Version(**json.loads(_state_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    can_go_on = version.url == url and version.validator and version.size is not None
    return version if can_go_on else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
