"""A web server on 127.0.0.1 whose answers a test decides."""

import http.server
import threading


class LocalServer:
    """Calls `answer` for each request, until it is stopped; `address` is its URL."""

    def __init__(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answers a request."""
        raise AssertionError("A test's server says how it answers.")

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
