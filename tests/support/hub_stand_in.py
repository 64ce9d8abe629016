"""A stand-in for the Hugging Face hub: models in memory, at its addresses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

MISSING = "RepoNotFound"


class HubStandIn:
    """Models by id, each with its files; asked: the addresses that were asked for."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []

    def put(self, repo: str, folder: Path) -> None:
        files = (path for path in folder.rglob("*") if path.is_file())
        self.models[repo] = {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}

    def commit_of(self, repo: str) -> str:
        return hashlib.sha1(repr(sorted(self.models[repo].items())).encode()).hexdigest()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(f"{method} {path}")
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self.models.setdefault(repo, {".gitattributes": b""})
            # Versions of the library say it in either way.
            hidden = bool(asked.get("private")) or asked.get("visibility") == "private"
            self.private.setdefault(repo, hidden)
            return as_json({"url": f"/{repo}", "id": repo})
        if path == "/api/validate-yaml":
            return as_json({"errors": [], "warnings": []})
        found = re.match(r"(?:/api/models)?/(?P<repo>[^/]+/[^/]+)", path)
        repo = found["repo"] if found else ""
        if repo not in self.models:
            return 404, {"X-Error-Code": MISSING}, b"{}"
        rest = path.removeprefix("/api/models").removeprefix(f"/{repo}").split("?")[0]
        return self.of_model(method, repo, rest, body)

    def of_model(
        self, method: str, repo: str, rest: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        files, commit = self.models[repo], self.commit_of(repo)
        if rest.startswith("/preupload"):
            asked = [one["path"] for one in json.loads(body)["files"]]
            modes = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in asked
            ]
            return as_json({"files": modes})
        if rest.startswith("/commit"):
            self.take(files, body)
            return as_json({"commitUrl": f"/{repo}", "commitOid": self.commit_of(repo)})
        if rest.startswith("/tree"):
            return as_json([{"type": "file", "path": n, **entry(c)} for n, c in files.items()])
        if rest.startswith("/resolve/"):
            name = rest.split("/", 3)[3]
            if name not in files:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
            etag = hashlib.sha1(files[name]).hexdigest()
            return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit}, files[name]
        siblings = [{"rfilename": name} for name in files]
        return as_json({"id": repo, "sha": commit, "siblings": siblings, "private": False})

    def take(self, files: dict[str, bytes], body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value: dict[str, Any] = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "deletedFile":
                del files[value["path"]]


def entry(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "oid": hashlib.sha1(content).hexdigest()}


def as_json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def handler_of(hub: HubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = hub.answer(self.command, self.path, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = reply  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """The hub's library asks this machine, and keeps what it fetches in the test's own folder."""
    from huggingface_hub import constants

    stand_in = HubStandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(stand_in))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    yield stand_in
    server.shutdown()
    server.server_close()
