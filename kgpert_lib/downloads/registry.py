"""What can be downloaded: ``registry.toml``, checked and flattened to one `Entry` per file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import write_text

FIRST_USE = "first-use"
_PATH = Path(__file__).with_name("registry.toml")

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
_Checksum = Annotated[str, StringConstraints(pattern=r"^(first-use|md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Strict):
    """One file: where it is, what it has to be, and whom to thank.

    `bytes` is None where no size is published; `checksum` is ``md5:<hex>``, ``sha256:<hex>`` or ``first-use``.
    """

    name: _Text
    group: _Text
    urls: Annotated[tuple[_Url, ...], Field(min_length=1)]
    bytes: Annotated[int, Field(gt=0)] | None = None
    checksum: _Checksum
    title: _Text
    licence: _Text
    citation: _Text
    attribution: _Text

    @model_validator(mode="after")
    def _plain_names(self) -> Entry:
        for value in (self.name, self.group):
            if PurePosixPath(value).name != value or value.startswith("."):
                raise ValueError(f"{value!r} is not a plain file name")
        return self

    @property
    def first_use(self) -> bool:
        """True when no checksum is published and the first download sets it."""
        return self.checksum == FIRST_USE


class Registry(_Strict):
    """All entries by file name; file names are unique across groups."""

    entries: dict[str, Entry]

    def __getitem__(self, name: str) -> Entry:
        if name in self.entries:
            return self.entries[name]
        near = get_close_matches(name, self.entries, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"the groups are {', '.join(self.groups)}."
        raise InputError(f"No file {name!r} in the registry; {hint}")

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def groups(self) -> list[str]:
        """Names of the groups, in the order of the file."""
        return list(dict.fromkeys(entry.group for entry in self.entries.values()))

    def group(self, group: str) -> list[Entry]:
        """The entries of one group; InputError lists the groups when there is none of that name."""
        entries = [entry for entry in self.entries.values() if entry.group == group]
        if not entries:
            raise InputError(f"No group {group!r} in the registry; the groups are {', '.join(self.groups)}.")
        return entries

    def write(self, path: str | Path) -> Path:
        """Write a file that `read` reads: one table for each entry, with every field spelt out."""
        tables = []
        for entry in self.entries.values():
            where = ".".join(json.dumps(part) for part in ("groups", entry.group, "files", entry.name))
            fields = entry.model_dump(mode="json", exclude={"name", "group"}, exclude_none=True)
            # a JSON string, number or list of strings is one of TOML too
            tables.append(
                "\n".join(
                    [
                        f"[{where}]",
                        *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()),
                    ]
                )
            )
        return write_text(path, "\n\n".join(tables) + "\n")

    @classmethod
    def read(cls, path: str | Path) -> Registry:
        """Read a ``registry.toml``; InputError names the file and its first fault."""
        try:
            groups = tomllib.loads(Path(path).read_text(encoding="utf-8"))["groups"]
            entries: dict[str, Entry] = {}
            for name, fields in _flatten(groups):
                if name in entries:
                    raise InputError(f"{path} lists {name!r} in both {entries[name].group} and {fields['group']}.")
                entries[name] = Entry.model_validate(fields)
            return cls(entries=entries)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "entry"
            raise InputError(f"{path}: file {name!r} has a bad {where}: {first['msg']}.") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError) as error:
            raise InputError(f"{path} is not a registry of downloads ({error}).") from error


def _flatten(groups: dict) -> Iterator[tuple[str, dict]]:
    for group, shared in groups.items():
        common = {key: value for key, value in shared.items() if key != "files"}
        for name, own in shared["files"].items():
            fields = {**common, **own, "name": name, "group": group}
            yield name, {**fields, "urls": tuple(url.replace("{file}", name) for url in fields.get("urls", ()))}


def default_registry() -> Registry:
    """The registry of ``KGPERT_REGISTRY``, else the one that comes with kgpert; InputError as `Registry.read`.

    Examples
    --------
    >>> from kgpert_lib.downloads.registry import default_registry
    >>> "perturbqa" in default_registry().groups
    True
    """
    path = paths.registry_file() or _PATH
    return _read_once(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _read_once(path: Path, modified: int) -> Registry:
    return Registry.read(path)
