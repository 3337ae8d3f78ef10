"""An HTTP server on a thread that answers as it was told, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


@attrs.frozen
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen
class Reply:
    """`status` 0 ends the connection without an answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    act: Callable[[], None] = lambda: None


@attrs.define
class Scripted:
    """Answers in this order; the last one again and again."""

    url: str = ""
    replies: list[Reply] = attrs.field(factory=list)
    asked: list[Asked] = attrs.field(factory=list)


@contextlib.contextmanager
def scripted(*replies: Reply) -> Iterator[Scripted]:
    script = Scripted(replies=list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            script.asked.append(Asked(self.command, self.path, headers, body))
            reply = script.replies[0] if len(script.replies) == 1 else script.replies.pop(0)
            reply.act()
            if not reply.status:
                self.close_connection = True
                return
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
