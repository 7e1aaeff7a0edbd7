"""A web server that serves one file, well or badly: an action a request, the last one for ever."""

import base64
import hashlib
import re
import threading
from dataclasses import dataclass

from local_server import LocalServer

HTML = b"<!DOCTYPE html><html><title>Sign in</title><p>Welcome to the hotel's network</p></html>"


@dataclass
class Reply:
    """How a request is answered.

    status: an error's number; 200 for the file.
    content: what is sent in place of the file.
    stop_after: bytes of the body after which the connection breaks, or stalls.
    stalls: nothing more comes then, but the connection stays.
    knows_ranges: whether `Range` is understood.
    content_range: sent in place of the right one.
    headers: further ones.
    """

    status: int = 200
    content: bytes | None = None
    content_type: str = "application/zip"
    stop_after: int | None = None
    stalls: bool = False
    knows_ranges: bool = True
    content_range: str | None = None
    has_length: bool = True
    etag: str | None = '"first"'
    headers: tuple[tuple[str, str], ...] = ()


class ZipServer(LocalServer):
    """Serves `content` on 127.0.0.1; `requests` are the paths and headers that came."""

    def __init__(self, content: bytes, replies: list[Reply]):
        self.content = content
        self.replies = list(replies)
        self.requests: list[tuple[str, dict]] = []
        self.stopped = threading.Event()
        super().__init__()

    def stop(self) -> None:
        self.stopped.set()
        super().stop()

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def answer(self, request) -> None:
        self.requests.append((request.path, dict(request.headers)))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        body = self.content if reply.content is None else reply.content
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wanted and reply.knows_ranges and request.headers.get("If-Range") == reply.etag:
            start = int(wanted[1])
        status = 206 if start else reply.status
        if start >= len(body) > 0:
            status = 416
        request.send_response(status)
        request.send_header("Content-Type", reply.content_type)
        if reply.etag:
            request.send_header("ETag", reply.etag)
        for name, value in reply.headers:
            request.send_header(name, value)
        if status == 206:
            right = f"bytes {start}-{len(body) - 1}/{len(body)}"
            request.send_header("Content-Range", reply.content_range or right)
        body = body[start:]
        if reply.has_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if reply.stop_after is None else body[: reply.stop_after])
        request.wfile.flush()
        if reply.stalls:
            self.stopped.wait(20)
        request.close_connection = True


def goog_hash(content: bytes) -> tuple[str, str]:
    """The header in which Google's storage gives a file's MD5 sum."""
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    return ("x-goog-hash", f"crc32c=AAAAAA==,md5={md5}")
