"""One spelling for answers that differ only in how they are typeset."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from limo.grading.answers.number import DIGITS, MARKS, signed
from limo.grading.answers.unit import ABOUT, compound
from limo.grading.formulas.symbols import names, pairs

_NAMED = names(
    "×times ·cdot ⋅cdot ∙cdot ≤le ≥ge ⩽le ⩾ge ≠ne ≈approx ∞infty πpi √sqrt ∪cup ∩cap ∈in ±pm ∓mp ∅emptyset ∠angle △triangle …ldots ⋯ldots "
    "αalpha βbeta γgamma δdelta εepsilon θtheta λlambda μmu ρrho σsigma τtau φphi ϕphi ωomega ΩOmega ΔDelta"
)
"""A character and its command."""
_CHARACTERS = dict(zip("−–—÷∕⁄′’‘“”。、\u00a0\u2009\u202f", "---///'''\"\".,   ", strict=True))
_CHARACTERS |= {"\u200b": "", "\ufeff": "", "\f": "\\f", "°": "^\\circ "}
_CHARACTERS |= {word[0]: f"\\{word[1:]} " for word in _NAMED}
_CHARACTERS |= {word[0]: f"\\frac{{{word[1]}}}{{{word[2]}}}" for word in names("½12 ⅓13 ⅔23 ¼14 ¾34")}
_CHARACTERS |= {c: f"^{{{d}}}" for c, d in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}
_CHARACTERS |= {c: f"_{{{d}}}" for c, d in zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)}
_TRANSLATION = str.maketrans(_CHARACTERS)

_COMMANDS = (
    "frac|dfrac|tfrac|cfrac|sqrt|left|right|text|mathrm|mathbf|pi|infty|cdot|times|le|leq|ge|geq|ne|neq|in|cup|cap|pm|theta|alpha"
    "|beta|sin|cos|tan|log|ln|circ|begin|end|boxed|binom"
)
_SYNONYMS = {"thinspace": " "} | pairs(
    "dfrac:frac tfrac:frac cfrac:frac dbinom:binom tbinom:binom leq:le leqslant:le leqq:le geq:ge geqslant:ge geqq:ge lt:< gt:> neq:ne "
    "div:/ varnothing:emptyset varphi:phi varepsilon:epsilon dots:ldots cdots:ldots dotsc:ldots lbrace:{ rbrace:} lvert:| rvert:| vert:| "
    "mid:| lbrack:[ rbrack:] land:wedge lor:vee implies:Rightarrow simeq:approx doteq:approx operatorname*:operatorname ast:* prime:' "
    "colon:: backslash:setminus textsuperscript:^"
)
_DROPPED = (
    "left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|big|Big|bigg|Bigg|displaystyle|textstyle|scriptstyle|limits|nolimits"
    "|rm|bf|it|em|cal|large|Large|small|normalsize|hfill|relax|strut|mathstrut|notag|nonumber|boldmath"
)
_TEXT = "text|textbf|textit|textrm|textnormal|textsf|texttt|mbox|hbox|mathrm|mathbf|mathit|mathsf|mathtt|boldsymbol|bm|emph|underline"
_AND = r"(?:and|or|And|Or|和|或|及|与)"
_UNITS = frozenset("mgshLlNJWVATKCFHΩ")
"""Letters that are units when set upright after a number."""
_FUNCTIONS = names(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh sech csch coth log ln lg exp sqrt min "
    "max gcd lcm det deg"
)
_CIRCLED = re.compile(r"(?<=[①-⑳])[\s、,，]*(?=[①-⑳])")
_TH = r"\s*(st|nd|rd|th)"
_ORDINAL = re.compile(
    rf"(\d+)\s*(?:\^\s*)?(?:\{{\s*\\(?:{_TEXT})\s*\{{{_TH}\s*\}}\s*\}}|\\(?:{_TEXT})\s*\{{{_TH}\s*\}}|\{{{_TH}\s*\}}|{_TH}(?![a-zA-Z]))"
)
_ZEROS = pairs("hundred:2 thousand:3 million:6 billion:9 trillion:12 万:4 亿:8")
_TIMES = re.compile(rf"(?<=\d)\s*(?:\\text\s*\{{\s*({'|'.join(_ZEROS)})\s*\}}|({'|'.join(_ZEROS)})(?![a-zA-Z]))")


@lru_cache(maxsize=8192)
def normalise(text: str) -> str:
    """An answer in one spelling: ASCII where it can be, no delimiters, sizes or spacing commands, plain numbers."""
    s = re.sub(r"^(\*{1,3}|_{1,2})(?=[^*_\s])(.*[^*_\s])\1$", r"\2", text.strip(), flags=re.S)
    s = _CIRCLED.sub(", ", s).translate(_TRANSLATION)
    if not s.isascii():
        s = unicodedata.normalize("NFKC", s).translate(_TRANSLATION)
    if s.isdigit():
        return s
    # a JSON escape too many
    s = re.sub(rf"(?<!\\)\\\\(?=(?:{_COMMANDS})(?![a-zA-Z]))", r"\\", s)
    s = re.sub(r"\\n(?![a-zA-Z])|\\\\n(?![a-zA-Z])", " ", s)
    s = unbox(s)
    s = re.sub(r"\\(?:tag|label|phantom|vphantom|hspace|vspace|(?:text)?color|hskip)\*?\{[^{}]*\}", " ", s)
    s = s.replace("\\left.", "").replace("\\right.", "")
    s = re.sub(rf"\\(?:{_DROPPED})(?![a-zA-Z])\s*", "", s)
    s = re.sub(
        r"\\(?:checkmark|blacksquare|qed|noindent|centering|par)(?![a-zA-Z])", " ", re.sub(r"\\not\s*(?==)", "!", s)
    )
    s = re.sub(r"\\degrees?(?![a-zA-Z])", r"^\\circ ", s)
    s = re.sub(r"\\([a-zA-Z]+)\*?", _synonym, s)
    s = re.sub(rf"\\+\$|[{MARKS}]|\\(?:euro|pounds)(?![a-zA-Z])", "", signed(s))
    s = re.sub(r"(?<!\\)\\[()\[\]]", "", s)
    s = _numbers(s)
    s = re.sub(r"(?<!\\)\\[,;:!> ]|(?<!\\)~|\\q?quad(?![a-zA-Z])|&(?=\s*=)", " ", s)
    return _meaning(s)


def _meaning(s: str) -> str:
    """Words, numbers and operators in one spelling, where sizes and spacing are gone."""
    s = _TIMES.sub(lambda m: f"*10^{{{_ZEROS[m[1] or m[2]]}}}", _ORDINAL.sub(_cardinal, s))
    s = re.sub(rf"\\(?:{_TEXT})\s*\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}", _words, s)
    s = re.sub(r"\\operatorname\s*\{\s*([a-zA-Z]+)\s*\}", r"\\\1 ", s)
    s = s.replace("**", "^").replace("<=", "\\le ").replace(">=", "\\ge ").replace("!=", "\\ne ").replace("==", "=")
    s = re.sub(r"(?:(?:np|numpy|math|sympy|torch)\.)(?=[a-z])", "", s)
    s = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "^\\\\circ ", s)
    s = re.sub(r"\s*\^\s*\{\s*('+)\s*\}|\s*\^\s*('+)", r"\1\2", s)
    s = re.sub(r"(?<![a-zA-Z\d\\.])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?)0*(\d+)(?![\d.a-zA-Z])", _scientific, s)
    s = re.sub(r"\\\{\s*\\\}", r"\\emptyset ", s)
    s = re.sub(r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}", r"\\binom{\1}{\2}", s)
    s = re.sub(
        r"\\pmod\s*\{?\s*([^{}\s]+)\s*\}?|\(\s*(?:\\bmod|\\mod|\\text\{mod\}|mod)\s*([^()]+?)\s*\)",
        lambda m: f"\\pmod{{{m[1] or m[2]}}}",
        s,
    )
    s = re.sub(r"(?<=\d)\s*\\text\{to\}\s*(?=\d)", ":", re.sub(r"\\(?:vee|wedge)(?![a-zA-Z])", ",", s))
    s = re.sub(r"\\(?:overline|bar)\s*\{\s*([A-Z]\s*[A-Z])\s*\}", r"\1", s)
    s = re.sub(r"^\s*(?:\\text\{[^{}]*(?::|\bis|\bare|\bequals)\}\s*|(?:\\approx|\\Rightarrow|=)\s*)+", "", s)
    s = re.sub(r"\s+", " ", s).strip()
    return s.lstrip(" ,;:").rstrip(" ,;:.")


@lru_cache(maxsize=8192)
def tight(text: str) -> str:
    """A normalised answer without spaces and needless braces: equal strings are equal answers."""
    s = re.sub(r"(\\[a-zA-Z]+) (?=[a-zA-Z])", "\\1\0", text).replace(" ", "").replace("\0", " ")
    s = re.sub(r"([\^_])\{([a-zA-Z0-9])\}", r"\1\2", s)
    s = re.sub(r"\\sqrt\{([a-zA-Z0-9])\}", r"\\sqrt\1", re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", s))
    return s.replace("\\cdot", "*").replace("\\times", "*")


def words(text: str) -> str:
    """An answer as text: no markup, no punctuation, lower case."""
    s = normalise(text)
    s = re.sub(r"\\text\{([^{}]*)\}", r"\1", s)
    return re.sub(r"(?:[\s$*_{}\\,;!?'\"“”‘’]|[.:](?!\d))+", "", s).casefold()


def same_words(a: str, b: str) -> bool:
    """Whether two answers are one text, a plural s aside."""
    return words(a) == words(b) or (len(words(a)) > 4 and words(a).removesuffix("s") == words(b).removesuffix("s"))


def unbox(text: str) -> str:
    """Without \\boxed, \\fbox and \\framebox around parts of it."""
    while match := re.search(r"\\(?:boxed|fbox|framebox)\s*\{", text):
        end = closing(text, match.end() - 1)
        if end < 0:
            return text[: match.start()] + text[match.end() :]
        text = text[: match.start()] + text[match.end() : end] + text[end + 1 :]
    return text


def closing(text: str, start: int) -> int:
    """Index of the brace that closes the one at `start`; -1 if none does. An escaped brace is no brace."""
    depth = 0
    i = start
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i
        i += 1
    return -1


def _synonym(match: re.Match[str]) -> str:
    name = match[1]
    new = _SYNONYMS.get(name)
    if new is None:
        return match[0]
    if new in "{}":
        return "\\" + new
    return new if not new.isalpha() else "\\" + new


def _words(match: re.Match[str]) -> str:
    inner = match[1].strip(" ~")
    bare = re.sub(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", inner).strip()
    if re.fullmatch(_AND, bare.strip(" ,.;")):
        return " , "
    if (between := re.fullmatch(rf"(.+?)\s+{_AND}", bare)) or (between := re.fullmatch(rf"{_AND}\s+(.+?)", bare)):
        part = f" \\text{{{between[1]}}} "
        return f"{part}, " if bare.startswith(between[1]) else f" ,{part}"
    if amount := re.fullmatch(
        rf"(?:{ABOUT}\s*)?(-?{DIGITS}(?:/\d+)?)\s*(?!(?:and|or)\b)([a-zA-Z][a-zA-Z\s/]*(?:\^\{{?\d\}}?)?)?", bare
    ):
        word = amount[2] or ""
        return f" {amount[1]} \\text{{{word}}} " if len(word) > 1 or word in _UNITS else f" {amount[1]} {word} "
    if re.search(r"\d", bare) and not set(re.findall(r"[^\W\d_]{2,}", bare)) - {"and", "or"}:
        return f" {bare} "
    if compound(bare):
        return f" {bare} "
    counts = re.search(r"[\d)}/*]\s*$|\\cdot\s*$", match.string[: match.start()].rstrip(" ~"))
    if bare.lstrip("\\") in _FUNCTIONS and not (counts and bare == "min"):
        return "\\" + bare.lstrip("\\") + " "
    if len(bare) == 1 and bare in _UNITS and counts:
        return f" \\text{{{bare}}} "
    if re.fullmatch(r"[a-zA-Z]{1,3}(?:\s*/\s*[a-zA-Z]{1,3})+(?:\^\{?-?\d\}?)?", bare) and re.search(
        r"[\d)}]\s*$", match.string[: match.start()].rstrip(" ~")
    ):
        return f" \\text{{{bare}}} "
    # a lone letter or anything with mathematics in it needs no mark; words keep it, so that units can be told apart
    if len(bare) == 1 or not re.search(r"[^\W\d_]{2}", bare) or re.search(r"[\\^_=]", bare):
        return " " + bare + " "
    if not re.fullmatch(r"[\w\s.,'\"/%°()-]*", bare):
        return " " + bare + " "
    return f" \\text{{{bare}}} "


def _cardinal(match: re.Match[str]) -> str:
    """An ordinal's ending is a unit, in one spelling; what is no ordinal stays."""
    number, end = int(match[1][-2:]), match[match.lastindex or 0]
    right = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{match[1]} \\text{{th}} " if end == right else match[0]


def _numbers(s: str) -> str:
    """Digits grouped by thousands become plain: 1,234  1{,}234  1\\,234  1,\\!234  and a whole "1 234"."""
    s = re.sub(r"(?<=\d)\{,\}(?=\d{3})|(?<=\d),\s*\\!\s*(?=\d{3})|(?<=\d)\\[,!;: ](?=\d{3}(?!\d))", "", s)
    s = re.sub(
        r"(?<![\d.,(\[])(?<!\\\{)(\d{1,3}(?:,\d{3})+)(?![\d)\]])(?!,\d)(?!\\\})", lambda m: m[1].replace(",", ""), s
    )
    if re.fullmatch(r"[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?", s):
        s = s.replace(" ", "")
    return s


def _scientific(match: re.Match[str]) -> str:
    sign = "-" if match[2] == "-" else ""
    return f"{match[1]}*10^{{{sign}{match[3]}}}"
