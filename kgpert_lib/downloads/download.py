"""One file over HTTP, resumed where it stopped: Range requests and retries."""

from __future__ import annotations

import errno
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tqdm import tqdm
from urllib3.exceptions import HTTPError, NewConnectionError

from kgpert_lib.errors import InputError

ATTEMPTS = 5
WAIT_SECONDS = 1.0
_CHUNK = 1 << 16
_TIMEOUT = (10, 60)
# A server that sends fewer bytes of the file than this in so many seconds is given up, though it is never silent.
SLOWEST, SLOW_SECONDS = 60_000, 60.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FetchError(InputError):
    """A file could not be had; the message is one sentence and nothing lies under the file's final name."""


class UnreachableError(FetchError):
    """The host could not be reached at all."""


class StorageError(FetchError):
    """The disk refused the file; another URL would not help."""


class _TransientError(Exception):
    """A fault that a second attempt may not meet."""


class _SlowError(_TransientError):
    """The server trickles: the little that it sent counts as nothing."""


class _Watch(HTTPAdapter):
    """The connections of one attempt, which end when too little of the file has come through them.

    No time limit of `requests` does that: each holds for one read, and a server may send headers, sizes of chunks or
    ``100 Continue`` without end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self.slow: str | None = None
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """The pool of a host, or of the proxy before it, whose connections are watched from their start."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind: Any = type(pool).ConnectionCls
        watch = self

        class Watched(kind):
            def _new_conn(self) -> socket.socket:
                connected = super()._new_conn()
                watch._sockets.append(connected.dup())  # TLS takes the socket itself over, and this one stays
                if not watch._thread.ident:
                    watch._thread.start()
                return connected

        pool.ConnectionCls = Watched
        return pool

    def _run(self) -> None:
        before = 0
        while not self._over.wait(SLOW_SECONDS):
            if self.received - before < SLOWEST:
                self.slow = f"sent {self.received - before:,} bytes of the file in {SLOW_SECONDS:.0f} seconds"
                for connected in self._sockets:
                    with suppress(OSError):  # it has ended
                        connected.shutdown(socket.SHUT_RDWR)
                return
            before = self.received

    def close(self) -> None:
        """End the watch and the connections."""
        self._over.set()
        if self._thread.ident:
            self._thread.join()
        for connected in self._sockets:
            connected.close()
        super().close()


