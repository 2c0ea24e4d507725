"""A Hugging Face hub of a few repositories on this machine, and one that never says a word."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """Repositories by address (`a/b`, `datasets/a/b`), each one folder at the commit `COMMIT`."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        path = unquote(urlsplit(path).path).strip("/")
        self.asked.append(path)
        for address, folder in self.repositories.items():
            kind, name = ("datasets", address[9:]) if address.startswith("datasets/") else ("models", address)
            api, files = f"api/{kind}/{name}", f"{address}/resolve/"
            revision = path.removeprefix(f"{api}/revision/").removeprefix(f"{api}/tree/").removeprefix(files)
            if path == api or path.startswith((f"{api}/", files)):
                if path != api and revision.split("/")[0] not in ("main", COMMIT):
                    return 404, b"", {"X-Error-Code": "RevisionNotFound"}
                if path.startswith(f"{api}/tree/"):
                    return 200, json.dumps(tree(folder)).encode(), {"Content-Type": "application/json"}
                if not path.startswith(files):
                    info = {"id": name, "sha": COMMIT, "siblings": []}
                    return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}
                return self.file(folder / revision.partition("/")[2])
        return (404, b"", {"X-Error-Code": "RepoNotFound"}) if path else (200, b"", {})

    def file(self, path: Path) -> tuple[int, bytes, dict[str, str]]:
        if not path.is_file():
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        return 200, path.read_bytes(), {"ETag": f'"{etag(path)}"', "X-Repo-Commit": COMMIT}


def tree(folder: Path) -> list[dict[str, object]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        {"type": "file", "path": p.relative_to(folder).as_posix(), "size": p.stat().st_size, "oid": etag(p)}
        for p in paths
    ]


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@contextmanager
def serving(repositories: dict[str, Path]) -> Iterator[Hub]:
    """The hub at `url` while the block runs."""
    hub = Hub(repositories)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body, headers = hub.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 — the name that http.server looks for

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent() -> Iterator[tuple[str, list[int]]]:
    """The address of a host that takes every connection and says nothing, and the ports that called."""
    callers: list[int] = []
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, (_, port) = server.accept()
                except OSError:
                    return
                held.append(connection)
                callers.append(port)

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", callers
    for connection in held:
        connection.close()
