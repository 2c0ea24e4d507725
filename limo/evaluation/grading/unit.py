"""What stands beside a number: units, percent signs, clock times, number words."""

from __future__ import annotations

import re

_POWER = r"(?:\s*\^\s*\{?-?\d+\}?)?"
_SHORT = frozenset(
    "cm|mm|km|dm|nm|kg|mg|lb|lbs|oz|ml|mL|ft|in|yd|mi|mph|kph|hr|hrs|min|mins|sec|secs|s|h|Hz|kHz|kW|kWh|eV|keV|MeV|GeV|kJ|mol|Pa|kPa"
    "|rad|sr|cc|fps|rpm|amu|AU|pc|yr|yrs|erg|dB|V|ohm".split("|")
)
"""Short words that are units after a number; a longer word is taken for one anyhow."""
_TAIL = re.compile(
    rf"""(?<=[\d)}}\]a-zA-Z!])\s*
    (?P<unit>
      (?:[*/]|\\cdot|\\times)?\s*(?:\^\\circ\s*)?\\text\{{[^{{}}]*\}}{_POWER}
        (?:\s*(?:(?:[*/]|\\cdot|\\times)\s*[a-zA-Z]{{1,4}}(?![a-zA-Z])|(?:[*/]|\\cdot|\\times)?\s*\\text\{{[^{{}}]*\}}){_POWER})*
      | \^\\circ\s*[CFK]?
      | [\u3040-\u9fff\uac00-\ud7af][\u3040-\u9fff\uac00-\ud7af\s/]*
    )$""",
    re.X,
)
_PLAIN = re.compile(
    rf"(?<=[\d)}}])\s+(?P<unit>(?P<first>[a-zA-Z]{{1,20}})(?:\s+[a-zA-Z]{{1,20}}){{0,4}}{_POWER}(?:\s*/\s*[a-zA-Z]{{1,20}}{_POWER})?)$"
)
_GLUED = re.compile(rf"^(?P<number>-?\d+(?:\.\d+)?)(?P<unit>(?:km|cm|mm|kg|mph|km/h|m/s){_POWER})$")
_PERCENT = re.compile(r"\s*(?:\\*%|\\text\{\s*(?:percent|percentage|pct|per cent)\s*\}|\b(?:percent(?:age)?(?: points)?|pct|per cent)\b)\s*$", re.I)
_LEAD = re.compile(r"^(?:\\approx|\\sim|\\text\{(?:about|approximately|approx\.?|around|roughly)\}|(?:about|approximately|around|roughly)(?=\s))\s*", re.I)
_NOUNS = frozenset("where with for and or such that if when not is are the of otherwise all any else no positive negative real integer".split())

_ALIASES = {
    "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "meter": "m", "metre": "m", "kilometer": "km", "kilometre": "km",
    "inch": "in", "inche": "in", "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi", "gram": "g", "kilogram": "kg", "pound": "lb",
    "ounce": "oz", "second": "s", "sec": "s", "minute": "min", "hour": "h", "hr": "h", "year": "yr", "liter": "l", "litre": "l",
    "milliliter": "ml", "dollar": "$", "usd": "$", "degree": "deg", "^\\circ": "deg", "mile per hour": "mph", "mile/hour": "mph",
    "mi/h": "mph", "kilometer per hour": "km/h", "kph": "km/h", "meter per second": "m/s", "radian": "rad", "newton": "n", "joule": "j",
    "unit": "", "sq unit": "", "cubic unit": "", "unit^2": "", "unit^3": "", "electron volt": "ev", "厘米": "cm", "米": "m", "千克": "kg",
    "元": "yuan", "cent": "¢", "公里": "km", "千米": "km", "克": "g", "度": "deg", "小时": "h", "分钟": "min", "分": "min", "秒": "s",
}  # fmt: skip


