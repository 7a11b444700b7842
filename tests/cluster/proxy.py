"""What can go wrong between an operator and the API server? This proxy lets it, for the next writes of CronJobs."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from .servers import Server

Answer: TypeAlias = tuple[int, bytes]
Fault: TypeAlias = Callable[[Callable[[], Answer]], "Answer | None"]
"""Given what sends the write, returns the answer that the operator gets; None cuts the connection."""


def lost(send: Callable[[], Answer]) -> None:
    """Do the write, and lose its answer."""
    send()


def unavailable(_: Callable[[], Answer]) -> Answer:
    """Refuse the write as an overloaded server does."""
    return 503, b"{}"


def overtaken(send: Callable[[], Answer]) -> Answer:
    """Let another replica be a little faster with the same write."""
    send()
    return send()


class Proxy(ThreadingHTTPServer):
    """
    A server in front of the server, with its certificate: over plain HTTP, clients in Go send no token.

    Attributes:
        faults: What happens to the next writes of CronJobs.
        forbidden: Writes of paths that contain this are refused.
        writes: All writes that came by, each with the status that the operator was told, 0 where it was told none.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.certificate, server.certificate.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_port}"
        self.place = server.url.removeprefix("https://")
        self.context = ssl.create_default_context(cafile=server.certificate)
        self.faults: list[Fault] = []
        self.forbidden: str | None = None
        self.writes: list[tuple[str, str, int]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a client that was killed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Each request has a connection of its own (HTTP/1.0), so the end of a connection is the end of an answer."""

    @property
    def proxy(self) -> Proxy:
        assert isinstance(self.server, Proxy)
        return self.server

    def do_GET(self) -> None:
        """Pass on an answer, as it comes: it may be a watch, which ends when one of the two is killed."""
        with suppress(OSError, HTTPException), self._asked(b"", self.headers["Accept"]) as answer:
            self._begin(answer.status, answer.headers["Content-Type"])
            while part := answer.read1(1 << 16):
                self.wfile.write(part)

    def do_POST(self) -> None:
        """Write, or whatever the next fault makes of it."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))

        def send() -> Answer:
            with self._asked(body) as answer:
                return answer.status, answer.read()

        answer: Answer | None
        if self.proxy.forbidden and self.proxy.forbidden in self.path:
            answer = 403, b"{}"
        elif self.proxy.faults and "/cronjobs" in self.path:
            answer = self.proxy.faults.pop(0)(send)
        else:
            answer = send()
        self.proxy.writes.append((self.command, self.path, answer[0] if answer else 0))
        if answer:
            self._begin(answer[0])
            self.wfile.write(answer[1])

    do_PATCH = do_PUT = do_DELETE = do_POST  # noqa: N815

    @contextmanager
    def _asked(self, body: bytes, kind: str = "application/json") -> Generator[HTTPResponse]:
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        headers["Accept"] = kind
        with closing(HTTPSConnection(self.proxy.place, context=self.proxy.context)) as connection:
            connection.request(self.command, self.path, body, headers)
            with connection.getresponse() as answer:
                yield answer

    def _begin(self, status: int, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_request(self, code: object = "", size: object = "") -> None:
        """Keep quiet."""


@contextmanager
def proxy(server: Server) -> Generator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    with Proxy(server) as between:
        thread = threading.Thread(target=between.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield between
        finally:
            between.shutdown()
            thread.join()
