"""Downloads from servers that fail, lie and stall: nothing is lost, nothing is used."""

import contextlib
import errno
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from weights_server import GOOD, HALF, MD5, SHA256, Handler, running, separate

from keras_dream.errors import DownloadError, OutputError, SaveError
from keras_dream.weights import cache, download, locate as weights
from keras_dream.weights.source import Hashes, Source

posix = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")


@pytest.fixture(scope="module")
def server():
    with running() as address:
        yield address


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Our cache, beside which there are no weights."""
    monkeypatch.setattr(download, "PAUSE", 0.0)
    Handler.asked.clear()
    return separate(tmp_path, monkeypatch)[1]


# A key and a certificate for 127.0.0.1, which protect nothing.
TLS = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIOW01EXlRxviumRoVj/eA/hecA3MPzcqZsExr7vm7bupoAoGCCqGSM49
AwEHoUQDQgAEuhKkFukiDsdGFYiGBZXjjL5hfoeHrlidSUmz6Tby9SZsYqG4WMcM
YGmaE4xeeuIfGon79vhiEue2TRAzSeH2Qw==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBUDCB+KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwIBcN
MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBHRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS6EqQW6SIOx0YViIYFleOMvmF+h4eu
WJ1JSbPpNvL1JmxiobhYxwxgaZoTjF564h8aifv2+GIS57ZNEDNJ4fZDo0MwQTAP
BgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwHQYDVR0OBBYEFLEN7UsB
B940DCXBw7ANdFBiGQ6iMAoGCCqGSM49BAMCA0cAMEQCID5/rOBG6NMgj6Zz04+r
tQztZ+T2VSZcd2JX5dzw5H2/AiA3zQGTMFLEHURS42BalhD0lPI29HbtrYPCjSnt
OneIdA==
-----END CERTIFICATE-----
"""


def source(server, path, **published):
    return Source("a.h5", **(published or {"md5": MD5}), url=f"{server}/{path}")


def fetch(server, path, progress=None, **published):
    wanted = [source(server, path, **published)]
    return weights.locate("net", wanted, progress=progress)


def names(folder):
    """Returns what is in the cache, but for locks, which are left lying."""
    found = (path.name for path in folder.iterdir())
    return sorted(n for n in found if not n.endswith(".lock"))


def landed(home):
    assert (home / "a.h5").read_bytes() == GOOD
    assert names(home) == ["a.h5", cache.FILE]
    assert cache.recorded(home / "a.h5") == Hashes(SHA256, MD5)
    return True


def refused(server, path, home, **published):
    """Returns the sentence of a download that fails; there is no file afterwards."""
    with pytest.raises(DownloadError) as error:
        fetch(server, path, **published)
    text = str(error.value)
    assert error.value.exit_code == 1
    assert text.endswith(".")
    assert "\n" not in text
    assert not (home / "a.h5").exists()
    return text


def put_part(home, server, path, data, validator='"the-good-one"'):
    part = download.Part(home / "a.h5")
    part.begin(f"{server}/{path}", validator)
    part.path.write_bytes(data)


# -- what goes well --------------------------------------------------------------------
@pytest.mark.parametrize("path", ["good", "plain", "untold", "redirect"])
@pytest.mark.parametrize("published", [{"md5": MD5}, {"sha256": SHA256}], ids=str)
def test_a_good_download(path, published, home, server):
    seen = []
    found = fetch(server, path, lambda *now: seen.append(now), **published)
    assert found[:2] == (home / "a.h5", SHA256)
    assert found.source.url == f"{server}/{path}"
    assert landed(home)
    assert seen[-1] == (len(GOOD), None if path == "untold" else len(GOOD))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    Handler.asked.clear()
    assert fetch(server, "none", **published)[:2] == found[:2]  # nothing is fetched
    assert Handler.asked == []


def test_a_file_with_the_classifier_is_fetched_where_there_is_no_other(home, server):
    top = Source("top.h5", MD5, url=f"{server}/good", classifier=True)
    none = Source("a.h5", MD5)
    assert weights.locate("net", [none, top]).path == home / "top.h5"


def test_offline_never_dials(home, server, monkeypatch):
    for offline, said in ((True, "0"), (False, "1")):
        monkeypatch.setenv("KERAS_DREAM_OFFLINE", said)
        with pytest.raises(weights.WeightsError, match="on this machine"):
            weights.locate("net", [source(server, "good")], offline=offline)
    assert Handler.asked == []
    assert names(home) == []


