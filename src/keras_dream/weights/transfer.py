"""One HTTP transfer into a file that may hold a part of it already.

Servers are not trusted: with what they send (a hash decides on that), how much of it,
how fast, nor with what they say of its length.
"""

import errno
import http.client
import json
import os
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from keras_dream.weights.source import Progress

TIMEOUT = 30.0  # seconds without a byte before a transfer is given up
SLOWEST = 1024  # bytes a second: less than that over TIMEOUT is a stall, too
LARGEST = 8 << 30  # bytes; the largest published weights have less than 2 GB
CHUNK = 1 << 18
SECONDS_BETWEEN_CALLS = 0.1  # of the progress

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class TransferError(Exception):
    """The connection or the server failed; its text is what a person is told."""


class _Stale(Exception):
    """What is here is no part of what the server has now."""


class Part:
    """What has come of a file so far.

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
            return self.path.stat().st_size
        except OSError:
            return 0

    def validator(self, url: str) -> str | None:
        """Returns what the server called this version; "" if it did not.

        None if the bytes are of another address, or nobody knows of which.
        """
        try:
            note = json.loads(self._note.read_text("utf-8"))
            same = note["url"] == url
            said = note["validator"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return said if same and isinstance(said, str) else None

    def begin(self, url: str, validator: str) -> None:
        """Empties the part, and notes what is to come."""
        self.path.open("wb").close()
        note = json.dumps({"url": url, "validator": validator})
        self._note.write_text(note, "utf-8")

    def drop(self) -> None:
        """Removes everything."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


class Transfer:
    """Fetches a URL into a part.

    Args:
        url: An http or https address.
        part: Where the bytes go.
        progress: Told bytes so far and in all.
    """

    def __init__(self, url: str, part: Part, progress: Progress | None):
        self._url = url
        self._part = part
        self._progress = progress

    def run(self) -> None:
        """Fetches what is missing.

        Raises:
            Lost: If the connection or the server fails; what came is kept.
            OSError: If the disk refuses.
        """
        try:
            self._attempt()
        except _Stale:
            self._part.drop()
            self._attempt()

    def _attempt(self) -> None:
        held, validator = self._part.size(), self._part.validator(self._url)
        if validator is None:
            held = 0
        headers = {"User-Agent": "keras-dream", "Accept-Encoding": "identity"}
        if held:
            headers["Range"] = f"bytes={held}-"
            if validator:
                headers["If-Range"] = validator
        if self._progress is not None:
            self._progress(held, None)  # a server may take its time to answer
        try:
            answer = _open(self._url, headers)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code == 416 and held:
                if error.headers.get("Content-Range") == f"bytes */{held}":
                    return  # it was whole already
                raise _Stale from None
            raise TransferError(_said(error.code, error.reason)) from None
        with answer:
            begin, total = _extent(answer, held)
            if not begin:
                self._part.begin(self._url, _validator(answer))
            self._copy(answer, begin, total)

    def _copy(self, answer: Any, begin: int, total: int | None) -> None:
        if total is not None:
            _check_room(self._part.path.parent, total - begin)
        done, told = begin, 0.0
        with self._part.path.open("rb+") as file:
            file.seek(begin)
            file.truncate()
            pace, paced = time.monotonic(), begin
            while chunk := _read(answer):
                file.write(chunk)
                done += len(chunk)
                if done > (LARGEST if total is None else total):
                    raise TransferError("more bytes than there should be")
                now = time.monotonic()
                if now - pace > TIMEOUT:
                    if done - paced < SLOWEST * TIMEOUT:
                        raise TransferError(f"less than {SLOWEST} bytes a second")
                    pace, paced = now, done
                if self._progress is not None and now - told > SECONDS_BETWEEN_CALLS:
                    told = now
                    self._progress(done, total)
        if total is not None and done != total:
            raise TransferError(f"it ended after {done} of {total} bytes")
        if self._progress is not None:
            self._progress(done, total)


def _open(url: str, headers: dict[str, str]) -> Any:
    """Opens an address; http and https only, wherever it leads on to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
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
        raise TransferError(_reason(error)) from None
    if answer is None:
        raise TransferError("an address that is neither http nor https")
    return answer


def _extent(answer: Any, held: int) -> tuple[int, int | None]:
    """Returns at which byte an answer begins, and how many the whole file has."""
    length = answer.headers.get("Content-Length", "")
    count = int(length[:20]) if length.isdecimal() else None  # more is too large anyway
    begin, total = 0, count
    if answer.status == 206:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if not held:
            raise TransferError("a part, although the whole was asked for")
        if found is None or int(found[1]) != held:
            raise _Stale
        begin = held
        if found[2] != "*":
            total = int(found[2])
        elif count is not None:
            total = held + count
    elif answer.status != 200:
        raise TransferError(_said(answer.status, answer.reason))
    if total is not None and total > LARGEST:
        raise TransferError(f"{total} bytes, more than any weights have")
    if total is not None and total < begin:
        raise _Stale
    return begin, total


def _said(code: int, reason: object) -> str:
    if 300 <= code < 400:
        return f"{code}, a redirection that leads nowhere"
    return f"{code} {reason}".strip()


def _validator(answer: Any) -> str:
    """Returns what If-Range may ask for: a strong ETag, else the date, else nothing."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _read(answer: Any) -> bytes:
    try:
        return answer.read1(CHUNK)
    # TLS' errors are OSErrors, too, and not those of the cache's disk.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferError(_reason(error)) from None


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return f"nothing came for {TIMEOUT:.0f} s"
    if isinstance(inner, socket.gaierror):
        return "no such host, as without a network"
    told = inner.strerror if isinstance(inner, OSError) else None
    return told[:1].lower() + told[1:] if told else str(inner) or type(inner).__name__


def _check_room(folder: Path, needed: int) -> None:
    """Makes sure of room before a disk is filled to the brim."""
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
