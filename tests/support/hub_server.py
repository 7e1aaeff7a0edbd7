"""A server that answers as the Hugging Face Hub does, of repositories that are folders here."""

import hashlib
import json
import urllib.parse
from pathlib import Path

from local_server import LocalServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(LocalServer):
    """Serves `folders`, by the names of the repositories; `requests` are the paths that came."""

    def __init__(self, folders: dict[str, Path]):
        self.folders = folders
        self.requests: list[str] = []
        super().__init__()

    def answer(self, request) -> None:
        has_body = request.command != "HEAD"
        path = urllib.parse.unquote(urllib.parse.urlparse(request.path).path).strip("/")
        self.requests.append(f"{request.command} {path}")
        parts = path.removeprefix("api/models/").split("/")
        folder = self.folders.get("/".join(parts[:2]))
        if folder is None:
            self._send(request, 404, {"X-Error-Code": "RepoNotFound"}, b"{}", has_body)
        elif parts[2:3] == ["resolve"]:
            file = folder / "/".join(parts[4:])
            if not file.is_file():
                self._send(request, 404, {"X-Error-Code": "EntryNotFound"}, b"", has_body)
                return
            content = file.read_bytes()
            sums = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self._send(request, 200, sums, content, has_body)
        elif parts[2:3] == ["tree"]:
            tree = [
                {"type": "file", "path": name, "size": size, "oid": "0" * 40}
                for name, size in _files(folder).items()
            ]
            self._send(request, 200, {}, json.dumps(tree).encode(), has_body)
        elif parts[3:] in ([], ["main"], [COMMIT]):
            siblings = [{"rfilename": name} for name in _files(folder)]
            about = {"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": siblings}
            self._send(request, 200, {}, json.dumps(about).encode(), has_body)
        else:
            self._send(request, 404, {"X-Error-Code": "RevisionNotFound"}, b"{}", has_body)

    def _send(self, request, status: int, headers: dict, body: bytes, has_body: bool) -> None:
        request.send_response(status)
        kind = "application/json" if body[:1] in (b"{", b"[") else "application/octet-stream"
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
            request.send_header(name, str(value))
        request.end_headers()
        if has_body:
            request.wfile.write(body)


def _files(folder: Path) -> dict[str, int]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