# -- what breaks off, and goes on ------------------------------------------------------
def test_a_drop_goes_on_by_itself(home, server):
    assert fetch(server, "drop").sha256 == SHA256
    assert landed(home)
    ranges = [asked[1] for asked in Handler.asked]
    third = len(GOOD) // 3
    assert ranges == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert {asked[2] for asked in Handler.asked[1:]} == {'"the-good-one"'}


@pytest.mark.parametrize("path", ["stall", "drip", "reset"])
def test_a_failure_is_told_and_a_rerun_goes_on(path, home, server, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "TIMEOUT", 1)
    text = refused(server, path, home)
    told = {"stall": "nothing came for 1 s", "drip": "less than 1024 bytes"}
    assert told.get(path, "eset") in text
    assert "MB are kept and the same command goes on from there" in text
    held = (home / ".a.h5.part").stat().st_size
    assert held >= (1 if path == "reset" else HALF)
    if path != "reset":
        (home / ".a.h5.part").write_bytes(GOOD[:held])
    # The same address, whose server has recovered.
    monkeypatch.setattr(Handler, path, Handler.good)
    monkeypatch.setattr(download, "TIMEOUT", 30)
    Handler.asked.clear()
    assert fetch(server, path).sha256 == SHA256
    assert Handler.asked == [(f"/{path}", f"bytes={held}-", '"the-good-one"')]
    assert landed(home)


@pytest.mark.parametrize(
    "path", ["drip-status", "drip-header", "drip-chunk", "drip-trailer", "continues"]
)
def test_one_clock_runs_over_the_whole_exchange(path, home, server, monkeypatch):
    """Something comes all the time, but nothing of the file."""
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    text = refused(server, path, home)
    assert "less than 1024 bytes a second of the file" in text
    if path == "drip-trailer":
        assert (home / ".a.h5.part").read_bytes() == GOOD


@pytest.mark.parametrize("path", ["redirect-slowly", "redirect-loudly"])
def test_what_a_redirection_says_is_not_read(path, home, server):
    assert fetch(server, path).sha256 == SHA256
    assert landed(home)


def test_the_clock_runs_over_tls_too(home, tmp_path, monkeypatch):
    (tmp_path / "tls.pem").write_text(TLS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with running(context) as address:
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(address, "good")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
        monkeypatch.setattr(download, "TIMEOUT", 0.5)
        assert "less than 1024 bytes a" in refused(address, "drip-header", home)
        assert fetch(address, "good").sha256 == SHA256


@pytest.mark.parametrize(
    ("how", "begins"),
    [("proxy", b"HTTP/1.1 200 OK\r\nX-Long: "), ("handshake", b"\x16\x03\x03\x40\x00")],
)
def test_the_clock_runs_before_there_is_a_connection(how, begins, home, monkeypatch):
    """A proxy that never ends its answer, and greetings of TLS that never end."""
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "TIMEOUT", 0.5)

    def drip():
        with server.accept()[0] as connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(begins)
            while True:
                connection.sendall(b"\x02")
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=drip)
        thread.start()
        if how == "proxy":
            monkeypatch.setenv("https_proxy", f"http://{address}")
            address = "a.invalid"
        refused(f"https://{address}", "good", home)
        thread.join(20)
        assert not thread.is_alive()


def test_a_server_that_stalls_each_time_is_given_up(home, server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    text = refused(server, "stall", home)
    assert "nothing came" in text
    assert len(Handler.asked) == download.ATTEMPTS


def test_no_progress_is_not_tried_for_ever(home, server):
    """It ignores ranges and breaks off at the same byte each time."""
    assert f"it ended after {HALF} of {len(GOOD)} bytes" in refused(
        server, "half", home
    )
    assert len(Handler.asked) == 2


@pytest.mark.parametrize(
    ("path", "requests"),
    [("plain", 1), ("elsewhere", 2), ("unsatisfied", 2), ("satisfied", 2)],
)
def test_a_server_that_cannot_go_on_begins_again(path, requests, home, server):
    put_part(home, server, path, GOOD[:1000], validator="")
    assert fetch(server, path).sha256 == SHA256
    assert [asked[1] for asked in Handler.asked][:1] == ["bytes=1000-"]
    assert len(Handler.asked) == requests
    assert landed(home)


def test_a_whole_part_is_only_checked(home, server):
    put_part(home, server, "satisfied", GOOD)
    assert fetch(server, "satisfied").sha256 == SHA256
    assert len(Handler.asked) == 1
    assert landed(home)


@pytest.mark.parametrize("validator", ['"an-older-one"', ""])
def test_a_part_of_another_version_is_not_kept(validator, home, server):
    """With a validator the server says so; without one the hash does."""
    put_part(home, server, "good", bytes(HALF), validator)
    assert fetch(server, "good").sha256 == SHA256
    assert landed(home)


def test_a_part_of_another_address_is_not_kept(home, server):
    put_part(home, server, "good", bytes(HALF))
    assert fetch(server, "plain").sha256 == SHA256
    assert Handler.asked == [("/plain", None, None)]
    put_part(home, server, "good", bytes(HALF))
    (home / "a.h5").unlink()
    (home / ".a.h5.part.json").write_text("{")
    assert fetch(server, "good").sha256 == SHA256
    assert landed(home)


# -- what lies -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("wrong", {"md5": MD5}),
        ("wrong", {"sha256": SHA256}),
        ("shorter", {"md5": MD5}),
        ("good", {"md5": MD5, "sha256": "0" * 64}),
        ("good", {"md5": "0" * 32, "sha256": SHA256}),
    ],
    ids=str,
)
def test_a_wrong_hash_is_named_and_kept_aside(path, published, home, server):
    for _ in range(2):  # the same download again is the same file aside
        text = refused(server, path, home, **published)
        assert "must have the published" in text
        (aside,) = home.glob("a.h5.bad-*")
        assert str(aside) in text
        assert names(home) == [aside.name]
        assert weights.find([source(server, path)]) is None
    body = {"wrong": GOOD[::-1], "shorter": GOOD[:HALF]}
    assert aside.read_bytes() == body.get(path, GOOD)


