"""Numbers as people write them: sign, currency and digits are one value, in a box as in a sentence, in signs as in words."""

from __future__ import annotations

import re

from limo.grading.formulas.symbols import pairs

DIGITS = r"(?:\d{1,3}(?:(?:\{,\}|,\\!|\\[,!]|,)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_NUMBERS = pairs(
    "zero:0 one:1 two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 fourteen:14 fifteen:15 "
    "sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 thirty:30 forty:40 fifty:50 sixty:60 seventy:70 eighty:80 "
    "ninety:90 hundred:100"
)
SPELLED = "|".join(_NUMBERS)
MARKS = "$€£¥₹₩₽"
_FORMULA = r"\\[dt]?frac|\\sqrt|\\pi|\\infty"
_SAID = re.compile(
    rf"(?<![\w\\-])(?:minus|negative)(?![a-zA-Z])[\"')”]?\s*(\*{{0,2}})"
    rf"(?=[\s}}]*(?:\\text\{{)?(?:USD|US|[-{MARKS}\d.(]|\\\$|{_FORMULA}|(?:{SPELLED}|infinity)\b))",
    re.I,
)
"""A sign in words, before a number."""
_COUNT = re.compile(
    rf"(?<![\w-])-(?:one hundred|(?:{SPELLED})(?:[- ](?:{SPELLED}))?)\b(?!\s+(?:hal|third|quarter|fourth|fifth|hundred|thousand|million))",
    re.I,
)
_SIGN = r"(?:(?<![\w)\]}%.'\\-])[-−–]|(?<=(?:is|as|be|of|to|by|at|\w[:=]) )[-−] )"
_BEFORE = re.compile(
    rf"(?P<sign>{_SIGN}\s*)?(?P<bold>\*{{0,2}})(?:(?<![A-Za-z])US[AD]?\s*)?"
    rf"(?P<mark>\\+\$|[{MARKS}])\s?(?P<inner>[-−–]\$?\s?)?(?P<what>{DIGITS}|{_FORMULA})"
)
"""A currency or an opening `$` before a number, with the signs around it."""
_AFTER = re.compile(r"\s*(?:[-+*/^\\{(\d=<>%]|(?:million|billion|thousand|dollars?|cents?|USD)\b)|[a-zA-Z]", re.I)
"""What follows a number that is only a part of the amount, or has its unit already."""
_CLOSED = re.compile(r"(?:[^$\n\\]|\\.)*(?<![\s\\])\$(?!\d)")
"""The rest of a formula up to its closing `$`, which has no space before it and no digit behind it."""
_UNIT = {"$": " dollars", "€": " euros"}


def signed(text: str) -> str:
    """With `-40 dollars` for -$40, -\\$40, $-40, $-$40, minus $40 and negative $40, and `$-x$` for minus $x$."""
    if "负" in text:
        text = re.sub(r"负(?=[\d$\\])", "-", text)
    if "minus" in (low := text.lower()) or "negative" in low:
        text = _COUNT.sub(lambda match: spelled(match[0]) or match[0], _SAID.sub(_minus, text))
    text = re.sub(r"(?<![\w)}\]*-])[-−–]\*\*(?=[\d$\\.])", "**-", text)
    return _BEFORE.sub(_amount, text) if any(mark in text for mark in MARKS) else text


def _minus(match: re.Match[str]) -> str:
    """Between two numbers it is an operation."""
    before = match.string[: match.start()].rstrip()
    return (match[1] or "") + ("- " if before[-1:].isdigit() or before.endswith((")", "}", "$")) else "-")


def _amount(match: re.Match[str]) -> str:
    sign = "-" if match["sign"] or match["inner"] else ""
    rest = match.string[match.end() :]
    formula = match["what"].startswith("\\")
    if match["mark"] == "$" and (formula or _CLOSED.match(rest)):
        return f"{match['bold']}${sign}{match['what']}"
    unit = "" if formula or _AFTER.match(rest) else _UNIT.get(match["mark"][-1], "")
    return f"{match['bold']}{sign}{match['what']}{unit}"


def spelled(text: str) -> str | None:
    """The digits of a number written as a word, up to a hundred."""
    word = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip().lower()
    sign = "-" if word.startswith("-") else ""
    tens, _, ones = word.lstrip("- ").replace("one hundred", "hundred").replace(" ", "-").partition("-")
    if tens not in _NUMBERS or (
        ones and (not tens.endswith("ty") or len(_NUMBERS.get(ones, "00")) > 1 or ones == "zero")
    ):
        return None
    return f"{sign}{int(_NUMBERS[tens]) + int(_NUMBERS.get(ones, 0))}"
