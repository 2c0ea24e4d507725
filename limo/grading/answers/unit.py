"""What stands beside a number: units, percent signs, clock times."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from limo.grading.answers.number import DIGITS, SPELLED, spelled
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
_AMOUNT = re.compile(
    rf"(?P<number>(?<![a-zA-Z\d.-]){DIGITS})\s*(?:\\text\{{\s*)?(?P<unit>(?!and\b)[a-zA-Z]+|[\u4e00-\u9fff]+)(?:[\s,]*\}})?(?![\^/]|\s*per\b)"
)
_COUNTED = re.compile(
    rf"(?:\\text\{{\s*)?(?P<number>-?\s*(?:{SPELLED}))\s+(?P<unit>[a-zA-Z]+(?:\s+[a-zA-Z]+)?)\s*\}}?", re.I
)
"""A number word with what it counts."""
_PERCENT = re.compile(
    r"\s*(?:\\*%|\\text\{\s*(?:percent|percentage|pct|per cent)\s*\}|\b(?:percent(?:age)?(?: points)?|pct|per cent)\b)\s*$",
    re.I,
)
ABOUT = r"(?:(?:about|approximately|around|roughly)(?![a-zA-Z])|approx\.?(?![a-zA-Z]))"
_LEAD = re.compile(rf"^(?:\\approx|\\sim|\\text\{{{ABOUT}\}}|{ABOUT})\s*", re.I)
_NOUNS = names(
    "where with for and or such that if when not is are the of otherwise all any else no positive negative real integer to less than x y z "
    "half halves third thirds quarter quarters fourth fifth sixth tenth tenths dozen dozens hundred thousand million billion"
)

_ALIASES = pairs(
    "centimeter:cm centimetre:cm millimeter:mm meter:m metre:m kilometer:km kilometre:km inch:in inche:in foot:ft feet:ft yard:yd mile:mi "
    "gram:g kilogram:kg pound:lb lbs:lb ounce:oz second:s sec:s minute:min hour:h hr:h hrs:h year:yr liter:l litre:l milliliter:ml "
    "dollar:$ usd:$ degree:deg radian:rad newton:n joule:j unit: cent:¢ 厘米:cm 米:m 千克:kg 元:yuan 公里:km 千米:km 克:g 度:deg 小时:h "
    "分钟:min 分:min 秒:s 平方厘米:cm^2"
)
_SURE = "|".join(sorted((n for n in _ALIASES if n.isalpha() and n.isascii() and len(n) > 2), key=len, reverse=True))
NAMED = rf"(?:{_SURE}|km|cm|mm|kg|hr|min|ft|day|week|(?<=\s)[mgl](?=\s+[a-z]{{2,}}))s?(?![a-zA-Z]|\s*(?:per\b|[/^²³]|squared|cubed))"
"""A pattern for what is a unit after a number in any sentence."""
_SIZES = {
    name: (size.split("=")[0], Fraction(size.split("=")[1]))
    for name, size in pairs(
        "mm:m=1/1000 cm:m=1/100 dm:m=1/10 m:m=1 km:m=1000 in:m=127/5000 ft:m=381/1250 yd:m=1143/1250 mi:m=201168/125 mg:g=1/1000 g:g=1 "
        "kg:g=1000 oz:g=45359237/1600000 lb:g=45359237/100000 ml:l=1/1000 l:l=1 s:s=1 min:s=60 h:s=3600 day:s=86400 week:s=604800 "
        "¢:$=1/100 $:$=1"
    ).items()
}
"""Unit -> the unit it is measured in, and how many of these it is."""
_COMPOUND = {"mph": [("mi", 1), ("h", -1)], "kph": [("km", 1), ("h", -1)], "fps": [("ft", 1), ("s", -1)]}


def without_unit(text: str, lone: bool = False) -> tuple[str, str]:
    """(what is left, the unit in one spelling) of a normalised value; the unit is "" where none stands.

    lone: a letter such as m is a unit too, as where the other answer has one.
    """
    text = re.sub(r"\(\s*(\\text\{[^{}]*\})\s*\)$", r"\1", _LEAD.sub("", text).strip())
    if found := compound(text):
        return found
    if (counted := _COUNTED.fullmatch(text)) and not _NOUNS & set(counted["unit"].lower().split()):
        return spelled(counted["number"]) or "", unit(counted["unit"])
    match = _TAIL.search(text) or _PLAIN.search(text)
    if (
        match
        and match.re is _PLAIN
        and len(match["first"]) < 3
        and match["first"] not in _SHORT
        and not (lone and match["first"] in _SIZES)
        and "/" not in match["unit"]
    ):
        return text, ""
    if match is None or not text[: match.start()].strip():
        glued = _GLUED.match(text)
        return (glued["number"], unit(glued["unit"])) if glued else (text, "")
    name = match["unit"]
    if any(word in _NOUNS for word in re.findall(r"[a-zA-Z]+", name)) or re.search(r"(?<![\^{a-zA-Z-])\d", name):
        return text, ""
    head = text[: match.start()].strip()
    # a letter before a text mark is a variable only in a formula; alone it is no quantity
    if not re.search(r"\d|\\", head):
        return text, ""
    return re.sub(r"(?:\\cdot|\\times|\*)\s*$", "", head).strip(), unit(name)


@lru_cache(maxsize=4096)
def compound(text: str) -> tuple[str, str] | None:
    """An amount in several units as (amount, first unit): 2 hours 30 minutes is 2+30/60 hours; None for anything else."""
    parts = [(re.sub(r"[^\d.]", "", match["number"]), unit(match["unit"])) for match in _AMOUNT.finditer(text)]
    if len(parts) < 2 or not re.fullmatch(r"(?:[\s,]|\band\b|和|又)*", _AMOUNT.sub(" ", text)):
        return None
    sizes = [_SIZES.get(name, ("", Fraction(0))) for _, name in parts]
    amounts = [number for number, _ in parts]
    for (base, size), (smaller, fraction), amount in zip(sizes, sizes[1:], amounts[1:], strict=False):
        if not base or base != smaller or float(amount) * fraction >= size:
            return None
    return "+".join(f"{n}*({size[1] / sizes[0][1]})" for n, size in zip(amounts, sizes, strict=True)), parts[0][1]


def in_bases(name: str) -> tuple[Fraction, str]:
    """How many of its base units a unit in one spelling is, and these: 36 km/h are 36 * 5/18 of m/s."""
    factor, powers = Fraction(1), dict[str, int]()
    for part in name.split():
        word, _, exponent = part.partition("^")
        base, size = _SIZES.get(word, (word, Fraction(1)))
        # nobody measures in cm^99999999
        power = int(exponent or 1) if len(exponent) < 3 else 0
        factor *= size**power
        powers[base] = powers.get(base, 0) + power
    return factor, _written(powers)


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
    return _written(powers)


def _written(powers: dict[str, int]) -> str:
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
