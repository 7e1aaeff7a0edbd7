"""Serves the explorer's page on 127.0.0.1, to the browsers of this machine and no other page.

    GET /               the page
    GET /model          what the page says of the model, JSON
    POST /answer/PANEL  {"inputs": {"text": ...}} -> what the panel shows, JSON
    POST /export        {"panel": ..., "inputs": ...} -> a page that shows the answer by itself

Other web pages in the same browser could send requests here, or reach this server under a name of
their own that they point at 127.0.0.1 (DNS rebinding). So a request must name this server as its
`Host`, and one that asks the model must be JSON and come from this page (`Origin`). What is wrong
with a request is answered as {"error": message}.
"""

import http.server
import json
import logging
import socketserver
import sys
import webbrowser
from http import HTTPStatus
from typing import Any

from bert_tf.explorer.explorer import Explorer
from bert_tf.explorer.page import live_page, policy

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 256 * 1024
_JSON, _HTML = "application/json", "text/html; charset=utf-8"


class RequestError(Exception):
    """A request that is refused, with the status and message of the response."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class ExplorerServer(http.server.ThreadingHTTPServer):
    """Serves the page of an explorer on 127.0.0.1, one thread per request.

    Args:
        port: 0 for any that is free.

    Raises an OSError if the port is taken.
    """

    daemon_threads = True  # Ctrl-C does not wait for an answer.

    def __init__(self, explorer: Explorer, port: int = 0):
        self.explorer = explorer
        self.page = live_page().encode("utf-8")
        self.policy = f"{policy(connects=True)}; frame-ancestors 'none'"
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise OSError(f"--port={port}: {error.strerror}. --port=0 takes a free one.") from error
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def server_bind(self) -> None:
        """Binds without looking up the name of the address, as the base class would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    @property
    def address(self) -> str:
        """The URL of the page."""
        return f"http://127.0.0.1:{self.server_port}/"

    def run(self, open_browser: bool = False) -> None:
        """Serves until Ctrl-C."""
        if open_browser:
            webbrowser.open(self.address)
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            logger.info("Stopped.")

    def handle_error(self, request, client_address) -> None:
        """Is quiet about a browser that has closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ExplorerServer
    server_version, sys_version = "bert-tf", ""
    timeout = 60  # Seconds that a request may take to arrive.

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def _respond(self, answer) -> None:
        try:
            if self.headers.get("Host", "") not in self.server.hosts:
                raise RequestError(HTTPStatus.FORBIDDEN, f"This server is {self.server.address}.")
            self._send(HTTPStatus.OK, *answer())
        except RequestError as error:
            self._send(error.status, *_json({"error": str(error)}))
        except ValueError as error:  # Of the texts.
            self._send(HTTPStatus.BAD_REQUEST, *_json({"error": str(error)}))
        except ConnectionError:
            raise
        except Exception:
            logger.exception("The explorer could not answer.")
            message = "The model failed on these texts; see the terminal of bert-tf explore."
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, *_json({"error": message}))

    def _get(self) -> tuple[str, bytes]:
        if self.path == "/":
            return _HTML, self.server.page
        if self.path == "/model":
            return _json(self.server.explorer.description)
        raise RequestError(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _post(self) -> tuple[str, bytes]:
        asked = self._body()
        explorer = self.server.explorer
        if self.path == "/export":
            page = explorer.saved(str(asked.get("panel")), asked.get("inputs"))
            return _HTML, page.encode("utf-8")
        if self.path.startswith("/answer/"):
            panel = self.path.removeprefix("/answer/")
            return _json(explorer.answer(panel, asked.get("inputs")))
        raise RequestError(HTTPStatus.NOT_FOUND, "There is no such answer.")

    def _body(self) -> dict[str, Any]:
        """Returns the JSON object that the page has sent."""
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise RequestError(HTTPStatus.FORBIDDEN, "Only this server's own page may ask.")
        # A page of another origin can only send it after asking this server, which says no.
        if self.headers.get_content_type() != _JSON:
            raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {_JSON}.")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise RequestError(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length.")
        if int(length) > MAX_REQUEST_BYTES:
            limit = f"{MAX_REQUEST_BYTES:,} bytes"
            self.rfile.read(min(int(length), 4 * MAX_REQUEST_BYTES))  # So that it reads the answer.
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {limit}."
            )
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            raise RequestError(HTTPStatus.BAD_REQUEST, "Send a JSON object.")
        return asked

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": self.server.policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, message: str, *values) -> None:
        logger.debug(message, *values)


def _json(value: Any) -> tuple[str, bytes]:
    return _JSON, json.dumps(value, allow_nan=False).encode("ascii")
