from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from limo.terminal import cells, fold, plain, short, table

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


CELLS = st.text(st.sampled_from("ab 一\x1b\n"), max_size=30)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=2, max_size=5)),
       st.integers(8, 60))  # fmt: skip
def test_a_table_fits_the_terminal_with_each_column_once(rows: list[list[str]], columns: int) -> None:
    head, *body = rows
    shown = table(head, body, columns=columns)
    assert all(cells(line) <= columns for line in shown.split("\n"))
    if any(cells(cell) > columns // 2 - 2 for row in rows for cell in map(plain, row)):
        return  # cells are shortened
    flat = " ".join(shown.split())
    assert all(flat.count(" ".join(plain(cell).split())) >= 1 for row in rows for cell in row)


def test_a_table_that_is_too_wide_stands_in_parts_with_its_first_column() -> None:
    head, rows = ["name", "first", "second"], [["one", "1", "22"], ["two", "333", "4"]]
    whole = table(head, rows)
    assert whole.split("\n") == [
        "name  first  second",
        "────  ─────  ──────",
        "one       1      22",
        "two     333       4",
    ]
    parts = table(head, rows, columns=14).split("\n\n")
    assert [part.split("\n")[0].split() for part in parts] == [["name", "first"], ["name", "second"]]
    assert short("abcdefghij", 5) == "ab…ij" and short("abcde", 5) == "abcde"
    assert table(head, []) == ""
