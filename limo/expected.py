"""What a study expects, held to what there is before any work: benchmarks, and the overrides that tell its arms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from limo import UserError, described, folders
from limo.records import Expectation
from limo.report.settings import MEAN
from limo.report.verdicts import BASE, TUNED
from limo.spelling import meant

Members = Callable[[str], Sequence[str]]
"""The members of a group, those of `--config-dir` included; none where there is no such group."""


def refuse_unknown(expect: Mapping[str, Expectation], tree: Mapping[str, Any], members: Members) -> None:
    """Raises UserError where an expectation names a benchmark, a key or a member that there is not: no report could tell it.

    `tree` is the composed config of one of the arms. A benchmark that only another suite has may stand, for the suite is often exchanged.
    """
    suite, keys = list((tree.get("evaluation") or {}).get("benchmarks") or {}), set(_keys(tree))
    for name, one in expect.items():
        known = [MEAN, *suite]
        if suite and one.benchmark not in known and one.benchmark not in (more := members("evaluation/benchmark")):
            raise UserError(
                f"expect.{name}.benchmark={one.benchmark}: there is no such benchmark{meant(one.benchmark, [*known, *more])}; "
                f"give {MEAN}, or one of this run's: {', '.join(suite)}"
            )
        for word in (word for arm in one.order if arm not in (BASE, TUNED) for word in arm.split() or [repr(arm)]):
            if why := _fault(word, keys, members):
                raise UserError(f"expect.{name}.order: {word}: {why}")


def _fault(word: str, keys: set[str], members: Members) -> str | None:
    """Why a word of an arm can be no override of a run of the study, which has these keys."""
    given, equals, value = word.partition("=")
    key = given.lstrip("+~")
    group = key.partition("@")[0]
    if not equals and key == given.lstrip("+"):
        near = meant(word, [BASE, TUNED])
        return f"neither an arm nor key=value{near}; write {BASE}, {TUNED}, or overrides such as selection=limo"
    if "." not in group and (there := members(group)):
        if group == folders.RECIPES and key == given:
            return f"a run is given its recipe with a sign before it; write +{word}"
        if equals and value not in there:
            return f"no such member{meant(value, there)}; choose one of: {', '.join(there)}"
        return None
    added_or_taken = key != given and key.rpartition(".")[0] in keys
    if key in keys or added_or_taken or _is_key_of_another(key, members):
        return None
    near = meant(key, [*folders.members(), *keys]) or described.elsewhere(key, keys)
    return f"there is no such key{near}; `python -m limo --cfg job` prints every key with its value"


def _is_key_of_another(key: str, members: Members) -> bool:
    """Whether a member of a group has the key, other than the chosen one; of members that lie elsewhere nobody can tell."""
    parts = key.split(".")
    for place in range(1, len(parts)):
        group, rest = "/".join(parts[:place]), ".".join(parts[place:])
        for member in members(group):
            held = described.keys(group, member)
            if described.file_of(group, member) is None or any(f"{one}.".startswith(f"{rest}.") for one in held):
                return True
    return False


def _keys(node: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Every dotted key of a config, those of groups too."""
    for name, child in node.items():
        yield f"{above}{name}"
        if isinstance(child, Mapping):
            yield from _keys(child, f"{above}{name}.")
