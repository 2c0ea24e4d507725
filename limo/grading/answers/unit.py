"""What stands beside a number: units, percent signs, clock times, number words."""

from __future__ import annotations

import re

from limo.grading.formulas.symbols import names, pairs

_POWER = r"(?:\s*\^\s*\{?-?\d+\}?)?"
_SHORT = names(
    "cm mm km dm nm kg mg lb lbs oz ml mL ft in yd mi mph kph hr hrs min mins sec secs s h Hz kHz kW kWh eV "
    "keV MeV GeV kJ mol Pa kPa rad sr cc fps rpm amu AU pc yr yrs erg dB V ohm"
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
_PERCENT = re.compile(
    r"\s*(?:\\*%|\\text\{\s*(?:percent|percentage|pct|per cent)\s*\}|\b(?:percent(?:age)?(?: points)?|pct|per cent)\b)\s*$",
    re.I,
)
_LEAD = re.compile(
    r"^(?:\\approx|\\sim|\\text\{(?:about|approximately|approx\.?|around|roughly)\}|(?:about|approximately|around|roughly)(?=\s))\s*",
    re.I,
)
_NOUNS = names(
    "where with for and or such that if when not is are the of otherwise all any else no positive negative real integer"
)

_ALIASES = pairs(
    "centimeter:cm centimetre:cm millimeter:mm meter:m metre:m kilometer:km kilometre:km inch:in inche:in foot:ft feet:ft yard:yd mile:mi "
    "gram:g kilogram:kg pound:lb lbs:lb ounce:oz second:s sec:s minute:min hour:h hr:h hrs:h year:yr liter:l litre:l milliliter:ml "
    "dollar:$ usd:$ degree:deg radian:rad newton:n joule:j unit: cent:¢ 厘米:cm 米:m 千克:kg 元:yuan 公里:km 千米:km 克:g 度:deg 小时:h "
    "分钟:min 分:min 秒:s 平方厘米:cm^2"
)
_COMPOUND = {"mph": [("mi", 1), ("h", -1)], "kph": [("km", 1), ("h", -1)], "fps": [("ft", 1), ("s", -1)]}


def without_unit(text: str) -> tuple[str, str]:
    """(what is left, the unit in one spelling) of a normalised value; the unit is "" where none stands."""
    text = _LEAD.sub("", text).strip()
    match = _TAIL.search(text) or _PLAIN.search(text)
    if (
        match
        and match.re is _PLAIN
        and len(match["first"]) < 3
        and match["first"] not in _SHORT
        and "/" not in match["unit"]
    ):
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
    """A unit in one spelling, its parts in order: `km per hour`, `\\text{km}/\\text{h}` and `kph` are `h^-1 km`."""
    s = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", name).lower()
    s = re.sub(
        r"\s*\^\s*\{?(-?\d+)\}?",
        r"^\1 ",
        re.sub(r"\\cdot|\\times|[*~{}.,]|·", lambda m: m[0] if m[0] in "{}" else " ", s),
    )
    s = re.sub(r"\b(?:per|an?)\b", "/", s).replace("^\\circ", " deg ")
    powers: dict[str, int] = {}
    sign = power = 1
    for word in re.findall(r"/|[^\s/]+", s):
        if word == "/":
            sign = -1
        elif word in ("square", "sq", "cubic", "cu"):
            power = 2 if word[0] == "s" else 3
        else:
            base, _, exponent = word.partition("^")
            for part, own in _parts(base):
                powers[part] = powers.get(part, 0) + sign * own * power * (
                    int(exponent) if re.fullmatch(r"-?\d+", exponent) else 1
                )
            sign = power = 1
    return " ".join(base + (f"^{n}" if n != 1 else "") for base, n in sorted(powers.items()) if n)


def _parts(word: str) -> list[tuple[str, int]]:
    """The unit a word stands for, singular and short, as bases with powers; nothing for a bare "units"."""
    word = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
    return _COMPOUND.get(word) or [(base, 1) for base in [_ALIASES.get(word, word)] if base]


def same_unit(a: str, b: str) -> bool:
    """Whether two units in one spelling are not in conflict: `5 cm` and `5 cm^2` are, `5 apples` and `5 red apples` aren't."""
    if not a or not b or a == b:
        return True
    first, second = set(a.split()), set(b.split())
    return "^" not in a + b and (first <= second or second <= first)


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


_SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_NUMBERS = dict(zip(_SPELLED.split(), [*range(20), *range(20, 100, 10)], strict=True)) | {
    "hundred": 100,
    "one hundred": 100,
}


def spelled(text: str) -> str | None:
    """The digits of a number written as a word, up to a hundred."""
    word = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip().lower()
    if word in _NUMBERS:
        return str(_NUMBERS[word])
    tens, _, ones = word.replace(" ", "-").partition("-")
    if _NUMBERS.get(tens, 0) in range(20, 100, 10) and _NUMBERS.get(ones, 0) in range(1, 10):
        return str(_NUMBERS[tens] + _NUMBERS[ones])
    return None
