"""Downloads a zip over HTTP, resuming where an earlier attempt or an earlier process stopped.

    FILE.part           the bytes received so far
    FILE.part.json      the version of the file: size, ETag or date, MD5

Written by hand because pooch and `keras.utils.get_file` cannot resume.
"""

import base64
import dataclasses
import http.client
import io
import logging
import re
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TextIO

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.progress import Progress
from bert_tf.version import __version__

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_ZIP_START, _GZIP_START = b"PK\x03\x04", b"\x1f\x8b"
# Timeouts, rate limits and server errors, worth another attempt.
_TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE_SECONDS = 60.0
_MISSING_HINT = "A mirror needs the release's paths: 2018_10_18/uncased_L-12_H-768_A-12.zip."
_REFUSED_HINT = (
    "Google's storage does this at times: try later, another network or a mirror (BERT_TF_MIRROR), "
    "or download the zip with a browser and give its path as --model."
)
_NETWORK_ERRORS = (http.client.HTTPException, OSError)


@dataclasses.dataclass(frozen=True)
class DownloadOptions:
    """Options of downloads and the cache."""

    cache_dir: str | None = None  # See `bert_tf.released.cache.cache_folder`.
    mirror: str | None = None  # See `bert_tf.released.models.mirror_url`.
    stream: TextIO | None = None  # Where progress is shown; None for nowhere.
    stall_seconds: float = 60.0  # A connection without data for this long is closed.
    attempts: int = 5  # The maximum number in a row without new data.
    pause_seconds: float = 1.0  # Before the second attempt; doubles before each further one.


class DownloadError(OSError):
    """Raised when a download fails; says why and what to do."""


class _Broken(Exception):
    """A failed attempt that may be repeated."""


@dataclasses.dataclass(frozen=True)
class _Version:
    """Identifies a version of a file; None where the server does not say."""

    url: str
    size: int | None
    validator: str | None  # For `If-Range`: a strong ETag, or else the date.
    md5: str | None


def fetch_zip(url: str, part: Path, options: DownloadOptions, max_bytes: int) -> None:
    """Downloads a zip into `part`, resuming from its bytes; checks the server's size and MD5 sum.

    Raises a DownloadError if that fails, or as soon as there are more than `max_bytes`. Received
    bytes are kept unless they are wrong.
    """
    transfer = _Transfer(url, part, options, max_bytes)
    most, failures = 0, 0
    while True:
        try:
            version = transfer.attempt()
            break
        except _Broken as error:
            received = _size(part)
            failures = 0 if received > most else failures + 1
            most = max(most, received)
            if failures >= options.attempts:
                raise DownloadError(
                    f"{url}: {error}. {options.attempts} attempts in a row brought no new data. "
                    f"{received:,} bytes have arrived; run the same command again to resume."
                ) from error
            pause = min(options.pause_seconds * 2 ** max(failures - 1, 0), _LONGEST_PAUSE_SECONDS)
            logger.warning("%s: %s. Trying again in %g s.", url, error, pause)
            time.sleep(pause)
    if version.md5 is not None and files.file_digest(str(part), "md5") != version.md5:
        discard(part)
        raise DownloadError(
            f"{url}: the downloaded bytes do not match the server's MD5 sum and were removed. Run "
            "the same command again; if it fails again, something on the way alters the file."
        )