def test_a_bad_file_in_the_cache_makes_room_for_a_good_one(home, server):
    (home / "a.h5").write_bytes(b"bad")
    with pytest.raises(weights.WeightsError, match="kept aside as"):
        fetch(server, "good")
    assert fetch(server, "good").sha256 == SHA256
    (aside,) = home.glob("a.h5.bad-*")
    assert aside.read_bytes() == b"bad"


@pytest.mark.parametrize(
    ("path", "words"),
    [("boundless", "more than any weights have"), ("endless", "more bytes than there")],
)
def test_no_more_is_taken_than_weights_may_have(path, words, home, server, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 3 * len(GOOD))
    assert words in refused(server, path, home)
    part = home / ".a.h5.part"
    assert not part.exists() or part.stat().st_size <= 4 * len(GOOD)


# -- what fails at once ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none", "404 Not Found"),
        ("broken", "500 Internal"),
        ("busy", "503 Service"),
        ("loop", "302, a redirection that leads nowhere"),
        ("ftp", "ftp"),
        ("file", "file"),
        ("nowhere", "302"),
        ("empty", "204"),
        ("unasked", "a part, although"),
        ("noise", "no HTTP"),
        ("chunks", "IncompleteRead"),
    ],
)
def test_failed_downloads_are_one_sentence(path, words, home, server):
    text = refused(server, path, home)
    assert "downloadable from" in text
    assert words in text
    assert "check the connection" in text
    assert names(home) == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no such host"),
        (ConnectionRefusedError(111, "Connection refused"), "'connection refused'"),
    ],
)
def test_no_connection_is_told_in_words(failure, words, home, server, monkeypatch):
    def refuse(*_, **__):
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    text = refused(server, "good", home)
    assert words in text
    assert "Errno" not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[::1", "ftp://a/b"])
def test_nobody_there(url, home):
    with pytest.raises(DownloadError, match="downloadable from"):
        weights.locate("net", [Source("a.h5", MD5, url=url)])
    assert names(home) == []


@pytest.mark.parametrize("path", ["none", "half", "wrong", "chunks"])
def test_a_failed_download_leaves_a_good_file_alone(path, home, server):
    """The file with the classifier fails; the one without was here before."""
    (home / "a.h5").write_bytes(GOOD)
    top = Source("top.h5", "0" * 32, url=f"{server}/{path}", classifier=True)
    both = [Source("a.h5", MD5), top]
    with pytest.raises(DownloadError):
        weights.locate("net", both, classifier=True)
    assert weights.locate("net", both).sha256 == SHA256
    assert (home / "a.h5").read_bytes() == GOOD


# -- disks -----------------------------------------------------------------------------
def test_a_disk_without_room_is_told_before_it_is_full(home, server, monkeypatch):
    real = download.shutil.disk_usage(home)
    little = type(real)(real.total, real.total, len(GOOD) - 1)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: little)
    with pytest.raises(SaveError, match="must have room for the weights of net"):
        fetch(server, "good")
    monkeypatch.undo()


LIMITED = """
import resource, sys
from keras_dream.errors import DreamError
from keras_dream.weights import locate as weights
from keras_dream.weights.source import Source
source = Source("a.h5", sys.argv[1], url=sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    print(weights.locate("net", [source]).sha256)
except DreamError as error:
    print(error.exit_code, error)
"""


