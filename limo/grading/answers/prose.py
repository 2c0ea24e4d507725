"""Answers that no box marks: what follows an answer phrase, a choice letter, or the last formula or number of a text."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from limo.grading.answers.number import DIGITS, signed
from limo.grading.answers.unit import NAMED
from limo.grading.formulas.symbols import names

_ENDS = re.compile(r"<\|(?:im_start|im_end|endoftext|eot_id|end)\|?>?|<\|end▁of▁sentence\|>|</s>")
_HOPE = re.compile(r"\.?\s*I hope (?:it|this) is (?:correct|right)\.?", re.I)
_MARK = re.compile(r"^\s*####\s*(.+?)\s*$|<answer>\s*(.{1,400}?)\s*</answer>", re.M | re.S)
_ANSWER = (
    "answer|solution|réponse|respuesta|solución|antwort|lösung|risposta|resposta|resultado|antwoord|svar|vastaus|odpowiedź|odpověď|răspuns"
    "|válasz|cevap|yanıt|ответ|відповідь|отговор|απάντηση|jawaban|đáp án|câu trả lời|答案|答え|解答|回答|정답|답|उत्तर|উত্তর|คำตอบ|תשובה"
    "|الإجابة|الجواب|پاسخ|جواب"
)
_IS = "is|are|est|ist|es|è|é|jest|är|er|is|है|هي|هو|là|คือ|adalah"
_PHRASE = re.compile(
    rf"(?:{_ANSWER})(?:\s+(?:would|should|must|has to)\s+be)?[*_]*\s*"
    rf"(?:(?:\s*(?:{_IS})(?:\s+(?:for sure|therefore|thus|simply|just|then|hence))?(?![a-zA-Z])|[:：=–—]|为|是|は|은|는)\s*)+"
    r"[*_]*\s*[:：]?\s*",
    re.I,
)
_DENIED = re.compile(rf"(?:{_ANSWER})\s+(?:\w+\s+)?(?:not|cannot|\w+n['’]t)\b[^.\n]*(?:[.\n]|$)", re.I)
_REASON = re.compile(
    r"\s*[,;(]?\s*\(?(?<![a-zA-Z])(?:because|since|which|as it|as we|but|instead|rather|so that|due to)(?![a-zA-Z])",
    re.I,
)
_LITTLE = names("so is we it to of be by if as an at on the thus hence therefore")
_MATH = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:[^$\\]|\\.)+?)\$", re.S)
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.\\^{{-])[-−]?{DIGITS}(?:\s*/\s*\d+(?:\.\d+)?)?"
    rf"(?:\s*(?:\\%|%|percent)|\s*{NAMED}(?:(?:,? and|,)?\s+{DIGITS}\s*{NAMED})*)?"
)
_WORDS = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{2,}\s+[a-zA-Z]{2,}")
_BOUND = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]\s*(?:[<>]=?|≤|≥|\\[lg]eq?)\s*[-−]?\d+(?:\.\d+|/\d+)?")
_SUBJECT = re.compile(
    r"(?:\b(?:is|are|was|equals|be)|[=:：]|为|是|≈)\s+(?:at (?:least|most)|about|just|only|exactly|approximately)?\s*\(?\s*$|=\s*$"
)
_STOP = re.compile(r"\n|(?<=[^\d\s])[.!?](?=\s|$)|(?<=\d)\.(?=\s|$)|。")
_PLAIN = names("sin cos tan cot sec csc log exp sqrt arcsin arccos arctan sinh cosh tanh and infinity inf abs pi")
"""Words that a formula in plain letters may hold."""
_LETTER_LINE = re.compile(r"^\W*(?:option|choice)?\W*\(?([A-Za-z])\)?(?![a-zA-Z'’])(?=\W|$|[^\x00-\x7f])", re.I)

_FOREIGN = re.compile(r"[^\W\d_a-zA-Z]{3}|[\u0590-\u1eff].*[\u0590-\u1eff]|\\begin\s*\{align", re.S)
"""Words of scripts that no formula is written in, and derivations."""
_LINK = re.compile(r"^(?:(?:so|thus|hence|therefore|then|finally|and|we (?:get|have|find|obtain))\b,?\s*)+", re.I)
_MEASURE = re.compile(r"[-\d.,]+[a-zA-Z]+[²³]?")
"""A number with a unit stuck to it, which a formula could be too."""
_CHOSEN = re.compile(
    r"(?:choice|option|choose|chose|chosen|pick(?:ed)?|select(?:ed)?|opt(?:ed)?\s+for|settled?\s+on|go(?:ing)?\s+with|conclude|choix|wahl)"
    r"\s*(?:is|:|on|=)?\s*[*(\[]*([A-Z])(?![a-zA-Z'])",
    re.I,
)
LONGEST = 4000
"""Characters at the end of a text in which an unmarked answer is looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as written, and how it was found: `box`, `phrase` or `prose`."""

    text: str
    rule: str


def clean(text: str) -> str:
    """A text without chat marks, pious hopes and denials ("the answer is not 5")."""
    # patterns that start with spaces take quadratic time on long runs of them
    text = re.sub(r"[ \t]+", " ", re.sub(r"\n\s*\n", "\n\n", text))
    return signed(_DENIED.sub("", _HOPE.sub("", _ENDS.split(text)[0]).strip()).strip())


def bare(text: str) -> bool:
    """Whether a text is an answer and nothing else, as a harness stores it that has extracted it already."""
    if not text or len(text) > 400 or (text.count("$") > 2) or "####" in text or _FOREIGN.search(text):
        return False
    if "\n" in text and "\\begin" not in text:
        return False
    plain = re.sub(r"\\(?:text|mathrm|textbf|mbox)\s*\{[^{}]*\}|\\(?:begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+", " ", text)
    if _PHRASE.search(text) or set(re.findall(r"(?<![\\a-zA-Z])[a-zA-Z]+", plain.lower())) & _LITTLE:
        return False
    plain = re.sub(r"(?<=[\d)}])\s+[a-zA-Z]{2,}(?:\s+[a-zA-Z]{2,}){0,2}(?:\s*\^\s*\{?\d\}?)?\s*$", " ", plain)
    return not set(re.findall(r"[^\W\d_]{3,}", plain)) - _PLAIN and re.search(r"\w", text) is not None


def letter(text: str) -> Found | None:
    """A choice letter: the last one after an answer phrase, else one that the text clearly settles on."""
    phrases = list(_PHRASE.finditer(text))
    for match in reversed(phrases):
        if line := _LETTER_LINE.match(text[match.end() :].split("\n")[0]):
            return Found(line[1].upper(), "phrase")
    marked = _CHOSEN.findall(text)
    marked = [m for m in marked if m.isupper()]
    if marked:
        return Found(marked[-1], "phrase")
    settled = re.findall(
        r"[(\[*]*(?<![A-Za-z'])([A-Z])[)\]*]*\s+(?:is|are)\s+(?:the\s+)?(?:correct|right|valid|true|best|answer|only|one)",
        text,
    )
    if settled:
        return Found(settled[-1], "phrase")
    bracketed = re.findall(r"[(\[]([A-Z])[)\]]", text)
    if bracketed and len(set(bracketed)) == 1:
        return Found(bracketed[0], "prose")
    first = re.match(r"\W*([A-Z])(?=[.)：:。,]|\s*$|[^\x00-\x7f]|\s[-–—]\s)", text)
    if first:
        return Found(first[1], "prose")
    alone = set(re.findall(r"(?<![A-Za-z])[A-H](?![A-Za-z])", text))
    if len(alone) == 1 and not text.isascii() and not re.search(r"[A-Za-z]{2}", text):
        return Found(alone.pop(), "prose")
    last = re.search(r"(?<![A-Za-z'])([A-Z])\W*$", text)
    return Found(last[1], "prose") if last and not re.search(r"\bnot\s+\S*$", text[: last.start()], re.I) else None


def worked(text: str) -> bool:
    """Whether a text marks its answer by `####` or `<answer>`."""
    return _MARK.search(text) is not None


def phrase(text: str) -> Found | None:
    """What follows the last answer phrase, or a `####` mark."""
    if marks := _MARK.findall(text):
        return Found(marks[-1][0] or marks[-1][1], "phrase")
    matches = list(_PHRASE.finditer(text))
    for match in reversed(matches):
        if found := clause(text[match.end() :]):
            return Found(found, "phrase")
    return None


def clause(text: str) -> str | None:
    """The answer in the clause at the start of a text: after "is" or "=", else the first formula or number."""
    text = text.lstrip("*_ \n")
    math = _MATH.match(text)
    stops = [
        m.start()
        for m in (_STOP.search(text, math.end() if math else 0), _REASON.search(text, math.end() if math else 0))
        if m
    ]
    head = (text[: min(stops)] if stops else text).strip().strip("*_").strip()
    head = head.rstrip(".")
    if not head:
        return None
    if math and math.end() >= len(head):
        return inside(math)
    if re.fullmatch(r"[-−+\d\\({\[|√.].*", head, re.S) and not re.search(
        r"\\text|[a-z]{3,}(?<!sqrt)(?<!frac)\s+[a-z]{2,}|\$", head
    ):
        return head
    if bare(head) and "$" not in head:
        return head
    return thing(head, prefer_last=False) or (head if len(head) <= 60 else None)


def prose(text: str) -> Found | None:
    """The last formula or number of a text without any mark; a short text is its own answer."""
    text = text.strip()[-LONGEST:]
    if not text:
        return None
    if (
        len(text) <= 120
        and "\n" not in text
        and not re.search(r"[a-z]{2,}\s+[a-z]{2,}\s+[a-z]{2,}", _MATH.sub(" ", text))
    ):
        math = _MATH.fullmatch(text.rstrip(". "))
        if math:
            return Found(inside(math), "prose")
        if not re.search(r"[a-z]{2,}.*?[a-z]{2,}", _MATH.sub(" ", text)) and (
            len(list(_MATH.finditer(text))) > 1 or not _MATH.search(text)
        ):
            found = thing(text, prefer_last=True)
            return Found(found, "prose") if found else None
    last = re.split(r"\n|(?<=[.。!?])\s+(?=[A-Z\u4e00-\u9fff])", text)[-1]
    statement = _LINK.sub("", last.rstrip(" ."))
    value = re.search(r".*\b(?:is|are|equals)\s+(.+)$", statement)
    for whole in (statement, value[1] if value else ""):
        if "$" not in whole and re.search(r"\d", whole) and bare(whole) and not _MEASURE.fullmatch(whole):
            return Found(whole, "prose")
    bold = re.findall(r"\*\*([^*\n]+)\*\*", text)
    if bold and bold[-1] in last and _NUMBER.search(bold[-1]):
        return Found(thing(bold[-1], prefer_last=True) or bold[-1], "prose")
    found = thing(last, prefer_last=True) or thing(text, prefer_last=True)
    return Found(found, "prose") if found else None


def thing(text: str, prefer_last: bool) -> str | None:
    """A formula between delimiters or a number in a text: the last one after "is" or "=", else the first or the last."""
    # a pair of dollar signs with words between them is money, not mathematics
    spans = [(m.start(), m.end(), inside(m)) for m in _MATH.finditer(text) if not _WORDS.search(inside(m))]
    masked = text
    for start, end, _t in spans:
        masked = masked[:start] + "\x00" * (end - start) + masked[end:]
    spans += [
        (m.start(), m.end(), m[0])
        for m in re.finditer(r"\(\\frac\{\d+\}\{\d+\}\)|\\d?frac\{[^{}]+\}\{[^{}]+\}", masked)
    ]
    for start, end, _t in list(spans):
        masked = masked[:start] + "\x00" * (end - start) + masked[end:]
    bounds = [(m.start(), m.end(), m[0]) for m in _BOUND.finditer(masked)]
    for start, end, _t in bounds:
        masked = masked[:start] + "\x00" * (end - start) + masked[end:]
    spans += bounds + [(m.start(), m.end(), m[0]) for m in _NUMBER.finditer(masked)]
    if not spans:
        return None
    spans.sort()
    stated = [span for span in spans if _SUBJECT.search(text[max(0, span[0] - 60) : span[0]])]
    chosen = stated[-1] if stated else spans[-1 if prefer_last else 0]
    return ", ".join(span[2] for span in _series(text, spans, spans.index(chosen)))


def _series(text: str, spans: list[tuple[int, int, str]], chosen: int) -> list[tuple[int, int, str]]:
    """A span with its neighbours in a series that ends in "and" or "or"; alone if there is no such series."""
    between = [text[a[1] : b[0]].strip().lower() for a, b in itertools.pairwise(spans)]
    start = end = chosen
    joined = ("and", "or", ", and", "和", "或")
    if chosen == len(spans) - 1 and chosen and between[chosen - 1] in joined:
        start -= 1
        while start and between[start - 1] in (",", "、"):
            start -= 1
    while end < len(between) and between[end] in (",", "、"):
        end += 1
    if end < len(between) and between[end] in (*joined, *([", or"] if end > chosen else [])):
        return spans[start : end + 2]
    return spans[start : chosen + 1]


def inside(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None).strip()
