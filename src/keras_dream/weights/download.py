"""Downloads a weights file: resumed, bounded, locked, checked, and landed by rename.

The bytes received so far are in `.NAME.part` beside the final place, with a note of
their address and version. They are kept after a failure, and the next run goes on.

Servers are not trusted: not with what they send (a hash decides on that), how much of
it and how fast, nor with what they state as its length. One clock runs over a whole
exchange, from the first address to the last byte, because timeouts of single reads, as
also urllib3 and httpx have them, never end where a server sends a byte now and then.
"""

import contextlib
import errno
import http.client
import io
import json
import logging
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from keras_dream.errors import (
    DownloadError,
    DreamError,
    OutputError,
    SaveError,
    short_repr,
)
from keras_dream.files import FULL
from keras_dream.weights import cache
from keras_dream.weights.source import LARGEST, Progress, Source, home
from keras_dream.weights.verify import LocalFile, look, set_aside

_log = logging.getLogger(__name__)

ATTEMPTS = 5  # in a row, as long as each of them brings some bytes
PAUSE = 1.0  # seconds before the second attempt; longer before each later one
TIMEOUT = 30.0  # seconds in which an exchange must bring some of the file
SLOWEST = 1024  # bytes a second of the file: less than that over TIMEOUT is a stall
LARGEST_NOTE = 1 << 16  # bytes; headers have less
CHUNK = 1 << 18  # bytes
SECONDS_BETWEEN_CALLS = 0.1  # of the progress

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class TransferError(Exception):
    """The connection or the server failed; its text is for the user."""


class _Stale(Exception):
    """The received part is of another version than the server's."""


