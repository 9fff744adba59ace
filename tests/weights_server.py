"""A web server that misbehaves in every way that a download may meet."""

import contextlib
import hashlib
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_dream.weights import locate as weights

GOOD = bytes(range(256)) * 3000
LENGTH = len(GOOD)
HALF = LENGTH // 2
MD5 = hashlib.md5(GOOD).hexdigest()
SHA256 = hashlib.sha256(GOOD).hexdigest()
TAG = '"the-good-one"'


class Handler(http.server.BaseHTTPRequestHandler):
    """One method for a path, `/good` → `good`; what was asked is kept in `asked`."""

    asked: list[tuple[str, str | None, str | None]] = []  # noqa: RUF012 - emptied by tests
    released: threading.Event  # set when the server ends

    def do_GET(self):
        given = self.headers
        self.asked.append((self.path, given["Range"], given["If-Range"]))
        with contextlib.suppress(ConnectionError):
            getattr(self, self.path[1:].replace("-", "_"))()

    def log_message(self, *arguments):
        pass

    def start(self, code=200, length: int | None = LENGTH, **headers):
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def wanted(self) -> int:
        """Returns from which byte on this version of the file is asked for."""
        said, version = self.headers["Range"], self.headers["If-Range"]
        if said is None or version not in (None, TAG):
            return 0
        return int(said.removeprefix("bytes=").removesuffix("-"))

    def ranged(self, end: int | None = None):
        """Sends what is asked for, but no bytes behind `end`."""
        first = self.wanted()
        if first:
            extent = f"bytes {first}-{len(GOOD) - 1}/{len(GOOD)}"
            self.start(206, len(GOOD) - first, ETag=TAG, Content_Range=extent)
        else:
            self.start(ETag=TAG)
        self.wfile.write(GOOD[first:end])

    # -- servers that do well ----------------------------------------------------------
    def good(self):
        self.ranged()

    def plain(self):
        """Knows nothing of ranges nor of versions."""
        self.start()
        self.wfile.write(GOOD)

    def untold(self):
        """Does not say how long the file is."""
        self.start(length=None)
        self.wfile.write(GOOD)

    def redirect(self):
        self.start(302, 0, Location="/good")

    def slow(self):
        """Takes a second for the second half."""
        self.ranged(max(self.wanted(), HALF))
        time.sleep(1)
        self.wfile.write(GOOD[HALF:])

    # -- servers that fail in the midst ------------------------------------------------
    def drop(self):
        """Breaks off a third of the file after where it was asked to begin."""
        self.ranged(self.wanted() + len(GOOD) // 3)

    def half(self):
        """Says the whole length, sends half, and knows nothing of ranges."""
        self.start()
        self.wfile.write(GOOD[:HALF])

    def stall(self):
        """Sends half of what is missing, and then nothing for as long as one waits."""
        self.ranged((self.wanted() + len(GOOD)) // 2)
        self.wfile.flush()
        self.released.wait(20)

    def drip(self):
        self.start(ETag=TAG)
        self.wfile.write(GOOD[:HALF])
        with contextlib.suppress(ConnectionError):
            while not self.released.wait(0.02):
                self.wfile.write(b"x")

    def one_by_one(self, text: bytes):
        """Sends a text and then a byte now and then, for as long as one waits."""
        self.wfile.write(text)
        while not self.released.wait(0.02):
            self.wfile.write(b"x")

    def drip_status(self):
        self.one_by_one(b"HTTP/1.1 200 ")

    def drip_header(self):
        self.one_by_one(b"HTTP/1.1 200 OK\r\nX-Long: ")

    def drip_chunk(self):
        """Sends half, and never the whole length of the next chunk."""
        self.start(length=None, Transfer_Encoding="chunked")
        self.wfile.write(b"%x\r\n%b\r\n" % (HALF, GOOD[:HALF]))
        self.one_by_one(b"1;")

    def drip_trailer(self):
        self.start(length=None, Transfer_Encoding="chunked")
        self.one_by_one(b"%x\r\n%b\r\n0\r\nX-Long: " % (LENGTH, GOOD))

    def continues(self):
        """Says that it is about to answer, again and again."""
        while not self.released.wait(0.001):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    def redirect_slowly(self):
        self.one_by_one(b"HTTP/1.1 302 Found\r\nLocation: /good\r\n\r\n")

    def redirect_loudly(self):
        """Redirects, and sends a gigabyte a second beside it."""
        self.start(302, None, Location="/good")
        while not self.released.is_set():
            self.wfile.write(GOOD)

    def reset(self):
        """Ends with a reset instead of a farewell."""
        self.ranged(HALF)
        self.wfile.flush()
        time.sleep(0.2)  # a reset takes away what the other side has not read yet
        linger = b"\x01\0\0\0\0\0\0\0"
        self.connection.setsockopt(1, 13, linger)  # SO_LINGER of Linux
        self.connection.close()

    # -- servers that lie --------------------------------------------------------------
    def wrong(self):
        self.start()
        self.wfile.write(GOOD[::-1])

    def shorter(self):
        """Says half the length and sends everything."""
        self.start(length=HALF)
        self.wfile.write(GOOD)

    def boundless(self):
        self.start(length=1 << 60)
        self.wfile.write(GOOD)

    def endless(self):
        """Never says how long, and never ends."""
        self.start(length=None)
        while not self.released.is_set():
            self.wfile.write(GOOD)

    def elsewhere(self):
        """Answers a range with another one."""
        if self.headers["Range"]:
            self.start(206, 10, Content_Range=f"bytes 0-9/{len(GOOD)}")
            self.wfile.write(GOOD[:10])
        else:
            self.plain()

    def unasked(self):
        self.start(206, 10, Content_Range=f"bytes 5-14/{len(GOOD)}")
        self.wfile.write(GOOD[5:15])

    def satisfied(self):
        """Holds that nothing is missing."""
        if self.headers["Range"]:
            extent = self.headers["Range"].strip("bytes=-")
            self.start(416, 0, Content_Range=f"bytes */{extent}")
        else:
            self.plain()

    def unsatisfied(self):
        """Refuses every range."""
        if self.headers["Range"]:
            self.start(416, 0, Content_Range="bytes */7")
        else:
            self.plain()

    # -- servers that fail at once -----------------------------------------------------
    def none(self):
        self.send_error(404)

    def broken(self):
        self.send_error(500)

    def busy(self):
        self.send_error(503)

    def loop(self):
        self.start(302, 0, Location="/loop")

    def ftp(self):
        self.start(302, 0, Location="ftp://127.0.0.1/a.h5")

    def file(self):
        self.start(302, 0, Location="file:///etc/hostname")

    def nowhere(self):
        self.start(302, 0)

    def empty(self):
        self.start(204, None)

    def noise(self):
        self.wfile.write(b"no HTTP at all\r\n\r\n")

    def chunks(self):
        self.start(length=None, Transfer_Encoding="chunked")
        self.wfile.write(b"zz\r\n")


@contextlib.contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Runs the server, by TLS if there is a context; its address."""
    released = threading.Event()
    handler = type("Served", (Handler,), {"released": released})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
        finally:
            released.set()
            server.shutdown()
            thread.join()


def separate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Puts all places of weights into a folder; returns them in their order."""
    for name in ("KERAS_DREAM_WEIGHTS", "KERAS_DREAM_HOME", "KERAS_HOME"):
        (folder / name).mkdir()
        monkeypatch.setenv(name, str(folder / name))
    monkeypatch.delenv("KERAS_DREAM_OFFLINE", raising=False)
    (folder / "KERAS_HOME" / "models").mkdir()
    return weights.folders()
