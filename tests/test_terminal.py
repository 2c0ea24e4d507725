from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from limo.terminal import cells, fold, plain

WIDE = "一二三，"
TEXTS = st.text(st.characters() | st.sampled_from(list(f" \n\t\r\x1b\x9b\u202e\u200b\ud800{WIDE}ä́")), max_size=200)


@given(TEXTS, st.integers(2, 40))
def test_no_line_is_wider_than_asked_and_no_letter_is_lost(text: str, columns: int) -> None:
    lines = fold(text, columns)
    assert all(cells(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(plain(text).split())


@given(TEXTS)
def test_nothing_but_line_ends_moves_the_cursor(text: str) -> None:
    shown = plain(text)
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert not {unicodedata.category(char) for char in shown if char != "\n"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()


def test_words_stay_whole_where_they_fit_and_wide_letters_count_twice() -> None:
    assert fold("one two three", 8) == ["one two", "three"]
    assert fold("abcdefgh", 3) == ["abc", "def", "gh"]
    assert fold("  indented line", 10) == ["  indented", "line"]
    assert fold("一二三四", 5) == ["一二", "三四"]
    assert fold("a\n\nb", 5) == ["a", "", "b"]
    assert plain("a\x1b[2Jb\r\nc\td") == "a\\x1b[2Jb\nc    d"