def discard(part: Path) -> None:
    """Removes a partial download and its record."""
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Transfer:
    url: str
    part: Path
    options: DownloadOptions
    max_bytes: int

    def attempt(self) -> _Version:
        """Uses one connection; returns the file's version when the file is complete."""
        known, offset = _read_state(self.part, self.url), _size(self.part)
        if known and known.size == offset:
            return known
        with self._open(known, offset) as response:
            if known and response.status == 206:
                content_range = response.headers.get("Content-Range", "")
                fits = re.fullmatch(rf"bytes {offset}-\d+/({known.size}|\*)", content_range)
                validator = _version_of(self.url, response).validator
                if not fits or validator not in (None, known.validator):
                    discard(self.part)
                    raise _Broken("the server sent a part of another file: starting again")
                chunk = self._read(response, _CHUNK_BYTES)
            else:
                known, chunk = self._begin(response)
            self._receive(response, known, chunk)
        received = _size(self.part)
        if known.size is not None and received > known.size:
            discard(self.part)
            raise _Broken(f"the server sent more than the {known.size:,} bytes it announced")
        if known.size is not None and received < known.size:
            raise _Broken(f"the connection was lost after {received:,} of {known.size:,} bytes")
        return known

    def _open(self, known: _Version | None, offset: int) -> http.client.HTTPResponse:
        """Requests the file, or a known version's bytes from `offset`."""
        headers = {"User-Agent": f"bert_tf/{__version__}", "Accept-Encoding": "identity"}
        if known:
            headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
        try:
            request = urllib.request.Request(self.url, headers=headers)
            return urllib.request.urlopen(request, timeout=self.options.stall_seconds)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:
                    discard(self.part)
                    raise _Broken("the server's file is shorter than what was received") from error
                if error.code in _TRANSIENT_STATUSES:
                    raise _Broken(f"the server answers {error.code} {error.reason}") from error
                answer = f"{error.code} {error.reason}"
                reason = f"the server refuses ({answer}). {_REFUSED_HINT}"
                if error.code in (404, 410):
                    reason = f"there is no such file ({answer}). {_MISSING_HINT}"
                raise DownloadError(f"{self.url}: {reason}") from error
        except _NETWORK_ERRORS as error:
            raise self._broken(error) from error

    def _begin(self, response: http.client.HTTPResponse) -> tuple[_Version, bytes]:
        """Starts again; returns the file's version and first bytes."""
        wanted = _GZIP_START if self.url.endswith(".gz") else _ZIP_START
        start = self._read(response, len(wanted))
        kind = response.headers.get_content_type()
        if kind == "text/html" or not start.startswith(wanted[: len(start)]):
            text = (start + self._read(response, 200)).decode("utf-8", "replace")
            raise DownloadError(
                f"{self.url}: the server sends no zip but {kind}: {' '.join(text.split())[:80]!r}. "
                "Is this an error page or a network's login page? Try another network or a mirror, "
                "or download the zip with a browser and give its path as --model."
            )
        version = _version_of(self.url, response)
        discard(self.part)
        self._check_size(version.size or 0)
        write_json(str(_state_path(self.part)), dataclasses.asdict(version))
        return version, start

    def _receive(self, response: http.client.HTTPResponse, version: _Version, chunk: bytes) -> None:
        """Appends `chunk` and the rest of the response to `part`."""
        total = None if version.size is None else version.size / 1e6
        name, stream = self.part.name.lstrip("."), self.options.stream
        progress = Progress(total, "MB", stream or io.StringIO(), name, _size(self.part) / 1e6)
        with progress, open(self.part, "ab") as file:
            while chunk and (version.size is None or file.tell() <= version.size):
                self._check_size(file.tell() + len(chunk))
                file.write(chunk)
                file.flush()  # So that a killed process can be resumed from here.
                progress.update(len(chunk) / 1e6)
                chunk = self._read(response, _CHUNK_BYTES)

    def _check_size(self, num_bytes: int) -> None:
        if num_bytes > self.max_bytes:
            discard(self.part)
            raise DownloadError(
                f"{self.url}: the server sends more than the {self.max_bytes:,} bytes that this "
                f"file can have, so it is another one. {self.part} was removed. Try a mirror "
                "(BERT_TF_MIRROR)."
            )

    def _read(self, response: http.client.HTTPResponse, size: int) -> bytes:
        try:
            return response.read1(size)
        except _NETWORK_ERRORS as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> Exception:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):  # Another attempt would not help.
            return DownloadError(
                f"{self.url}: invalid certificate ({reason}). Behind a proxy, set SSL_CERT_FILE."
            )
        if isinstance(reason, TimeoutError):
            reason = f"nothing arrived in {self.options.stall_seconds:g} s"
        return _Broken(f"the connection failed ({reason or type(reason).__name__})")


def _version_of(url: str, response: http.client.HTTPResponse) -> _Version:
    headers = response.headers
    length, etag = headers.get("Content-Length", ""), headers.get("ETag", "W/")
    hashes = re.findall(r"md5=([A-Za-z0-9+/=]+)", ",".join(headers.get_all("x-goog-hash", [])))
    return _Version(
        url=url,
        size=int(length) if length.isdigit() else None,
        # A weak ETag does not promise identical bytes.
        validator=headers.get("Last-Modified") if etag.startswith("W/") else etag,
        md5=base64.b64decode(hashes[0]).hex() if hashes else None,
    )


_STATE_FORM = {"url": str, "size": int, "validator": str, "md5": str | None}


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path, url: str) -> _Version | None:
    """Returns the version of the received bytes; None if they cannot be resumed."""
    try:
        version = _Version(**read_json(str(_state_path(part)), _STATE_FORM))
    except (OSError, ValueError, TypeError):
        return None
    can_resume = _size(part) and version.url == url and version.validator and version.size
    return version if can_resume else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
