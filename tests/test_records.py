from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limo import UserError
from limo.records import Attempt, Example, Gold, Grade, Problem, read, rows, write

text = st.text(st.characters(codec="utf-8"), max_size=40)
golds = st.builds(
    Gold,
    value=text | st.lists(text) | st.dictionaries(text, text),
    choices=st.none() | st.dictionaries(text, text),
    tolerance=st.none() | st.floats(0, 0.9),
)
records = {
    Problem: st.builds(Problem, id=text, question=text, gold=golds, solutions=st.lists(text).map(tuple), meta=st.just({"level": 3})),
    Attempt: st.builds(Attempt, problem=text, sample=st.integers(0), seed=st.integers(0), text=text, finish=text,
                       prompt_tokens=st.integers(0), tokens=st.integers(0)),
    Grade: st.builds(Grade, problem=text, sample=st.integers(0), verdict=text, answer=st.none() | text, rule=text),
    Example: st.builds(Example, id=text, problem=text, question=text, answer=text, solution=text, scores=st.just({"quality": 0.5})),
}  # fmt: skip


@pytest.mark.parametrize("kind", records)
def test_what_is_written_is_read_back(kind: type, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"

    @given(st.lists(records[kind]))
    def check(items: list[object]) -> None:
        write(path, items)
        assert read(path, kind) == items

    check()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "1", "question": "q", "answer"', r"problems.jsonl, line 2: not valid JSON"),
        ('["a"]', r"problems.jsonl, line 2: expected a JSON object, found list"),
        ('{"id": "1", "question": "q"}', r"problems.jsonl, line 2: Problem lacks gold"),
        (
            '{"id": "1", "question": "q", "gold": {"value": "a"}, "size": 1}',
            r"problems.jsonl, line 2: Problem has no field size",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"id": "0", "question": "q", "gold": {"value": "a"}}\n' + line + "\n")
    with pytest.raises(UserError, match=message):
        read(path, Problem)


def test_a_file_that_is_missing_or_not_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.jsonl: No such file"):
        list(rows(tmp_path / "nothing.jsonl"))
    (tmp_path / "binary.jsonl").write_bytes(b'{"a": "\xff\xfe"}\n')
    with pytest.raises(UserError, match=r"binary.jsonl: not UTF-8"):
        list(rows(tmp_path / "binary.jsonl"))


def test_a_pipe_or_a_link_is_written_through_and_not_replaced(tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    read_end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for place in (pipe, link):
        write(place, [{"id": 1}])
    assert os.read(read_end, 100) == target.read_bytes() == b'{"id": 1}\n'
    os.close(read_end)
    assert pipe.is_fifo() and link.is_symlink()
    assert not list(tmp_path.glob("*.partial"))
