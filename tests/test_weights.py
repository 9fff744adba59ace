"""Weights files: read with suspicion, found in order, downloaded once."""

import contextlib
import hashlib
import http.server
import json
import threading

import pytest

from keras_dream.errors import WeightsError
from keras_dream.network import weights
from keras_dream.network.weights import Source


# -- finding ---------------------------------------------------------------------------
@pytest.fixture
def places(tmp_path, monkeypatch):
    for name in ("KERAS_DREAM_WEIGHTS", "KERAS_DREAM_HOME", "KERAS_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("KERAS_DREAM_OFFLINE", raising=False)
    (tmp_path / "KERAS_HOME" / "models").mkdir()
    return weights.folders()


def test_the_order_of_places(places):
    source = (Source("a.h5", "0"),)
    assert weights.find(source) is None
    for folder in reversed(places):
        (folder / "a.h5").write_bytes(b"x")
        assert weights.find(source) == folder / "a.h5"
    assert [p.name for p in places] == [
        "KERAS_DREAM_WEIGHTS", "KERAS_DREAM_HOME", "models",
    ]  # fmt: skip


def test_a_file_with_the_classifier_serves_both(places):
    sources = (Source("top.h5", "0", classifier=True), Source("notop.h5", "0"))
    (places[1] / "top.h5").write_bytes(b"x")
    assert weights.find(sources).name == "top.h5"
    (places[1] / "notop.h5").write_bytes(b"x")
    assert weights.find(sources).name == "notop.h5"
    assert weights.find(sources, classifier=True).name == "top.h5"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_is_one_sentence(how, places, monkeypatch):
    source = Source("a.h5", "0", url="http://127.0.0.1:9/a.h5")
    if how == "environment":
        monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    with pytest.raises(WeightsError, match="on this machine") as error:
        weights.locate("net", [source], offline=how == "argument")
    text = str(error.value)
    assert "a.h5" in text
    assert all(str(place) in text for place in places)
    assert "--weights" in text
    monkeypatch.delenv("KERAS_DREAM_OFFLINE", raising=False)
    with pytest.raises(WeightsError, match="given as a file"):
        weights.locate("net", [Source("a.h5", "0")])
    with pytest.raises(WeightsError, match="received none with classes in"):
        weights.locate("net", [Source("a.h5", "0")], classifier=True)


# -- downloading -----------------------------------------------------------------------
GOOD = bytes(range(256)) * 9000
MD5 = hashlib.md5(GOOD).hexdigest()


@pytest.fixture(scope="module")
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/none":
                self.send_error(404)
                return
            if self.path == "/noise":
                self.wfile.write(b"no HTTP at all\r\n\r\n")
                return
            self.send_response(200)
            if self.path == "/chunks":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"zz\r\n")
                return
            self.send_header("Content-Length", str(len(GOOD)))
            self.end_headers()
            body = GOOD[: len(GOOD) // 2] if self.path == "/short" else GOOD
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_good_download(places, server):
    seen = []
    source = Source("a.h5", MD5, url=f"{server}/good")
    path = weights.locate("net", [source], progress=lambda *now: seen.append(now))
    assert path == weights.home() / "a.h5"
    assert path.read_bytes() == GOOD
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert seen == sorted(seen)
    manifest = json.loads((weights.home() / "sha256.json").read_text())
    assert manifest == {"a.h5": hashlib.sha256(GOOD).hexdigest()}
    again = Source("a.h5", MD5, url=f"{server}/none")
    assert weights.locate("net", [again]) == path  # found, nothing fetched
    path.write_bytes(GOOD[::-1])
    with pytest.raises(WeightsError, match="published md5"):
        weights.locate("net", [again])


def test_a_wrong_hash_is_kept_aside(places, server):
    source = Source("a.h5", "0" * 32, url=f"{server}/good")
    with pytest.raises(WeightsError, match="kept as"):
        weights.locate("net", [source])
    (aside,) = weights.home().glob("a.h5.wrong-*")
    assert aside.read_bytes() == GOOD
    assert weights.find([source]) is None


@pytest.mark.parametrize("what", ["short", "none", "nobody", "noise", "chunks"])
def test_failed_downloads_leave_nothing(what, places, server):
    url = "http://127.0.0.1:9/x" if what == "nobody" else f"{server}/{what}"
    with pytest.raises(WeightsError, match="downloadable") as error:
        weights.locate("net", [Source("a.h5", MD5, url=url)])
    assert "check the connection" in str(error.value)
    assert [p for p in weights.home().iterdir() if p.name != "sha256.json"] == []


def test_a_broken_manifest_only_costs_another_check(places):
    (weights.home() / "a.h5").write_bytes(GOOD)
    for text in ("{", "[]", "null"):
        (weights.home() / "sha256.json").write_text(text)
        found = weights.locate("net", [Source("a.h5", MD5)])
        assert found.read_bytes() == GOOD
