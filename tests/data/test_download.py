"""The download of Draper VDISC, from a server that answers as the Open Science Framework does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from enstack.data import download as vdisc
from enstack.data.download import FILES, download_vdisc
from enstack.errors import DataError


class Home:
    """The listing, in two pages and a folder, and the files behind it."""

    def __init__(self) -> None:
        self.files = {name: name.encode() * 200_000 for name in FILES}
        self.hashes = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        self.asked: list[str] = []
        home = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                home.asked.append(self.path)
                body = home.answer(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> bytes | None:
        train, validate, test = FILES
        folder = {
            "attributes": {"kind": "folder", "name": "data"},
            "relationships": {"files": {"links": {"related": {"href": f"{self.url}/folder/"}}}},
        }
        pages: dict[str, Any] = {
            "/": ([self.entry(train), folder], f"{self.url}/second/"),
            "/second/": ([self.entry("readme.txt")], None),
            "/folder/": ([self.entry(validate), self.entry(test)], None),
        }
        if path in pages:
            data, following = pages[path]
            return json.dumps(
                {"data": [e for e in data if e], "links": {"next": following}}
            ).encode()
        return self.files.get(path.removeprefix("/download/"))

    def entry(self, name: str) -> dict[str, Any]:
        facts = {"kind": "file", "name": name, "size": len(self.files.get(name, b""))}
        facts["extra"] = {"hashes": {"sha256": self.hashes.get(name, "")}}
        return {"attributes": facts, "links": {"download": f"{self.url}/download/{name}"}}


@pytest.fixture
def home() -> Iterator[Home]:
    made = Home()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_three_files_arrive_whole_and_are_not_asked_for_again(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download_vdisc(tmp_path / "vdisc", f"{home.url}/")
    assert {path.name: path.read_bytes() for path in (tmp_path / "vdisc").iterdir()} == home.files
    before = list(home.asked)
    download_vdisc(tmp_path / "vdisc", f"{home.url}/")
    assert home.asked == before
    assert "lies in" in capsys.readouterr().out


def test_files_that_are_there_already_are_left_alone(home: Home, tmp_path: Path) -> None:
    (tmp_path / FILES[0]).write_bytes(b"mine")
    download_vdisc(tmp_path, f"{home.url}/")
    assert (tmp_path / FILES[0]).read_bytes() == b"mine"
    assert f"/download/{FILES[0]}" not in home.asked


def test_a_file_with_another_hash_is_refused_and_does_not_stay(home: Home, tmp_path: Path) -> None:
    home.hashes[FILES[1]] = "0" * 64
    with pytest.raises(DataError, match=r"(?s)SHA256 hash.*by hand from https://osf\.io/d45bw"):
        download_vdisc(tmp_path, f"{home.url}/")
    assert [path.name for path in tmp_path.iterdir()] == [FILES[0]], "what is whole stays"


def test_a_listing_without_the_files_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{FILES[0]}, {FILES[1]}, {FILES[2]} is not there"):
        download_vdisc(tmp_path, f"{home.url}/second/")


def test_too_little_room_is_told_before_anything_is_fetched(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vdisc.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**20}))
    with pytest.raises(DataError, match=r"needs \d+ MiB in .*, 1 MiB are free"):
        download_vdisc(tmp_path, f"{home.url}/")
    assert not any(path.startswith("/download") for path in home.asked)


def test_no_network_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be downloaded"):
        download_vdisc(tmp_path, "http://127.0.0.1:9/")


def test_a_listing_that_is_none_and_a_full_disk_are_one_error(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for listing in (b'{"data": null, "links": null}', b"[]", b"<html>"):
        monkeypatch.setattr(home, "answer", lambda path, listing=listing: listing)
        with pytest.raises(DataError, match="can't be downloaded"):
            download_vdisc(tmp_path, f"{home.url}/")
    monkeypatch.undo()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vdisc.pooch, "retrieve", full)
    with pytest.raises(DataError, match=r"can't be written into .*No space left on device"):
        download_vdisc(tmp_path, f"{home.url}/")


def test_a_folder_that_can_not_be_written_is_no_fault_of_the_network(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"can't be written into .*name another folder"):
        download_vdisc(tmp_path / "file" / "vdisc", f"{home.url}/")
    assert not any(path.startswith("/download") for path in home.asked)
