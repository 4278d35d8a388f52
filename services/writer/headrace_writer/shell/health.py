"""/metrics, /live and /ready over HTTP, for Prometheus and for whoever supervises the process."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from headrace_writer.errors import ConfigError

Check = Callable[[], str]
"""Returns why not, or "" when all is well."""


class HealthServer:
    """Answers from a daemon thread; `close` stops it."""

    def __init__(
        self, listen: tuple[str, int], registry: CollectorRegistry, live: Check, ready: Check
    ) -> None:
        pages: dict[str, Callable[[], tuple[HTTPStatus, str, bytes]]] = {
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/live": lambda: _verdict(live()),
            "/ready": lambda: _verdict(ready()),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                if page is None:
                    self.send_error(HTTPStatus.NOT_FOUND, "try /metrics, /live or /ready")
                    return
                status, kind, body = page()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Scrapes are not worth a log line."""

        try:
            self._server = ThreadingHTTPServer(listen, Handler)
        except OSError as error:
            msg = f"cannot listen on {listen[0]}:{listen[1]} ({error}): change http_listen"
            raise ConfigError(msg) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _verdict(problem: str) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return status, "text/plain; charset=utf-8", f"{problem or 'ok'}\n".encode()
