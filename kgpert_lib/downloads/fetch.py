"""Files of the registry as local paths: from the cache, from a mirror, or downloaded; always verified.

A file lies at ``<KGPERT_CACHE>/<group>/<name>``. A mirror (``KGPERT_MIRROR``) has the same layout, so one
machine's cache serves as another's mirror; its files are verified and used in place. A download grows in
``<name>.part`` and is renamed once its size and checksum are right; a lock lets one process at a time
download a file, and the others find it done.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from kgpert_lib import paths
from kgpert_lib.downloads.download import FetchError, ResumingDownloader, StorageError, UnreachableError
from kgpert_lib.downloads.registry import Entry, Registry, default_registry
from kgpert_lib.files import OutputError, locked, reason, write_text

__all__ = ["FetchError", "LocalFiles", "available", "fetch", "fetch_all", "fetch_group"]


class LocalFiles(dict[str, Path]):
    """Paths by file name; `failed` holds the reason for every file that could not be had.

    `unreachable` names those of them whose hosts did not answer at all: nothing is wrong with any copy of these.
    """

    failed: dict[str, str]
    unreachable: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.failed = {}
        self.unreachable = set()


def fetch(name: str, registry: Registry | None = None) -> Path:
    """A verified local copy of one file, downloaded where there is none.

    Raises FetchError naming the URLs tried and what each gave, and InputError for a name that is not in the registry.
    """
    return _Fetcher().get((registry or default_registry())[name])


def fetch_all(names: Iterable[str], registry: Registry | None = None, download: bool = True) -> LocalFiles:
    """Verified local copies of several files; those that cannot be had are left out and named in `.failed`.

    A host that cannot be reached is asked once, so a machine without a network gets its answer at once. Without
    `download` only the cache and the mirror are looked at.
    """
    entries = [(registry or default_registry())[name] for name in names]
    fetcher, files = _Fetcher(), LocalFiles()
    for entry in entries:
        try:
            path = fetcher.get(entry) if download else _local(entry)
            if path is None:
                raise FetchError(f"{entry.name} is neither in the cache nor in a mirror.")
            files[entry.name] = path
        except FetchError as error:
            files.failed[entry.name] = str(error)
            if isinstance(error, UnreachableError):
                files.unreachable.add(entry.name)
    return files


def fetch_group(group: str, registry: Registry | None = None) -> LocalFiles:
    """`fetch_all` for the files of one group."""
    registry = registry or default_registry()
    return fetch_all([entry.name for entry in registry.group(group)], registry)


def available(name: str, registry: Registry | None = None) -> Path | None:
    """A verified copy that is already in the cache or the mirror, else None; touches no network and writes nothing.

    Raises FetchError for a mirror whose copy is wrong.
    """
    return _local((registry or default_registry())[name])


class _Fetcher:
    """Shared by the files of one call: the hosts that turned out not to be reachable."""

    def __init__(self) -> None:
        self.unreachable: set[str] = set()

    def get(self, entry: Entry) -> Path:
        """The verified file, from wherever it can be had."""
        target = _cache_path(entry)
        try:
            path = _local(entry)
            if path is None:
                target.parent.mkdir(parents=True, exist_ok=True)
                waiting = f"Another process is fetching {target.name}; waiting for it."
                with locked(target, on_wait=lambda: _note(waiting)):
                    path = _local(entry) or self._download(entry, target)
            if entry.first_use and not _record_path(entry).is_file():
                _write_record(entry, path)
        except (OSError, OutputError) as error:
            why = reason(error.__cause__ if isinstance(error, OutputError) else error)
            raise StorageError(
                f"{entry.name} could not be kept in {target.parent}: {why}; "
                "set KGPERT_CACHE to a folder that can be written."
            ) from error
        return path

    def _download(self, entry: Entry, target: Path) -> Path:
        part = target.with_name(f"{entry.name}.part")
        if target.exists():
            _note(f"{target} was damaged and has been dropped; fetching it again.")
            target.unlink()
        _check_room(entry, part)
        faults: list[FetchError] = []
        for url in entry.urls:
            host = urlsplit(url).netloc
            try:
                if host in self.unreachable:
                    raise UnreachableError(f"{url} could not be reached")
                self._complete(entry, url, part)
                os.replace(part, target)
                return target
            except StorageError:
                raise
            except FetchError as error:
                if isinstance(error, UnreachableError):
                    self.unreachable.add(host)
                faults.append(error)
        kind = UnreachableError if all(isinstance(error, UnreachableError) for error in faults) else FetchError
        raise kind(f"{entry.name} could not be fetched: {'; '.join(map(str, faults))}.")

    def _complete(self, entry: Entry, url: str, part: Path) -> None:
        """Leave the whole, verified file in `part`; a bad remainder of an earlier run is dropped and asked for anew."""
        keep = _expected(entry) is not None
        resumed = keep and part.exists()
        ResumingDownloader(entry.bytes, keep)(url, part)
        fault = _fault(entry, part, remember=False)
        if fault is None:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            return
        part.unlink()
        if resumed:
            return self._complete(entry, url, part)
        raise FetchError(f"{url} gave a file that {fault}{_stale_record(entry)}")


def _local(entry: Entry) -> Path | None:
    cached = _cache_path(entry)
    if cached.is_file() and _fault(entry, cached) is None:
        return cached
    mirror = paths.mirror_dir()
    if mirror is None:
        return None
    if not mirror.is_dir():
        raise FetchError(f"KGPERT_MIRROR is {mirror}, which is not a folder; correct or unset it.")
    copy = mirror / entry.group / entry.name
    if not copy.is_file():
        return None
    fault = _fault(entry, copy)
    if fault is not None:
        raise FetchError(
            f"The mirror's {copy} {fault}{_stale_record(entry)}; replace the copy, or unset KGPERT_MIRROR to "
            f"download from {' or '.join(entry.urls)}."
        )
    return copy


def _fault(entry: Entry, path: Path, remember: bool = True) -> str | None:
    """What is wrong with a file, first its size and then its checksum; None when it is right.

    The checksum of a file that stays as it is is computed once per process (`remember`).
    """
    stat = path.stat()
    if entry.bytes is not None and stat.st_size != entry.bytes:
        return f"has {stat.st_size:,} bytes instead of {entry.bytes:,}"
    expected = _expected(entry)
    if expected is None:
        return None if stat.st_size else "is empty"
    algorithm, _, digest = expected.partition(":")
    if remember:
        actual = _digest(str(path), algorithm, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    else:
        actual = _hash(path, algorithm)
    return None if actual == digest else f"has {algorithm} {actual} instead of {digest}"


@lru_cache(maxsize=256)
def _digest(path: str, algorithm: str, size: int, mtime_ns: int, inode: int) -> str:
    """The file's hash; the size, date and inode are part of the key."""
    return _hash(Path(path), algorithm)


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _expected(entry: Entry) -> str | None:
    """The published checksum, else the one recorded at first use, else None."""
    if not entry.first_use:
        return entry.checksum
    record = _record_path(entry)
    return f"sha256:{record.read_text(encoding='ascii').split()[0]}" if record.is_file() else None


def _write_record(entry: Entry, path: Path) -> None:
    """Record the sha256 in the format of ``sha256sum``, and say so."""
    digest, record = _hash(path, "sha256"), _record_path(entry)
    write_text(record, f"{digest}  {entry.name}\n")
    _note(
        f"No checksum is published for {entry.name}: its sha256 {digest} is recorded in {record} and holds from now on."
    )


def _stale_record(entry: Entry) -> str:
    if not entry.first_use:
        return ""
    return f" (the sha256 recorded at first use; delete {_record_path(entry)} to accept a new release)"


def _check_room(entry: Entry, part: Path) -> None:
    needed = (entry.bytes or 0) - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise StorageError(
            f"{entry.name} needs {needed:,} bytes and {part.parent} has {free:,} left; "
            "make room or set KGPERT_CACHE to another folder."
        )


def _cache_path(entry: Entry) -> Path:
    return paths.cache_dir() / entry.group / entry.name


def _record_path(entry: Entry) -> Path:
    return paths.cache_dir() / entry.group / f"{entry.name}.sha256"


def _note(text: str) -> None:
    print(text, file=sys.stderr)