def without_unit(text: str) -> tuple[str, str]:
    """(what is left, the unit in one spelling) of a normalised value; the unit is "" where none stands."""
    text = _LEAD.sub("", text).strip()
    match = _TAIL.search(text) or _PLAIN.search(text)
    if match and match.re is _PLAIN and len(match["first"]) < 3 and match["first"] not in _SHORT:
        return text, ""
    if match is None or not text[: match.start()].strip():
        glued = _GLUED.match(text)
        return (glued["number"], unit(glued["unit"])) if glued else (text, "")
    name = match["unit"]
    if any(word in _NOUNS for word in re.findall(r"[a-zA-Z]+", name)):
        return text, ""
    head = text[: match.start()].strip()
    # a letter before a text mark is a variable only in a formula; alone it is no quantity
    if not re.search(r"\d|\\", head):
        return text, ""
    return re.sub(r"(?:\\cdot|\\times|\*)\s*$", "", head).strip(), unit(name)


def unit(name: str) -> str:
    """A unit in one spelling: lower case, singular, common short forms."""
    s = re.sub(r"\\text\{([^{}]*)\}", r"\1", name)
    s = re.sub(r"\\cdot|\\times|\*", " ", s).replace("{", "").replace("}", "")
    s = re.sub(r"\s+", " ", s.replace("~", " ")).strip(" .").lower()
    s = re.sub(r"\s*/\s*", "/", re.sub(r"\s*\^\s*", "^", s)) if "circ" not in s else s.replace(" ", "")
    for word, power in (("square", 2), ("sq", 2), ("cubic", 3), ("cu", 3)):
        if match := re.fullmatch(rf"{word}\.? (.+)", s):
            return f"{unit(match[1])}^{power}" if unit(match[1]) else ""
    base, mark, power_ = s.partition("^") if not s.startswith("^") else (s, "", "")
    base = " ".join(word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in base.split(" "))
    base = _ALIASES.get(base, base)
    return f"{base}{mark}{power_}" if base else ""


def same_unit(a: str, b: str) -> bool:
    """Whether two units in one spelling are not in conflict: `5 cm` and `5 cm^2` are, `5 apples` and `5 red apples` aren't."""
    if not a or not b or a == b:
        return True
    first, second = set(re.findall(r"[^\s/^]+", a)), set(re.findall(r"[^\s/^]+", b))
    return "^" not in a + b and "/" not in a + b and (first <= second or second <= first)


def without_percent(text: str) -> tuple[str, bool]:
    """(what is left, whether a percent sign or word stood behind it)."""
    match = _PERCENT.search(text)
    return (text[: match.start()].strip(), True) if match and match.start() > 0 else (text, False)


_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*(?:\\?,?\s*(?:\\text\{)?\s*([aApP])\.?\s*[mM]\.?\s*\}?)?")


def time(text: str) -> tuple[int, int, int, str] | None:
    """(hour, minute, second, "a", "p" or "") of a clock time."""
    match = _TIME.fullmatch(text.strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").lower()) if match else None


def same_time(a: tuple[int, int, int, str], b: tuple[int, int, int, str]) -> bool:
    """Times of one clock: 20:34 is 08:34 p.m.; where only one says which half of the day, the hour as written also counts."""
    if a[1:3] != b[1:3]:
        return False
    day_a, day_b = (t[0] % 12 + 12 * (t[3] == "p") if t[3] else t[0] for t in (a, b))
    return day_a == day_b or (not (a[3] and b[3]) and a[0] == b[0])


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))


def spelled(text: str) -> str | None:
    """The digits of a number written as a word, up to a hundred."""
    word = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip().lower()
    if word in _ONES:
        return str(_ONES.index(word))
    tens, _, ones = word.replace(" ", "-").partition("-")
    if tens in _TENS and (not ones or ones in _ONES[1:10]):
        return str(_TENS[tens] + (_ONES.index(ones) if ones else 0))
    return "100" if word in ("hundred", "one hundred") else None
