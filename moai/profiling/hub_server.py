"""A model hub on this machine: serves folders under ids by the protocol of huggingface_hub."""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_INFO = re.compile(r"/api/models/([\w.-]+/[\w.-]+)(?:/revision/[\w.-]+)?$")
_TREE = re.compile(r"/api/models/([\w.-]+/[\w.-]+)/tree/[\w.-]+$")
_FILE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/[\w.-]+/(.+)$")


@dataclass
class HubServer:
    """Serves `folders` by id at `address` while it is entered; ids in `gated` are refused.

    A file's connection is dropped, once, behind as many of its bytes as `drops` has for its name. `sent` lists what was
    asked for: file and first byte.
    """

    folders: dict[str, Path]
    gated: set[str] = field(default_factory=set)
    drops: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)

    def __enter__(self) -> "HubServer":
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def revision(self, name: str) -> str:
        """The commit of what is served under an id: another one once its files are others."""
        told = [(path.name, path.stat().st_size) for path in sorted(self.folders[name].iterdir())]
        return hashlib.sha1(json.dumps(told).encode()).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """Who is killed while it reads leaves nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        """Keeps quiet."""

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        path = self.path.split("?")[0]
        for pattern, answer in ((_INFO, self._info), (_TREE, self._tree), (_FILE, self._file)):
            if match := pattern.match(path):
                name = match.group(1)
                if name in self.hub.gated:
                    self._refuse(403, "GatedRepo")
                elif name not in self.hub.folders:
                    self._refuse(404, "RepoNotFound")
                else:
                    answer(body, *match.groups())
                return
        self._refuse(404, "EntryNotFound")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, body: bool, value) -> None:
        written = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        if body:
            self.wfile.write(written)

    def _info(self, body: bool, name: str) -> None:
        siblings = [{"rfilename": path.name} for path in sorted(self.hub.folders[name].iterdir())]
        self._json(body, {"id": name, "modelId": name, "sha": self.hub.revision(name), "siblings": siblings})

    def _tree(self, body: bool, name: str) -> None:
        files = sorted(self.hub.folders[name].iterdir())
        entries = [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": _etag(path)} for path in files
        ]
        self._json(body, entries)

    def _file(self, body: bool, name: str, file: str) -> None:
        path = self.hub.folders[name] / file
        if "/" in file or not path.is_file():
            self._refuse(404, "EntryNotFound")
            return
        size = path.stat().st_size
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{_etag(path)}"')
        self.send_header("X-Repo-Commit", self.hub.revision(name))
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body:
            self.hub.sent.append((file, first))
            self._send(path, first, last, file)

    def _send(self, path: Path, first: int, last: int, file: str) -> None:
        until = min(last + 1, self.hub.drops.get(file, last + 1))
        self.wfile.flush()
        with path.open("rb") as opened:
            if until > first:
                self.connection.sendfile(opened, first, until - first)
        if self.hub.drops.pop(file, None) is not None:
            self.close_connection = True


def _etag(path: Path) -> str:
    return hashlib.sha1(f"{path.name} {path.stat().st_size}".encode()).hexdigest()
