"""What the YAML of `conf/` and `experiments/` says of itself: heads, keys with their comments, what is inherited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from limo import UserError, folders

KEY = re.compile(r"^( *)([\w.@-]+):(?:\s+(?!#)(\S.*?))?(?:\s+#\s+(.*))?$")


@dataclass(frozen=True)
class Key:
    """A key of a member."""

    value: str
    comment: str


def members() -> dict[str, dict[str, Path]]:
    """`folders.members`, by name within a group too."""
    return {group: dict(sorted(held.items())) for group, held in folders.members().items()}


def file_of(group: str, name: str) -> Path | None:
    """The file of a member, a base included."""
    places = (folder / group / f"{name}.yaml" for folder in folders.folders("conf"))
    return next((place for place in places if place.is_file()), None)


def head(file: Path) -> str:
    """The comment on top of a file, in one line."""
    return " ".join(folders.comment(folders.small(file)))


def leaves(node: object, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of all that is in a config; an empty group is a value too."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def elsewhere(name: str, keys: Iterable[str]) -> str:
    """Where in a config a key of that name is, for one that was given without its place, such as `lr`."""
    found = sorted((key for key in keys if key.endswith(f".{name}")), key=lambda key: (key.count("."), key))
    return f"; did you mean {' or '.join(found[:3])}?" if found else ""


def keys(group: str, name: str, prefix: str = "") -> dict[str, Key]:
    """Every key of a member with value and comment, those that it inherits and those of the parts it brings in their place."""
    file, found = file_of(group, name), dict[str, Key]()
    if file is None:
        return found
    text = folders.small(file)
    listed = _defaults(text, file)
    for entry in [*listed, *([] if "_self_" in listed else ["_self_"])]:
        if entry == "_self_":
            own = _keys(text)
        elif isinstance(entry, str) and "@" not in entry:
            own = keys(group, entry)
        else:
            spec, member = next(iter(entry.items())) if isinstance(entry, dict) else (entry, None)
            own = {} if str(spec).startswith("override ") else _part(group, str(spec), member)
        for key, held in own.items():
            _put(found, f"{prefix}{key}", held)
    return found


def _put(found: dict[str, Key], key: str, held: Key) -> None:
    """Set a key as a later file has it: a plain value takes the place of a group, a group that of a plain value."""
    parts = key.split(".")
    for above in (".".join(parts[:end]) for end in range(1, len(parts))):
        if above in found and found[above].value:
            found[above] = replace(found[above], value="")
    if held.value and not held.value.startswith("{"):
        for below in [name for name in found if name.startswith(f"{key}.")]:
            del found[below]
    before = found.get(key)
    found[key] = replace(held, comment=held.comment or (before.comment if before else ""))


def _part(group: str, spec: str, member: object) -> dict[str, Key]:
    """The keys of what `step@steps.quality: quality` brings; none of what lands elsewhere in the config."""
    path, _, package = spec.partition("@")
    path = path.removeprefix("/") if path.startswith("/") else f"{group}/{path}"
    package = package or path.rpartition("/")[2]
    where, name = (path, str(member)) if member is not None else path.rpartition("/")[::2]
    return {} if package.startswith("_global_") else keys(where, name, f"{package}.")


def _defaults(text: str, file: Path) -> list[Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from None
    listed = found.get("defaults") if isinstance(found, dict) else None
    return listed if isinstance(listed, list) else []


def _keys(text: str) -> dict[str, Key]:
    """The keys that a file itself says, by the dotted name, with the comment on each one's line."""
    found: dict[str, Key] = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if not (match := KEY.match(line)):
            continue
        indent, name, value, comment = len(match[1]), match[2], match[3] or "", match[4] or ""
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, name))
        if path[0][1] != "defaults" and (value or comment):
            found[".".join(part for _, part in path)] = Key(value, comment)
    return found