class ResumingDownloader:
    """Called with an address and a file, goes on from the bytes that `output_file` already holds.

    Parameters
    ----------
    size : bytes of the whole file, where known.
    keep : go on from a file left by an earlier run. Only safe where a checksum catches a file that has
        changed since; without it bytes are kept within one call only, and only if the server vouches for
        them with an ETag or a date.
    """

    def __init__(self, size: int | None = None, keep: bool = True) -> None:
        self.size, self.keep = size, keep
        self._validator: str | None = None
        self._contact = False
        self._best = self._fruitless = 0

    def __call__(self, url: str, output_file: str | Path) -> None:
        """Complete `output_file` from `url`; FetchError when that fails, with the bytes so far kept.

        Transient faults (a broken connection, a short body, 429, 5xx) are retried until `ATTEMPTS` attempts
        in a row have brought no new byte, or next to none.
        """
        part = Path(output_file)
        self._validator, self._contact, self._fruitless = None, False, 0
        try:
            if not self.keep:
                part.unlink(missing_ok=True)
            self._best = _size(part)
            retrying = Retrying(
                retry=retry_if_exception_type(_TransientError),
                wait=wait_random_exponential(multiplier=WAIT_SECONDS, max=30),
                stop=lambda _: self._fruitless >= ATTEMPTS,
                after=lambda state: self._count(state, part),
                reraise=True,
            )
            retrying(self._attempt, url, part)
        except _TransientError as error:
            raise FetchError(f"{url} {error}") from error
        except OSError as error:
            why = "the disk is full" if error.errno in _DISK_FULL else str(error.strerror or error)
            raise StorageError(
                f"{part.name} could not be written to {part.parent}: {why}; "
                "make room or set KGPERT_CACHE to another folder."
            ) from error

    def _count(self, state: RetryCallState, part: Path) -> None:
        on_disk = _size(part)
        slow = state.outcome is not None and isinstance(state.outcome.exception(), _SlowError)
        self._fruitless = 0 if on_disk - self._best >= (SLOWEST if slow else 1) else self._fruitless + 1
        self._best = max(self._best, on_disk)

    def _attempt(self, url: str, part: Path) -> None:
        on_disk = _size(part)
        if on_disk and ((self.size and on_disk > self.size) or not (self.keep or self._validator)):
            part.unlink()
            on_disk = 0
        if self.size and on_disk == self.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if on_disk:
            headers["Range"] = f"bytes={on_disk}-"
            if self._validator:
                headers["If-Range"] = self._validator
        try:
            with (
                _watched() as (session, watch),
                session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response,
            ):
                self._contact = True
                start, total = self._accept(response, on_disk, part)
                self._receive(response, watch, part, start, total)
        except FetchError:
            raise
        except ValueError as error:  # what requests, urllib3 and the parser of addresses say of a redirect
            raise FetchError(f"{url} leads to a malformed address ({error})") from error
        except requests.RequestException as error:
            if not self._contact and _unreachable(error):
                raise UnreachableError(f"{url} could not be reached") from error
            raise _TransientError("broke the connection off") from error

    def _accept(self, response: requests.Response, on_disk: int, part: Path) -> tuple[int, int | None]:
        """Offset at which the body starts and the size of the whole file, or the reason to refuse the answer."""
        status, url = response.status_code, response.url
        if status in (408, 425, 429) or status >= 500:
            raise _TransientError(f"answered {status} {response.reason}")
        partial = status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {on_disk}-")
        if status == 416 or (status == 206 and not partial):
            part.unlink(missing_ok=True)
            raise _TransientError("would not resume")
        if status != 200 and not partial:
            raise FetchError(f"{url} answered {status} {response.reason}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise FetchError(f"{url} answered with a web page instead of the file")
        start = on_disk if partial else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if re.fullmatch("[0-9]+", length) else None
        if self.size and total and total != self.size:
            raise FetchError(f"{url} offers {total:,} bytes instead of {self.size:,}")
        etag = response.headers.get("ETag", "")
        self._validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        return start, total

    def _receive(self, response: requests.Response, watch: _Watch, part: Path, start: int, total: int | None) -> None:
        bar = tqdm(
            total=self.size or total,
            initial=start,
            desc=part.name.removesuffix(".part"),
            unit="B",
            unit_scale=True,
            disable=None,  # on a terminal only
        )
        with bar, part.open("ab" if start else "wb") as file:
            for chunk in _pieces(response):
                file.write(chunk)
                bar.update(len(chunk))
                watch.received += len(chunk)
        on_disk, whole = _size(part), self.size or total
        if whole and on_disk < whole:
            raise _TransientError(f"stopped at {on_disk:,} of {whole:,} bytes")


@contextmanager
def _watched() -> Iterator[tuple[requests.Session, _Watch]]:
    """A session for one attempt and its watch; _SlowError in the place of what a connection that it ended gives."""
    watch = _Watch()
    with requests.Session() as session:  # closes the watch
        session.mount("http://", watch)
        session.mount("https://", watch)
        try:
            yield session, watch
        except Exception as error:
            if watch.slow:
                raise _SlowError(watch.slow) from error
            raise
        if watch.slow:  # a body without a length ends like a whole one
            raise _SlowError(watch.slow)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives; `iter_content` would wait until a whole chunk is there."""
    try:
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            yield piece
    except HTTPError as error:
        raise requests.ConnectionError(error) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unreachable(error: requests.RequestException) -> bool:
    """True where no connection came about: no network, no such host, refused, or no trust in its certificate."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError | requests.exceptions.SSLError):
        return True
    return isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)
