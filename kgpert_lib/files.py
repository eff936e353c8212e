"""Files and folders that are written whole or not at all, locks between processes, and digests.

Every output goes through `atomic`: it is written under a scratch name beside its final place, flushed to the
disk and renamed, so that whoever reads the path sees the old content or the new one, never a part of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from kgpert_lib import interrupts
from kgpert_lib.errors import InputError

_PLAIN_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EEXIST: "a file stands where its folder should be",
    errno.ENOTDIR: "a file stands where its folder should be",
}


class OutputError(InputError):
    """A file or folder that cannot be written; the message gives the path and the reason."""


class LockedError(InputError):
    """Another process holds the lock."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A scratch path of the same name; what the block writes there, a file or a folder, becomes `path`.

    The scratch path does not exist yet. When the block ends, the content is flushed to the disk and renamed over
    `path` in one step; a folder can only take a place that is free or an empty folder. After an exception, an
    interrupt included, the scratch is removed and `path` is as before. A link is followed, as writing to it
    would be.

    Raises OutputError as `scratch_folder` does.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from kgpert_lib.files import atomic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic(Path(folder, "table.csv")) as scratch:
    ...         _ = scratch.write_text("gene")
    ...     [path.name for path in Path(folder).iterdir()]
    ['table.csv']
    """
    with scratch_folder(path) as (folder, target):
        scratch = folder / target.name
        yield scratch
        _flush_tree(scratch)
        _rename(scratch, target)
        _flush_folder(target.parent)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[tuple[Path, Path]]:
    """A new hidden folder beside `path`, and `path` with its links followed; the folder goes when the block ends.

    The folder that holds `path` is made where it is missing.

    Raises
    ------
    OutputError
        For an empty name, for a device, and as `writing`.
    """
    with writing(path):
        target = _checked_target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # its name does not contain the target's, which may be as long as names can be
        folder = Path(tempfile.mkdtemp(prefix=".kgpert-", dir=target.parent))
        try:
            yield folder, target
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """OutputError, with the path and the reason, for every OSError in the block: do nothing but write in it."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({reason(error)}); choose another path.") from error


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file as UTF-8 with the newlines of `text`, whole or not at all (`atomic`); returns its path."""
    with atomic(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="")
    return Path(path)


def append_text(path: str | Path, text: str) -> None:
    """Add text as UTF-8 to the end of a file, which is made where it is missing, and wait until it is on the disk.

    A process that is killed meanwhile may leave the first part of `text`. Raises OutputError as `writing`.
    """
    with writing(path), Path(path).open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def digest(*parts: str | bytes | Path) -> str:
    """SHA-256 in hexadecimal of a string (as UTF-8), of bytes, or of the content of a file.

    Of several parts it is the digest of their digests, so that ``("ab", "c")`` and ``("a", "bc")`` differ.
    OSError where a file cannot be read.

    Examples
    --------
    >>> from kgpert_lib.files import digest
    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    hashes = [_hash(part) for part in parts]
    return (hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(h.digest() for h in hashes))).hexdigest()


@contextmanager
def locked(path: str | Path, wait: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock that stands for `path`, a hidden file ``.<name>.lock`` beside it.

    The system drops the lock when the process ends, however it ends. `on_wait` is called once if another
    process holds the lock and this one begins to wait.

    Raises LockedError at once where another process holds it and `wait` is False; OutputError where the lock
    file cannot be made.
    """
    target = Path(path)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            if not wait:
                raise LockedError(f"Another process is using {target}; wait for it to end.") from error
            if on_wait is not None:
                on_wait()
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise OutputError(f"{target} cannot be locked ({reason(error)}); choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def flush_file(path: Path) -> None:
    """Wait until the bytes of a file are on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def reason(error: BaseException | None) -> str:
    """Why the system refused a file, in a few words."""
    if not isinstance(error, OSError):
        return str(error)
    return _PLAIN_REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def is_empty(folder: Path) -> bool:
    """True for a directory without entries."""
    return folder.is_dir() and not any(folder.iterdir())


def free_names(stems: Iterable[str], suffix: str, folder: Path) -> dict[str, str]:
    """``<stem><suffix>`` for each stem, or ``<stem>-2<suffix>`` and so on where `folder` holds that name."""
    names: dict[str, str] = {}
    for stem in stems:
        candidates = (f"{stem}{suffix}" if k == 1 else f"{stem}-{k}{suffix}" for k in count(1))
        names[stem] = next(c for c in candidates if c not in names.values() and not (folder / c).exists())
    return names


def commit_folder(scratch: Path, target: Path, head: str, names: dict[str, str], retired: Iterable[str] = ()) -> None:
    """Make the files of `scratch` the content of the folder `target`, over an older content if need be.

    The folder has a head file that names its other files: whoever reads the head sees the old state or the new
    one, never a mixture. `scratch` holds the file `head` and the files `names` (by stem), whose names are free in
    `target`. A missing or empty target is replaced by one rename. Otherwise the files are added, the rename of
    the head decides, and the earlier generations of these stems go, as do the files `retired`, which only the
    old head named. OSError where the disk refuses.
    """
    for name in (*names.values(), head):
        flush_file(scratch / name)
    if not target.exists() or is_empty(target):
        _rename(scratch, target)
        _flush_folder(target.parent)
        return
    interrupts.check()
    for name in names.values():
        os.replace(scratch / name, target / name)
    _flush_folder(target)
    os.replace(scratch / head, target / head)
    _flush_folder(target)
    for stem, name in names.items():
        _drop_generations(target, stem, Path(name).suffix, keep=list(names.values()))
    for name in set(retired) - set(names.values()):
        (target / name).unlink(missing_ok=True)


def _checked_target(path: str | Path) -> Path:
    """Where `path` leads, links followed; OutputError where nothing can be written there."""
    if not str(path) or "\0" in str(path):
        raise OutputError("An output needs a file name; the one given is empty or holds a null character.")
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, "it is a link that leads back to itself")
    if target.exists() and not (target.is_dir() or stat.S_ISREG(target.stat().st_mode)):
        # a rename would put a file in the place of a device such as /dev/null
        raise OutputError(f"{path} is neither a file nor a folder; choose another path.")
    return target


def _rename(scratch: Path, target: Path) -> None:
    interrupts.check()  # whatever dropped a Ctrl-C on the way, an interrupted result does not appear
    if target.is_dir():
        if not scratch.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if os.name == "nt":  # Windows renames to a free name only; elsewhere an empty folder is replaced
            target.rmdir()
    os.replace(scratch, target)


def _hash(part: str | bytes | Path) -> hashlib._Hash:
    if isinstance(part, Path):
        with part.open("rb") as file:
            return hashlib.file_digest(file, "sha256")
    return hashlib.sha256(part.encode() if isinstance(part, str) else part)


def _drop_generations(folder: Path, stem: str, suffix: str, keep: Sequence[str]) -> None:
    generation = re.compile(re.escape(stem) + r"(-\d+)?" + re.escape(suffix))
    for path in folder.iterdir():
        if generation.fullmatch(path.name) and path.name not in keep:
            path.unlink(missing_ok=True)


def _flush_tree(path: Path) -> None:
    if not path.is_dir():
        flush_file(path)
        return
    for folder, _, names in os.walk(path):
        for name in names:
            flush_file(Path(folder) / name)
        _flush_folder(Path(folder))


def _flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk; Windows has no such call."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
