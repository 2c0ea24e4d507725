"""Which of the known names a mistyped one probably stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST = 3


def near(wrong: str, names: Iterable[str]) -> list[str]:
    """The few names most like a wrong one: by letters, as its initials (`lr` of `learning_rate`), or by a word of several."""
    known = list(dict.fromkeys(names))
    words = wrong.lower().replace("-", "_").split("_")
    initials = "".join(word[:1] for word in words)
    found = difflib.get_close_matches(wrong, known, n=MOST)
    found += [name for name in known if len(words) > 1 and name.lower() == initials]
    found += [name for name in known if set(words) & set(name.lower().replace("-", "_").split("_"))]
    return list(dict.fromkeys(found))[:MOST]


def meant(wrong: str, names: Iterable[str], write: str = "{}") -> str:
    """`; did you mean …?` for the end of a sentence, each name as `write` has it; nothing where none is near."""
    found = near(wrong, names)
    return f"; did you mean {' or '.join(write.format(name) for name in found)}?" if found else ""