class Part:
    """The part of a file that has been received.

    Args:
        target: Where the whole file will be.

    Attributes:
        path: The bytes.
    """

    def __init__(self, target: Path):
        self.path = target.with_name(f".{target.name}.part")
        self._note = target.with_name(f".{target.name}.part.json")

    @property
    def files(self) -> tuple[Path, Path]:
        """The bytes, and the note of what they are a part of."""
        return self.path, self._note

    def size(self) -> int:
        """Returns how many bytes are here."""
        try:
            with self.open() as file:
                return os.fstat(file.fileno()).st_size
        except OSError:  # none, or a link, which is another's file
            return 0

    def open(self) -> cache.Opened:
        """Opens the bytes, to be read and written."""
        return cache.open_regular(self.path, write=True, links=False)

    def validator(self, url: str) -> str | None:
        """Returns the server's name of this version; "" if it gave none.

        None if the bytes are of another address, or of an unknown one.
        """
        try:
            with cache.open_regular(self._note, links=False) as file:
                note = json.loads(file.read(LARGEST_NOTE))
            same = note["url"] == url
            validator = note["validator"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return validator if same and isinstance(validator, str) else None

    def begin(self, url: str, validator: str) -> None:
        """Empties the part, and notes what is to come."""
        self.drop()  # whatever lies there is replaced, and never written through
        self.path.open("xb").close()
        with self._note.open("x", encoding="utf-8") as file:
            json.dump({"url": url, "validator": validator}, file)

    def drop(self) -> None:
        """Removes everything."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def download(
    name: str, source: Source, *, progress: Progress | None = None
) -> LocalFile:
    """Downloads a published file into our cache, unless another process just has.

    Args:
        name: The network, for messages.
        source: The file; it has a `url`.
        progress: Called with the bytes so far and in all, or None; also when another
            process downloads the same file.

    Raises:
        DownloadError: If it cannot be had, or is not what was published.
        SaveError: If the disk is full.
        OutputError: If the cache takes no files.
    """
    target = home() / source.file
    part = Part(target)

    def waiting() -> None:
        if progress is not None:
            progress(part.size(), None)

    try:
        cache.make_home()
        with cache.locked(target, waiting=waiting):
            return _land(name, source, target, part, progress)
    except OSError as error:
        raise cache_error(name, error) from None


def cache_error(name: str, error: OSError) -> DreamError:
    """Returns the sentence for a cache that takes no file.

    Args:
        name: The network whose weights it should take.
        error: What the system said.
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.errno in FULL:
        return SaveError(
            f"The disk must have room for the weights of {name}",
            received=f"{reason!r} for {short_repr(str(home()))}",
            hint="free some space, or set KERAS_DREAM_HOME to a folder with room; "
            "the same command goes on from there",
        )
    return OutputError(
        "The weights cache must be a folder that takes files",
        received=f"{short_repr(str(home()))} ({reason})",
        hint="set KERAS_DREAM_HOME to another folder, or give a file with "
        "--weights FILE",
    )


def _land(
    name: str, source: Source, target: Path, part: Part, progress: Progress | None
) -> LocalFile:
    """Downloads and checks, under the lock, unless another process just has."""
    if target.is_file():
        there = look(target, source)
        if there.mismatch is None:
            return LocalFile(target, there.sha256, source)
        set_aside(target, there.sha256)
    resumed = _fetch(name, source, part, progress)
    hashes = cache.compute_hashes(part.path)
    if resumed and source.mismatch(hashes):
        # The older bytes may be of another version or damaged: all of it again.
        part.drop()
        _fetch(name, source, part, progress)
        hashes = cache.compute_hashes(part.path)
    wrong = source.mismatch(hashes)
    if wrong is not None:
        aside = home() / f"{source.file}.bad-{hashes.sha256[:8]}"
        part.path.replace(aside)
        part.drop()
        raise DownloadError(
            f"The weights of {name} must have {wrong.must}",
            received=f"a download with {wrong.received} from {source.url}, kept as "
            f"{aside}",
            hint="try again later, or bring the file with `dream weights import FILE`",
        )
    part.path.replace(target)
    part.drop()
    cache.record(target, hashes)
    return LocalFile(target, hashes.sha256, source)


def _fetch(name: str, source: Source, part: Part, progress: Progress | None) -> bool:
    """Downloads all bytes, in several attempts as long as each receives some.

    Returns:
        Whether some of them are from an earlier run or attempt.
    """
    if part.validator(str(source.url)) is None:
        part.drop()  # of another address, or of an unknown one
    resumed = part.size() > 0
    _log.info("Downloading %s from byte %d on", source.url, part.size())
    transfer = Transfer(str(source.url), part, progress)
    best = part.size()
    for attempt in range(ATTEMPTS):
        try:
            transfer.run()
        except TransferError as failure:
            if part.size() <= best or attempt + 1 == ATTEMPTS:
                raise _failed(name, source, part, failure) from None
            best, resumed = part.size(), True
            _log.warning(
                "The download of %s stopped (%s); attempt %d follows",
                name,
                failure,
                attempt + 2,
            )
            time.sleep(PAUSE * (attempt + 1))
        else:
            break
    with part.open() as file, contextlib.suppress(OSError):
        os.fsync(file.fileno())
    return resumed


def _failed(
    name: str, source: Source, part: Part, failure: TransferError
) -> DownloadError:
    size = part.size()
    if not size:
        part.drop()
    kept = f"; {size / 1e6:.1f} MB are kept and the same command goes on from there"
    return DownloadError(
        f"The weights of {name} must be downloadable from {source.url}",
        received=short_repr(str(failure)),
        hint="check the connection, or bring the file with `dream weights import "
        "FILE`" + (kept if size else ""),
    )


class Transfer:
    """Fetches a URL into a part.

    Args:
        url: An http or https address.
        part: Where the bytes go.
        progress: Called with the bytes so far and in all.
    """

    def __init__(self, url: str, part: Part, progress: Progress | None):
        self._url = url
        self._part = part
        self._progress = progress

    def run(self) -> None:
        """Fetches what is missing.

        Raises:
            TransferError: If the connection or the server fails; what came is kept.
            OSError: If the disk refuses.
        """
        try:
            self._attempt()
        except _Stale:
            self._part.drop()
            self._attempt()

    def _attempt(self) -> None:
        size, validator = self._part.size(), self._part.validator(self._url)
        if validator is None:
            size = 0
        headers = {"User-Agent": "keras-dream", "Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
            if validator:
                headers["If-Range"] = validator
        if self._progress is not None:
            self._progress(size, None)  # a server may take its time to answer
        clock = _Clock()
        try:
            answer = _open(self._url, headers, clock)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code == 416 and size:
                if error.headers.get("Content-Range") == f"bytes */{size}":
                    return  # it was complete already
                raise _Stale from None
            raise TransferError(_status(error.code, error.reason)) from None
        with answer:
            begin, total = _extent(answer, size)
            if not begin:
                self._part.begin(self._url, _validator(answer))
            self._copy(answer, begin, total, clock)

    def _copy(
        self, answer: Any, begin: int, total: int | None, clock: "_Clock"
    ) -> None:
        if total is not None:
            _check_room(self._part.path.parent, total - begin)
        done, called = begin, 0.0
        with self._part.open() as file:
            file.seek(begin)
            file.truncate()
            while chunk := _read(answer, clock):
                file.write(chunk)
                done += len(chunk)
                if done > (LARGEST if total is None else total):
                    raise TransferError("more bytes than there should be")
                clock.advance(len(chunk))
                now = time.monotonic()
                if self._progress is not None and now - called > SECONDS_BETWEEN_CALLS:
                    called = now
                    self._progress(done, total)
        if total is not None and done != total:
            raise TransferError(f"it ended after {done} of {total} bytes")
        if self._progress is not None:
            self._progress(done, total)


class _Clock:
    """The time of one exchange, which only bytes of the file set back.

    Attributes:
        heard: Whether anything came since then.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._bytes = 0
        self.heard = False

    def left(self) -> float:
        """Returns the seconds that are left.

        Raises:
            TimeoutError: If there are none.
        """
        left = self._since + TIMEOUT - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def advance(self, count: int) -> None:
        """Notes bytes of the file; enough of them give another TIMEOUT."""
        self._bytes += count
        if self._bytes >= SLOWEST * TIMEOUT:
            self._since, self._bytes, self.heard = time.monotonic(), 0, False


class _Clocked:
    """Lets a socket wait for no longer than the clock of its exchange has."""

    clock: _Clock

    def recv_into(self, *args: Any, **options: Any) -> int:
        connection: Any = super()
        self.settimeout(self.clock.left())  # type: ignore[attr-defined]
        count = connection.recv_into(*args, **options)
        self.clock.heard = True
        return count


class _Plain(_Clocked, socket.socket):
    """A connection."""


class _Encrypted(_Clocked, ssl.SSLSocket):
    """A connection by TLS."""


class _Exchange(urllib.request.AbstractHTTPHandler):
    """Makes the connections of one exchange, which share its clock."""

    def __init__(self, clock: _Clock):
        super().__init__()
        self._clock = clock

    def http_request(self, request: Any) -> Any:
        return self.do_request_(request)

    https_request = http_request

    def http_open(self, request: Any) -> Any:
        return self.do_open(self._plain, request)  # type: ignore[arg-type]

    def https_open(self, request: Any) -> Any:
        return self.do_open(self._encrypted, request)  # type: ignore[arg-type]

    def _plain(self, host: str, **options: Any) -> http.client.HTTPConnection:
        return self._clocked(http.client.HTTPConnection(host, **options))

    def _encrypted(self, host: str, **options: Any) -> http.client.HTTPConnection:
        context = ssl.create_default_context()
        # The connection's socket comes into being when TLS has said its greetings.
        clocked = type("Encrypted", (_Encrypted,), {"clock": self._clock})
        context.sslsocket_class = clocked
        return self._clocked(
            http.client.HTTPSConnection(host, context=context, **options)
        )

    def _clocked(self, connection: Any) -> http.client.HTTPConnection:
        connection._create_connection = self._connect
        return connection

    def _connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """Connects to the first address of a host that answers."""
        failure = OSError("no address")
        for *kind, _name, place in socket.getaddrinfo(
            *address, type=socket.SOCK_STREAM
        ):
            connection = _Plain(*kind)
            connection.clock = self._clock
            try:
                connection.settimeout(self._clock.left())
                connection.connect(place)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirections without reading what they say beside the address."""

    def http_error_302(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any
    ) -> Any:
        fp.close()
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)  # type: ignore[arg-type]

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _open(url: str, headers: dict[str, str], clock: _Clock) -> Any:
    """Opens an address; http and https only, wherever it leads on to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Exchange(clock),
        _Redirect(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        request = urllib.request.Request(url, headers=headers)
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferError(_reason(error, clock)) from None
    if answer is None:
        raise TransferError("an address that is neither http nor https")
    return answer


def _extent(answer: Any, size: int) -> tuple[int, int | None]:
    """Returns at which byte an answer begins, and how many the whole file has."""
    length = answer.headers.get("Content-Length", "")
    count = int(length[:20]) if length.isdecimal() else None  # more is too large anyway
    begin, total = 0, count
    if answer.status == 206:
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if not size:
            raise TransferError("a part, although the whole was asked for")
        if match is None or int(match[1]) != size:
            raise _Stale
        begin = size
        if match[2] != "*":
            total = int(match[2])
        elif count is not None:
            total = size + count
    elif answer.status != 200:
        raise TransferError(_status(answer.status, answer.reason))
    if total is not None and total > LARGEST:
        raise TransferError(f"{total} bytes, more than any weights have")
    if total is not None and total < begin:
        raise _Stale
    return begin, total


def _status(code: int, reason: object) -> str:
    if 300 <= code < 400:
        return f"{code}, a redirection that leads nowhere"
    return f"{code} {reason}".strip()


def _validator(answer: Any) -> str:
    """Returns what If-Range may ask for: a strong ETag, else the date, else nothing."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _read(answer: Any, clock: _Clock) -> bytes:
    try:
        return answer.read1(CHUNK)
    # TLS' errors are OSErrors, too, and not those of the cache's disk.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferError(_reason(error, clock)) from None


def _reason(error: Exception, clock: _Clock) -> str:
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError) and clock.heard:
        return f"less than {SLOWEST} bytes a second of the file for {TIMEOUT:.0f} s"
    if isinstance(inner, TimeoutError):
        return f"nothing came for {TIMEOUT:.0f} s"
    if isinstance(inner, socket.gaierror):
        return "no such host, as without a network"
    text = inner.strerror if isinstance(inner, OSError) else None
    return text[:1].lower() + text[1:] if text else str(inner) or type(inner).__name__


def _check_room(folder: Path, needed: int) -> None:
    """Raises an error before the disk is full."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