def started(code, *args, **options):
    source = str(Path(weights.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
        **options,
    )


def said(process):
    out, _ = process.communicate(timeout=60)
    return out.strip()


@posix
def test_a_full_disk_keeps_what_came_and_a_rerun_goes_on(home, server):
    """A real limit on the size of files: the write itself fails in its midst."""
    text = said(started(LIMITED, MD5, f"{server}/good", HALF))
    assert text.startswith("1 The disk must have room for the weights of net")
    assert "the same command goes on from there" in text
    part = home / ".a.h5.part"
    assert part.read_bytes() == GOOD[: part.stat().st_size]
    assert part.stat().st_size == HALF
    Handler.asked.clear()
    assert fetch(server, "good").sha256 == SHA256
    assert Handler.asked[0][1] == f"bytes={HALF}-"
    assert landed(home)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_cache_that_takes_no_files_is_one_sentence(code, home, server, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="must be a folder that takes files") as error:
        fetch(server, "good")
    monkeypatch.undo()
    assert error.value.exit_code == 2
    assert "KERAS_DREAM_HOME" in str(error.value)
    assert Handler.asked == []


def test_a_cache_under_a_file_is_one_sentence(home, server, monkeypatch):
    (home / "file").write_bytes(b"x")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(home / "file" / "cache"))
    with pytest.raises(OutputError, match="not a directory"):
        fetch(server, "good")


# -- neighbours ------------------------------------------------------------------------
@posix
@pytest.mark.parametrize("name", [".a.h5.part", ".a.h5.part.json"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_the_cache_is_not_written_through(name, link, home, server, tmp_path):
    private = tmp_path / "private"
    private.write_text("the user's own")
    link(private, home / name)
    assert fetch(server, "good").sha256 == SHA256
    assert private.read_text() == "the user's own"
    assert landed(home)


@posix
@pytest.mark.parametrize("name", [".a.h5.part", ".a.h5.part.json", cache.FILE])
def test_a_pipe_in_the_cache_is_not_waited_for(name, home, server):
    os.mkfifo(home / name)
    assert fetch(server, "good").sha256 == SHA256
    assert landed(home)


@posix
@pytest.mark.parametrize(
    ("mode", "who"), [(0o777, "everyone"), (0o1777, "everyone"), (0o770, "its group")]
)
def test_a_cache_that_others_can_write_to_is_refused(
    mode, who, home, server, monkeypatch
):
    home.chmod(mode)
    monkeypatch.setattr(cache, "_is_own_group", lambda _: False)
    with pytest.raises(OutputError, match=f"which {who} can write to"):
        fetch(server, "good")
    assert Handler.asked == []
    assert names(home) == []
    assert cache.last_recorded(home / "a.h5") is None


@posix
def test_a_cache_is_made_for_its_user_alone(home, server, monkeypatch):
    monkeypatch.setenv("KERAS_DREAM_HOME", str(home / "new"))
    assert fetch(server, "good").sha256 == SHA256
    assert (home / "new").stat().st_mode & 0o777 == 0o700
    (home / "new").chmod(0o770)  # of a group that has the user's name
    monkeypatch.setattr(cache, "_is_own_group", lambda _: True)
    assert fetch(server, "good").sha256 == SHA256


# -- several at a time -----------------------------------------------------------------
FETCH = """
import sys
from keras_dream.weights import locate as weights
from keras_dream.weights.source import Source
source = Source("a.h5", sys.argv[1], url=sys.argv[2])
seen = []
found = weights.locate("net", [source], progress=lambda *now: seen.append(now))
print(found.sha256, len(seen) > 0)
"""


@posix
def test_two_processes_fetch_one_file_once(home, server):
    both = [started(FETCH, MD5, f"{server}/slow") for _ in range(2)]
    assert [said(process) for process in both] == [f"{SHA256} True"] * 2
    assert len(Handler.asked) == 1
    assert landed(home)


def test_two_threads_fetch_one_file_once(home, server):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(server, "slow").sha256))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [SHA256] * 3
    assert len(Handler.asked) == 1
    assert landed(home)


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_waits_goes_on_when_the_other_one_dies(number, home, server, monkeypatch):
    first = started(FETCH, MD5, f"{server}/stall", stderr=subprocess.DEVNULL)
    part = home / ".a.h5.part"
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size < HALF:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = started(FETCH, MD5, f"{server}/stall")
    time.sleep(0.5)
    assert second.poll() is None
    monkeypatch.setattr(Handler, "stall", Handler.good)
    first.send_signal(number)
    said(first)
    assert said(second) == f"{SHA256} True"
    assert Handler.asked[-1][1] == f"bytes={HALF}-"
    assert landed(home)
