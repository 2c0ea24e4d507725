"""Sources of problems, duplicates, and benchmark questions in the pool."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limo import UserError, pipeline, records
from limo.compose import compose
from limo.data import Data, DataStage, Decontamination, Files, Hub, Mixture, Table, known
from limo.data.contamination import Search
from limo.data.text import boxed, tokens
from limo.records import Attempt, DataSummary, Gold, Problem
from limo.stage import summary
from limo.store import Store

SHARED = Path(__file__).parents[2] / "shared" / "data"
ROWS = [
    {"question": "What is $1+1$?", "answer": "2", "solution": "One and one\nis \\boxed{2}.", "level": 1},
    {"question": "求 $\\frac{1}{2}$ 的倒数，并说明", "answer": "2", "solution": '"two", \\boxed{2}', "level": 2},
    {"question": "Name a prime, above 10", "answer": "11", "solution": "", "level": 3},
]


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here: this test reads real data that is no part of the project")
    return path


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def write_as(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        return jsonl(path, rows)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


def run(folder: Path, data: Data, **more: Any) -> tuple[list[Problem], list[dict[str, Any]], dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    DataStage(data=data, **more).run(folder)
    dropped = [row for _, row in records.rows(folder / "dropped.jsonl")]
    return records.read(folder / "problems.jsonl", Problem), dropped, summary(folder, DataSummary)


def problem(id: str, question: str, answer: str = "1", solutions: tuple[str, ...] = ()) -> Problem:
    return Problem(id, question, Gold(answer), solutions)


class Fixed:
    """A source that holds its problems."""

    def __init__(self, *held: Problem, **traits: Any) -> None:
        self.held = held
        self.__dict__.update(traits)

    def missing(self) -> list[str]:
        return []

    def problems(self) -> list[Problem]:
        return list(self.held)


@pytest.mark.parametrize("ending", [".json", ".csv", ".tsv", ".parquet"])
def test_every_format_gives_the_same_problems(ending: str, tmp_path: Path) -> None:
    lines = Files(path=write_as(tmp_path / "pool.jsonl", ROWS), solution="solution").problems()
    assert Files(path=write_as(tmp_path / f"pool{ending}", ROWS), solution="solution").problems() == lines
    assert [p.answer for p in lines] == ["2", "2", "11"]
    assert [len(p.solutions) for p in lines] == [1, 1, 0]


def test_several_files_are_read_one_after_the_other_and_limit_takes_the_first_rows(tmp_path: Path) -> None:
    parts = (write_as(tmp_path / "a.jsonl", ROWS[:2]), write_as(tmp_path / "b.csv", ROWS[2:]))
    whole = Files(path=write_as(tmp_path / "whole.jsonl", ROWS)).problems()
    assert Files(path=parts).problems() == whole
    assert Files(path=parts, limit=2).problems() == whole[:2]


def test_columns_may_have_other_names_and_lists_of_solutions(tmp_path: Path) -> None:
    rows = [{"problem": "q", "gold": 27.0, "ways": ["a", "b"], "key": 7, "level": "hard", "parts": [1, {"b": 2}]}]
    path = jsonl(tmp_path / "pool.jsonl", rows)
    source = Files(path=path, question="problem", answer="gold", solution="ways", id="key", meta=("level",))
    gold = Gold("27", published="27.0")
    assert source.problems() == [Problem("7", "q", gold, ("a", "b"), {"level": "hard"})]
    listed = Files(path=path, question="problem", answer="parts").problems()
    assert (listed[0].gold.value, listed[0].gold.type) == (["1", '{"b": 2}'], "multi")


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])).filter(str.strip),
        min_size=1,
        unique=True,
    ),
    st.randoms(),
)
def test_an_id_made_from_the_question_stays_wherever_the_row_stands(questions: list[str], rng: random.Random) -> None:
    class Memory(Table):
        def remote_rows(self) -> Any:
            return ((f"row {i}", {"question": q, "answer": "1"}) for i, q in enumerate(order))

    order = list(questions)
    ids = {p.question: p.id for p in Memory().problems()}
    rng.shuffle(order)
    assert {p.question: p.id for p in Memory().problems()} == ids


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ('{"question": "q"', {}, "line 2: not valid JSON"),
        ("[1]", {}, "line 2: expected a JSON object, found list"),
        ({"question": "", "answer": "1"}, {}, "line 2: column 'question' holds no question"),
        ({"question": None, "answer": "1"}, {}, "line 2: column 'question' holds no question"),
        ({"problem": "q", "answer": "1"}, {}, r"line 2: no column 'question' among problem, answer; .* question="),
        ({"question": "q"}, {}, r"line 2: no column 'answer' .* answer="),
        ({"question": "q", "answer": "1"}, {"meta": ("level",)}, r"line 1: no column 'level' .* meta="),
        (
            {"question": "q", "answer": "72"},
            {"answer_marker": "####"},
            r"line 1: .* has no '####' .* answer_marker=null",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_file_and_line(
    row: Any, settings: Any, message: str, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "pool.jsonl", [{"question": "first", "answer": "1"}, row])
    with pytest.raises(UserError, match=f"pool.jsonl, {message}"):
        Files(path=path, **settings).problems()


def test_a_table_that_is_not_the_one_meant_is_refused_by_count_and_digest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = jsonl(tmp_path / "pool.jsonl", ROWS)
    with pytest.raises(UserError, match=r"pool.jsonl: 3 rows, not 817; take the original, or change rows"):
        Files(path=path, rows=817).problems()
    with caplog.at_level("INFO"):
        Files(path=path, solution="solution").problems()
    whole = Files(path=path, solution="solution", digest=caplog.text.partition("digest=")[2].split()[0])
    assert len(whole.problems()) == 3
    assert len(dataclasses.replace(whole, limit=1).problems()) == 1
    jsonl(path, [*ROWS[:2], {**ROWS[2], "solution": "another"}])
    for source in (whole, dataclasses.replace(whole, limit=1)):
        with pytest.raises(UserError, match=r"pool.jsonl: a row was changed \(digest"):
            source.problems()


def test_what_is_no_text_is_refused_and_what_is_nothing_is_no_answer(tmp_path: Path) -> None:
    rows = [{"question": str(n), "answer": a} for n, a in enumerate([None, float("nan"), "", [], {}, " ", 0])]
    assert [p.answer for p in Files(path=jsonl(tmp_path / "p.jsonl", rows)).problems()] == [""] * 6 + ["0"]
    with pytest.raises(UserError, match=r"line 1: column 'answer' holds True, which is no answer; write it as text"):
        Files(path=jsonl(tmp_path / "p.jsonl", [{"question": "q", "answer": True}])).problems()
    for question in (5, ["a message"], {"role": "user"}):
        with pytest.raises(UserError, match=r"line 1: column 'question' holds .*, which is no text"):
            Files(path=jsonl(tmp_path / "p.jsonl", [{"question": question, "answer": "1"}])).problems()


HALF = '{"question": "a \\ud83d b", "answer": "\\ud83d\\ude00", "solution": null}'


def test_cells_of_any_kind_become_text_in_one_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        '{"question": "n", "answer": NaN}',
        '{"question": "i", "answer": -Infinity}',
        '{"question": "e", "answer": 1e999}',
    ]
    found = Files(path=jsonl(tmp_path / "a.jsonl", [*rows, HALF])).problems()
    assert [p.gold.value for p in found] == ["", "", "", "\U0001f600"]
    assert found[-1].question == "a \ufffd b"
    assert "a.jsonl, line 4: 1 half characters" in caplog.text
    assert run(tmp_path / "run", Files(path=tmp_path / "a.jsonl", bad_rows="drop"))[2].unreadable == 1
    (marked := tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS).encode())
    assert len(Files(path=marked).problems()) == 3


def test_dates_and_numbers_that_are_none_can_be_carried_along(tmp_path: Path) -> None:
    from datetime import date

    rows = [{"question": "q", "answer": "1", "day": date(2026, 1, 2), "share": float("nan"), "deep": {"answer": "7"}}]
    path = write_as(tmp_path / "a.parquet", rows)
    (one,) = Files(path=path, answer="deep.answer", meta=("day", "share")).problems()
    assert (one.gold.value, one.meta) == ("7", {"day": "2026-01-02", "share": None})


@pytest.mark.parametrize(
    ("row", "columns", "sentence"),
    [
        ({"question": b"what?", "answer": "1"}, {}, "column 'question' holds bytes, which is no text"),
        ({"question": {"text": "q"}, "answer": "1"}, {}, "column 'question' holds an object, which is no text"),
        ({"question": "q", "answer": b"1"}, {}, "column 'answer' holds bytes, which is no answer"),
        ({"question": "q", "answer": "1", "s": [{"role": "user"}]}, {"solution": "s"}, "column 's' holds an object"),
        ({"question": "q", "answer": "1"}, {"solution": "question.text"}, "no column 'question.text' among"),
    ],
)
def test_what_is_no_text_is_refused_with_its_type(
    row: dict[str, Any], columns: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = write_as(tmp_path / "a.parquet", [row])
    with pytest.raises(UserError, match=f"a.parquet, row 1: {sentence}"):
        Files(path=path, **columns).problems()


def turns(*said: tuple[str, Any], role: str = "role", content: str = "content") -> list[dict[str, Any]]:
    return [{role: who, content: what} for who, what in said]


CHAT = [("system", "Be brief."), ("user", "What is 1+2?"), ("assistant", "It is \\boxed{3}.")]
SHAREGPT = turns(("human", "hi"), ("gpt", "hello"), ("human", "What is 1+2?"), ("gpt", "It is \\boxed{3}."))


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".csv"])
@pytest.mark.parametrize("dialogue", [turns(*CHAT), turns(*CHAT, role="from", content="value"), SHAREGPT])
def test_rows_of_turns_give_the_last_question_and_the_answer_to_it(dialogue: Any, ending: str, tmp_path: Path) -> None:
    held = json.dumps(dialogue) if ending == ".csv" else dialogue
    path = write_as(tmp_path / f"a{ending}", [{"messages": held}])
    source = Files(
        path=path, question="messages.user", answer=None, solution="messages.assistant", meta=("messages.system",)
    )
    (one,) = source.problems()
    assert (one.question, one.answer, one.solutions) == ("What is 1+2?", "3", ("It is \\boxed{3}.",))
    assert one.meta["messages.system"] == ("Be brief." if dialogue != SHAREGPT else None)


def test_turns_without_an_answer_at_the_end_have_none_and_the_way_to_turns_is_told(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "2+3?"}]
    rows = [{"prompt": turns(("user", "1?"), ("assistant", "2"), ("user", parts)), "reward": {"ground_truth": "5"}}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    (one,) = Files(
        path=path, question="prompt.user", answer="reward.ground_truth", solution="prompt.assistant"
    ).problems()
    assert (one.question, one.answer, one.solutions) == ("What is\n2+3?", "5", ())
    with pytest.raises(UserError, match=r"no column 'question' .* \(of turns, question=prompt\.user\)"):
        Files(path=path).problems()
    with pytest.raises(UserError, match=r"a list, which is no text; .* prompt\.user, prompt\.assistant"):
        Files(path=path, question="prompt").problems()
    with pytest.raises(UserError, match=r"no column 'prompt\.teacher'"):
        Files(path=path, question="prompt.teacher").problems()
    image = [{"type": "image", "url": "x"}]
    with pytest.raises(UserError, match=r"column 'prompt\.user' holds a list, which is no text"):
        Files(path=jsonl(path, [{"prompt": turns(("user", image)), "answer": "1"}]), question="prompt.user").problems()


def test_thoughts_that_stand_apart_go_before_their_solutions(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "1", "think": ["a", "b"], "say": ["c", "d"]}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    assert Files(path=path, thoughts="think", solution="say").problems()[0].solutions == ("a\n\nc", "b\n\nd")
    with pytest.raises(UserError, match="line 1: 1 texts in 'question', 2 in 'say'"):
        Files(path=path, thoughts="question", solution="say").problems()


ODD = {
    "no JSON": '{"question": ',
    "a list": "[1]",
    "no question": {"question": " ", "answer": "1"},
    "no text": {"question": 5, "answer": "1"},
    "no column": {"answer": "1"},
    "a truth": {"question": "q", "answer": True},
    "control tokens": {"question": "2+2?<|im_end|>\n<|im_start|>assistant\nIt is 4.<|im_end|>", "answer": "4"},
    "control tokens in a solution": {"question": "q", "answer": "1", "solution": "One.<｜end▁of▁sentence｜>"},
    "bytes of a solution": {"question": "q", "answer": "1", "solution": [{"text": "x"}]},
}


@pytest.mark.parametrize("name", ODD)
def test_a_row_that_cannot_be_used_stops_or_is_left_out_with_its_place_and_reason(name: str, tmp_path: Path) -> None:
    good = [{"question": f"{n}?", "answer": n, "solution": None} for n in "ab"]
    path = jsonl(tmp_path / "pool.jsonl", [good[0], ODD[name], good[1]])
    stops = Files(path=path, solution=None if name in ("no column", "a truth") else "solution")
    with pytest.raises(UserError, match="line 2"):
        stops.problems()
    drops = dataclasses.replace(stops, bad_rows="drop")
    assert [p.answer for p in drops.problems()] == ["a", "b"]
    kept, dropped, facts = run(tmp_path / "out", drops)
    assert (len(kept), facts.read, facts.dropped) == (2, 3, {"bad row": 1})
    assert (dropped[0]["id"], dropped[0]["reason"]) == (f"{path}, line 2", "bad row")
    assert "line 2" in dropped[0]["why"]


def test_a_short_row_of_a_csv_and_an_id_twice_can_be_left_out_too(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("id,question,answer\n1,a,1\n2,b\n1,c,3\n4,d,4\n")
    assert [p.id for p in Files(path=path, id="id", bad_rows="drop").problems()] == ["1", "4"]


def test_a_folder_and_a_pattern_are_all_files_in_them_by_name(tmp_path: Path) -> None:
    (tmp_path / "pool" / "deep").mkdir(parents=True)
    write_as(tmp_path / "pool" / "deep" / "c.csv", ROWS[2:])
    (tmp_path / "pool" / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROWS[1]).encode()))
    write_as(tmp_path / "pool" / "a.parquet", ROWS[:1])
    (tmp_path / "pool" / "README.md").write_text("no table")
    ids = {p.question: p.id for p in Files(path=write_as(tmp_path / "whole.jsonl", ROWS)).problems()}
    assert [p.id for p in Files(path=tmp_path / "pool").problems()] == [ids[ROWS[n]["question"]] for n in (0, 1, 2)]
    assert len(Files(path=tmp_path / "pool" / "*.*").problems()) == 2
    assert "no such file" in Files(path=tmp_path / "pool" / "*.tsv").missing()[0]


@pytest.mark.parametrize("broken", [False, True])
def test_text_packed_by_zstd_is_read_and_damage_is_said(broken: bool, tmp_path: Path) -> None:
    import pyarrow

    with pyarrow.output_stream(str(tmp_path / "a.jsonl.zst"), compression="zstd") as handle:
        handle.write("".join(json.dumps(row) + "\n" for row in ROWS).encode())
    path = tmp_path / "a.jsonl.zst"
    if not broken:
        assert len(Files(path=path).problems()) == 3
        return
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"a\.jsonl\.zst"):
        Files(path=path).problems()


def numbered(name: str, count: int) -> Fixed:
    return Fixed(*(problem(str(n), f"{name} {n}?") for n in range(count)))


def taken(*, backwards: bool = False, **settings: Any) -> set[str]:
    parts: dict[str, Data] = {"a": numbered("a", 40), "b": numbered("b", 100)}
    if backwards:
        parts = {name: Fixed(*reversed(parts[name].problems())) for name in ("b", "a")}
    return {p.id for p in Mixture(parts=parts, **settings).problems()}


def test_a_mixture_is_drawn_by_limits_and_weights_whatever_the_order_and_a_smaller_lies_in_a_larger() -> None:
    assert len(taken()) == 140
    limited = taken(limits={"b": 10})
    assert (len(limited), sum(id.startswith("b/") for id in limited)) == (50, 10)
    weights = {"a": 0.25, "b": 0.75}
    many, few = taken(weights=weights), taken(weights=weights, size=40)
    assert (len(many), sum(id.startswith("a/") for id in few), few < many) == (133, 10, True)
    assert taken(weights=weights, size=40, backwards=True) == few != taken(weights=weights, size=40, seed=1)
    nested = Mixture(parts={"x": Mixture(parts={"a": numbered("a", 3)}), "y": numbered("b", 2)})
    assert [p.id for p in nested.problems()] == ["x/a/0", "x/a/1", "x/a/2", "y/0", "y/1"]


def test_a_mixture_that_cannot_be_is_refused() -> None:
    part = {"a": numbered("a", 4)}
    for settings, said in (
        ({"weights": {"a": 0.7}}, "weights.* sum to 1, not 0.7"),
        ({"weights": {"b": 1.0}}, "there is no part b"),
        ({"limits": {"a": 0}}, r"limits.a=0 must be 1 or more"),
        ({"parts": {**part, "b": part["a"]}, "weights": {"a": 1.0}}, "weights: b has none"),
    ):
        with pytest.raises(ValueError, match=said):
            Mixture(**{"parts": part, **settings})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"size=9: a gives 4 problems, so 4 is the most"):
        Mixture(parts=part, size=9).problems()
    assert Mixture().missing() == ["parts is empty; add a source: +data@data.parts.<name>=gsm8k"]


@pytest.mark.parametrize("ending", ["jsonl.gz", "csv.gz", "json.gz", "JSONL", "Csv"])
def test_packed_files_and_endings_in_any_case_are_read(ending: str, tmp_path: Path) -> None:
    plain = write_as(tmp_path / f"plain.{ending.lower().removesuffix('.gz')}", ROWS)
    path = tmp_path / f"pool.{ending}"
    path.write_bytes(gzip.compress(plain.read_bytes()) if ending.endswith("gz") else plain.read_bytes())
    assert Files(path=path).problems() == Files(path=plain).problems()


def bombs(folder: Path) -> Iterator[tuple[str, str]]:
    """Files that hold no problem but a great deal of something, and what is said of them."""
    import pyarrow
    import pyarrow.parquet

    mib = 1 << 20
    for name, part, said in (
        ("line.jsonl.gz", b"0" * mib, "line 1: longer than 64 million characters"),
        ("list.json.gz", b"[" * mib + b"\n", "unpacks to more than 200 times its size"),
    ):
        (folder / name).write_bytes(gzip.compress(part) * 192)
        yield name, said
    (folder / "deep.jsonl").write_text('{"question": ' + "[" * 100_000)
    yield "deep.jsonl", "no JSON that anybody means"
    (folder / "digits.jsonl").write_text('{"question": ' + "1" * 100_000 + "}")
    yield "digits.jsonl", "no JSON that anybody means"
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"question": "q"}' * 99)[:30])
    yield "cut.jsonl.gz", "damaged"
    long = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 65536, pyarrow.int32()), ["x" * 50_000])
    pyarrow.parquet.write_table(pyarrow.table({"question": long, "answer": ["1"] * 65536}), folder / "bomb.parquet")
    yield "bomb.parquet", "unpacks to more than 200 times its size"


def test_a_small_file_that_holds_a_great_deal_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    for name, said in bombs(tmp_path):
        with pytest.raises(UserError, match=f"{name}.*{said}"):
            Files(path=tmp_path / name).problems()


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".tsv"])
def test_a_file_that_is_no_utf_8_is_said_so(ending: str, tmp_path: Path) -> None:
    text = {".jsonl": '{"question": "é"}', ".json": '[{"question": "é"}]'}.get(ending, "question\né\n")
    path = tmp_path / f"pool{ending}"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=rf"pool{ending}: not UTF-8 text \(.* at byte \d+\)"):
        Files(path=path).problems()


def test_how_many_problems_a_source_gives_is_known_without_the_network(tmp_path: Path) -> None:
    path = write_as(tmp_path / "pool.csv", ROWS)
    assert [known(Files(path=path)), known(Files(path=path, limit=2)), known(Files(path=path, rows=9))] == [3, 2, 9]
    assert [known(Files()), known(Files(path=tmp_path / "none.csv")), known(Fixed(problem("a", "one")))] == [None] * 3
    assert [known(Hub(repo="a/b")), known(Hub(repo="a/b", rows=817)), known(Hub(repo="a/b", path=path))] == [
        None,
        817,
        3,
    ]


def test_a_users_columns_change_no_answer_whatever_their_names(tmp_path: Path) -> None:
    names = ("gold", "answer_type", "choices", "tolerance", "letter", "origin", "verdict", "published")
    row = {"question": "What is 1 + 1?", "answer": "2", "ways": "It is \\boxed{2}.", **dict.fromkeys(names, "other")}
    plain = Files(path=jsonl(tmp_path / "p.jsonl", [row]), solution="ways")
    (carried,), (bare,) = dataclasses.replace(plain, meta=names).problems(), plain.problems()
    assert dataclasses.replace(carried, meta={}) == bare
    assert carried.meta == dict.fromkeys(names, "other")


def test_two_rows_with_one_id_are_named(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "pool.jsonl", [{"question": q, "answer": "1", "id": "same"} for q in ("a", "b")])
    with pytest.raises(
        UserError, match=r"pool.jsonl, line 2: id 'same' is in .*pool.jsonl, line 1 too; make it unique"
    ):
        Files(path=path, solution=None, id="id").problems()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pool.json", '{"a": 1}', "pool.json, line 1: no column 'question' among a"),
        ("pool.json", '{\n"a": 1}', "pool.json, line 1: not valid JSON"),
        ("pool.json", "3", "pool.json: expected a list of objects, found int"),
        ("pool.json", "", "pool.json, line 1: not valid JSON"),
        ("pool.jsonl", "", "pool.jsonl: no rows in it"),
        ("pool.csv", "question,answer\n", "pool.csv: no rows in it"),
        ("pool.parquet", "", "pool.parquet: not a Parquet file"),
        ("pool.json", "[3,\n 2]", "pool.json, entry 1: expected an object, found int"),
        ("pool.json", '[{"a": 1},\n{"a" 2}]', "pool.json, line 2: not valid JSON"),
        ("pool.csv", "question,answer\nq,1\nq,1,2\n", "pool.csv, line 3: not the 2 fields that the header names"),
        ("pool.csv", 'question,answer\n"q,1\n', "pool.csv, after line 1: "),
        ("pool.parquet", "no parquet", "pool.parquet: not a Parquet file"),
        ("pool.txt", "", r"pool.txt: the ending '.txt' is none of .jsonl"),
    ],
)
def test_a_broken_file_is_said_so(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        Files(path=tmp_path / name).problems()


def test_a_path_that_is_missing_or_not_given_is_told_before_any_work(tmp_path: Path) -> None:
    pool = DataStage(data=Files())
    assert pool.missing() == ["data.path is not set; give the path of a JSONL, JSON, CSV, TSV or Parquet file"]
    assert "nothing.jsonl: no such file" in Files(path=tmp_path / "nothing.jsonl").missing()[0]
    assert "no such file in that folder" in Files(path=tmp_path).missing()[0]
    assert "nothing.jsonl: no such file" in Hub(repo="a/b", path=tmp_path / "nothing.jsonl").missing()[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, "limit=0"),
        ({"answer": None}, "solution=…"),
        ({"answer": None, "solution": "s", "answer_marker": "####"}, "answer=…"),
        ({"answer_marker": ""}, "answer_marker needs a mark"),
        ({"duplicates": "maybe"}, "duplicates"),
        ({"decontamination": Decontamination, "limit": 1}, "decontamination"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Files(**settings)


@pytest.mark.parametrize("settings", [{"long": -1}, {"short": -1}, {"share": 0.0}, {"share": 1.5}, {"common": -1}])
def test_a_rule_of_decontamination_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Decontamination(**settings)


def test_gsm8k_is_read_whole_with_boxes_and_without_its_annotations() -> None:
    source = Hub(repo="openai/gsm8k", path=shared("gsm8k/train.jsonl"), answer_marker="####", box=True)
    pool = source.problems()
    assert len(pool) == len({p.id for p in pool}) == 7473
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", p.answer) for p in pool)
    assert all(
        boxed(p.solutions[0]) == p.answer and "<<" not in p.solutions[0] and "####" not in p.solutions[0] for p in pool
    )


def test_the_answer_is_taken_from_the_box_and_rows_without_one_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"problem": "a", "solution": "so \\boxed{\\frac{1}{2}}"}, {"problem": "b", "solution": "it holds."}]
    source = Files(path=jsonl(tmp_path / "p.jsonl", rows), question="problem", answer=None, solution="solution")
    kept, dropped, facts = run(tmp_path / "out", source)
    assert [p.answer for p in kept] == ["\\frac{1}{2}"]
    assert [d["reason"] for d in dropped] == ["no answer"]
    assert facts.dropped == {"no answer": 1}


def test_a_solution_without_a_box_gets_one_and_no_solution_stays_none(tmp_path: Path) -> None:
    rows = [{"question": str(n), "answer": "7", "solution": s} for n, s in enumerate(["so 7", "\\boxed{7}", "", None])]
    boxes = Files(path=jsonl(tmp_path / "p.jsonl", rows), solution="solution", box=True).problems()
    assert [p.solutions for p in boxes] == [("so 7\n\\boxed{7}",), ("\\boxed{7}",), (), ()]


def test_a_folder_that_datasets_reads_gives_what_its_file_gives(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    path = write_as(folder / "train.parquet", ROWS)
    hub = Hub(repo=str(folder), meta=("level",))
    assert hub.missing() == []
    assert hub.problems() == Files(path=path, meta=("level",)).problems()
    with pytest.raises(UserError, match=r"repo=.*test.*; set split or subset"):
        Hub(repo=str(folder), split="test").problems()


@pytest.mark.parametrize("offline", [True, False])
def test_a_data_set_that_cannot_be_reached_names_the_way_out(offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    lacks = Hub(repo="nobody/no-such-data").missing()
    assert len(lacks) == 1
    assert "repo=nobody/no-such-data" in lacks[0]
    assert "set path to its file" in lacks[0]


def test_a_source_is_known_by_its_content_and_a_repository_by_its_revision(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    paths = [write_as(tmp_path / name, ROWS) for name in ("a.jsonl", "b.jsonl")]

    def key(data: Data, **more: Any) -> str:
        return pipeline.key(DataStage(data=data, **more), store)

    assert key(Hub(repo="a/b", path=paths[0])) == key(Hub(repo="c/d", path=paths[1]))
    assert key(Hub(repo="a/b", revision="1")) != key(Hub(repo="a/b", revision="2"))
    assert key(Files(path=paths[0])) != key(Files(path=paths[0], limit=1))
    assert key(Files(path=paths[0]), seed=1) == key(Files(path=paths[0]), seed=2)
    guard = {"protect": {"one": Files(path=paths[1])}}
    assert key(Files(path=paths[0]), **guard) != key(Files(path=paths[0]))
    unguarded = Files(path=paths[0], decontamination=None)
    assert key(unguarded, **guard) == key(unguarded)
    assert key(Files(path=paths[0], duplicates="keep")) != key(Files(path=paths[0]))
    assert key(Files(path=paths[0], digest="0" * 32)) == key(Files(path=paths[0], digest="0" * 32, rows=3))


def test_duplicates_are_dropped_merged_or_kept(tmp_path: Path) -> None:
    held = (
        problem("a", "Find $x$ if $x = \\dfrac{1}{2}$.", "1", ("first",)),
        problem("b", "find x  if x=\\frac12", "1", ("second", "first")),
        problem("c", "Find $x$ if $x = \\frac{1}{2}$.", "2", ("third",)),
        problem("d", "another", "1"),
    )
    kept, dropped, _ = run(tmp_path / "drop", Fixed(*held))
    assert [p.id for p in kept] == ["a", "d"]
    assert [(d["id"], d["reason"], d["of"]) for d in dropped] == [
        ("b", "duplicate", "a"),
        ("c", "duplicate with another answer", "a"),
    ]
    kept, _, _ = run(tmp_path / "merge", Fixed(*held, duplicates="merge"))
    assert {p.id: p.solutions for p in kept} == {"a": ("first", "second"), "d": ()}
    kept, dropped, _ = run(tmp_path / "keep", Fixed(*held, duplicates="keep"))
    assert (kept, dropped) == (list(held), [])


def test_the_same_row_twice_without_an_id_is_a_duplicate_and_no_clash(tmp_path: Path) -> None:
    source = Files(path=jsonl(tmp_path / "p.jsonl", [{"question": "q", "answer": "1"}] * 3))
    first, *others = [p.id for p in source.problems()]
    assert others == [f"{first}.2", f"{first}.3"]
    kept, dropped, _ = run(tmp_path / "out", source)
    assert ([p.id for p in kept], [d["id"] for d in dropped]) == ([first], others)


def test_the_solutions_are_offered_for_grading_under_their_problem_and_place(tmp_path: Path) -> None:
    run(
        tmp_path,
        Fixed(problem("a", "one", "1", ("x", "y")), problem("b", "two", "1"), problem("c", "three", "1", ("z",))),
    )
    found = records.read(tmp_path / "solutions.jsonl", Attempt)
    assert [(s.problem, s.sample, s.text, s.finish) for s in found] == [
        ("a", 0, "x", "stop"),
        ("a", 1, "y", "stop"),
        ("c", 0, "z", "stop"),
    ]


def test_equal_ids_and_an_empty_pool_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 ids stand for several problems \(a"):
        run(tmp_path, Fixed(problem("a", "one"), problem("a", "two")))
    with pytest.raises(UserError, match=r"none of 2 problems is left \(no answer: 2\)"):
        run(tmp_path, Fixed(problem("a", "one", ""), problem("b", "two", "")))
    with pytest.raises(UserError, match="none of 0 problems is left"):
        run(tmp_path, Fixed())


@given(st.text())
def test_tokens_see_no_difference_in_spaces_dollars_and_case(text: str) -> None:
    spaced = text.replace(" ", "  ").replace("\n", " \n")
    assert tokens(f" ${spaced}$ ") == tokens(text)
    assert tokens(" ".join(tokens(text))) == tokens(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$\\dfrac{1}{2}$", "\\frac {1} {2}"),
        ("x \\le 1{,}234", "$x\\leq 1234$"),
        ("若函数 f(x)=2，则", "若函数f（x）＝2,则"),
        ("\\left( a \\right)", "(a)"),
        ("3 × 4", "$3\\times 4$"),
    ],
)
def test_the_same_mathematics_has_the_same_tokens(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)


def test_numbers_and_signs_are_never_lost() -> None:
    assert (
        len({tokens(text) for text in ("b=a+4;a=3;b?", "b=a-4;a=3;b?", "b=a+4;a=5;b?", "b=a*4;a=3;b?", "b=a+4;c=3;b?")})
        == 5
    )


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("\\boxed{1} then \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed {3}", "3"),
        ("\\boxed{1} and \\boxed{2", "1"),
        ("unboxed{4}", None),
        ("no", None),
    ],
)
def test_the_box_is_the_last_closed_one(text: str, held: str | None) -> None:
    assert boxed(text) == held


words = st.lists(
    st.integers(0, 999).map(lambda n: f"w{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}"), min_size=20, max_size=40
)


@given(words, words, words)
def test_a_benchmark_question_inside_another_text_is_found(
    question: list[str], before: list[str], after: list[str]
) -> None:
    pool = [problem("leak", " ".join([*before, *question, *after])), problem("clean", "nothing in common at all")]
    found = Decontamination(common=0).find(pool, {"bench": [problem("7", " ".join(question))]})
    assert set(found) == {"leak"}
    assert (found["leak"].benchmark, found["leak"].problem, found["leak"].score) == ("bench", "7", 1.0)


def test_splitting_at_blanks_as_others_do_misses_what_is_typeset_otherwise_and_chinese() -> None:
    questions = [
        "Let $x$ be a real number such that $x = 1$ and more.",
        "若实数满足方程求其最大值并说明理由，结果用分数表示。",
    ]
    protected = {"b": [problem(str(n), q) for n, q in enumerate(questions)]}
    pool = [problem(f"{n}{change.__name__}", change(q)) for n, q in enumerate(questions) for change in (str, restyled)]
    pool += [problem("embedded", f"问：{questions[1]}答：")]
    s1 = Decontamination(split="words", long=8, short=0, common=0)
    assert set(s1.find(pool, protected)) == {"0str", "1str", "1restyled"}
    assert len(Decontamination().find(pool, protected)) == 5


def test_a_stock_phrase_is_no_leak_and_a_rare_run_is() -> None:
    stock = "can be written as m over n where m and n are relatively prime positive integers find their sum"
    long = [f"{chr(97 + i)}{chr(97 + j)}" for i in range(20) for j in range(3)]

    def texts(name: str, count: int) -> list[Problem]:
        return [
            problem(f"{name}{k}", f"{' '.join(f'{name}{chr(97 + k)}{word}' for word in long)} {stock}")
            for k in range(count)
        ]

    rare = Decontamination().find(texts("p", 1), {"b": texts("t", 1)})
    assert {name: match.method for name, match in rare.items()} == {"p0": "long"}
    assert stock.startswith(rare["p0"].text)
    assert not Decontamination().find(texts("p", 4), {"b": texts("t", 4)})
    assert len(Decontamination(common=0).find(texts("p", 4), {"b": texts("t", 4)})) == 4


@cache
def benchmarks() -> dict[str, list[Problem]]:
    folder = shared("benchmarks")
    names = ("aime", "amc", "cn_math_2024", "gaokao", "gpqa", "grade_school_math", "kaoyan", "math", "minerva")
    sources = {}
    for name in names:
        path = folder / f"{name}.jsonl"
        first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        sources[name] = Files(path=path, question="question" if "question" in first else "problem")
    return {name: source.problems()[:100] for name, source in sources.items()}


def aime25() -> list[Problem]:
    return Files(path=shared("benchmarks/aime25.jsonl"), question="problem").problems()


def restyled(text: str) -> str:
    return re.sub(r"\s+", "  ", text.replace("$", " ").replace("\\frac", "\\dfrac"))


def edited(text: str) -> str:
    """Every eighth word, or Chinese character, is another."""
    parts = re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+|\s+", text)
    return "".join("甲" if i % 16 == 14 and p.strip() else p for i, p in enumerate(parts))


@pytest.mark.parametrize(("change", "least"), [(str, 1.0), (restyled, 1.0), (edited, 0.9)])
def test_planted_copies_of_real_benchmark_questions_are_found(change: Any, least: float) -> None:
    protected = benchmarks()
    pool = [problem(f"{name}/{p.id}", change(p.question)) for name, held in protected.items() for p in held]
    found = Decontamination().find(pool, protected)
    for name, held in protected.items():
        share = sum(f"{name}/{p.id}" in found for p in held) / len(held)
        assert share >= least - (0.1 if len(held) < 100 and least < 1 else 0), (name, share)


def test_different_real_benchmarks_are_hardly_taken_for_each_other() -> None:
    held = benchmarks()
    pool = [problem(f"{name}/{p.id}", p.question) for name in ("amc", "math") for p in held[name]]
    protected = {name: held[name] for name in held.keys() - {"amc", "math"}} | {"aime25": aime25()}
    found = Decontamination().find(pool, protected)
    assert len(found) <= 2, found
    assert len(Decontamination(common=0).find(pool, protected)) >= 10, "10 of 40 AMC problems share AIME's stock phrase"


def test_whoever_leaks_is_dropped_with_the_pair_or_only_reported(tmp_path: Path) -> None:
    leak, clean = problem("leak", "How many primes lie below one hundred?"), problem("clean", "What is two and two?")
    bench = Fixed(problem("9", "how many primes lie below  one hundred"))
    kept, dropped, facts = run(tmp_path / "a", Fixed(leak, clean), protect={"bench": bench})
    assert [p.id for p in kept] == ["clean"]
    (why,) = dropped
    assert (why["id"], why["reason"]) == ("leak", "benchmark question")
    assert [why["match"][k] for k in ("benchmark", "problem", "method")] == ["bench", "9", "same"]
    assert (facts.leaks, facts.protected) == ({"bench": 1}, {"bench": 1})
    only = Fixed(leak, clean, decontamination=Decontamination(action="report"))
    kept, dropped, facts = run(tmp_path / "b", only, protect={"bench": bench})
    assert (len(kept), dropped, facts.leaks) == (2, [], {"bench": 1})
    assert [row["id"] for _, row in records.rows(tmp_path / "b" / "matches.jsonl")] == ["leak"]
    assert why["match"]["question"] == "how many primes lie below  one hundred"
    with pytest.raises(UserError, match=r"action=fail: 1 problems leak, leak is bench 9 \(same: how many"):
        run(
            tmp_path / "d", Fixed(leak, clean, decontamination=Decontamination(action="fail")), protect={"bench": bench}
        )
    kept, _, _ = run(tmp_path / "c", Fixed(leak, clean, decontamination=None), protect={"bench": bench})
    assert len(kept) == 2


def test_a_benchmark_that_cannot_be_read_stops_or_is_reported(tmp_path: Path) -> None:
    protect = {"gone": Files(path=tmp_path / "gone.jsonl"), "here": Fixed(problem("1", "a question of its own"))}
    stop = DataStage(data=Fixed(problem("a", "one")), protect=protect)
    lacks = stop.missing()
    assert lacks[0].startswith(f"evaluation.benchmarks.gone.source: path={tmp_path / 'gone.jsonl'}: no such file")
    assert "set data.decontamination.absent=report" in lacks[1]
    with pytest.raises(UserError, match=r"benchmarks\.gone\.source: .*gone\.jsonl: no such file"):
        stop.run(tmp_path)
    data = Fixed(problem("a", "one"), decontamination=Decontamination(absent="report"))
    assert DataStage(data=data, protect=protect).missing() == []
    _, _, facts = run(tmp_path / "report", data, protect=protect)
    assert (facts.unchecked, facts.protected) == (("gone",), {"here": 1})


def test_a_mixture_composes_of_any_members_by_name(tmp_path: Path) -> None:
    path = write_as(tmp_path / "a.jsonl", ROWS)
    parts = [
        "+data@data.parts.own=files",
        f"data.parts.own.path={path}",
        "+data@data.parts.lab=lab",
        "+data.limits.lab=2",
    ]
    assert len(compose(["data=mixture", *parts]).data.problems()) == 5


BENCH = [
    problem(
        "long", "A train leaves the station at 12 and travels 40 miles each hour until the driver stops for lunch at 3"
    ),
    problem("short", "Simplify $\\sqrt{242}$."),
    problem("herd", "Tom has 3 cats and 4 dogs and 5 cows and 6 hens and 7 ducks in 2 barns"),
]


@pytest.mark.parametrize(
    ("method", "where", "leak"),
    [
        ("same", "question", problem("x", BENCH[0].question.replace("train", "tr\u200bain").replace("miles", "mi\u00adles"))),
        ("numbers", "question", problem("x", re.sub(r"\d+", "9", BENCH[2].question))),
        ("inside", "question", problem("x", "Solve this: Simplify $\\sqrt{242}$. Put your answer in a box.")),
        ("long", "solution", problem("x", "Where does it stop?", solutions=(f"We are told: {BENCH[0].question}. So",))),
    ],
)  # fmt: skip
def test_a_leak_is_found_under_other_numbers_in_a_wrapper_in_a_solution_and_behind_what_is_not_seen(
    method: str, where: str, leak: Problem
) -> None:
    longer = problem("clean", "Simplify $\\sqrt{242}+1$ and name a prime", solutions=("A train leaves the station.",))
    found = Decontamination().find([leak, longer], {"b": BENCH})
    assert {name: (match.method, match.where) for name, match in found.items()} == {"x": (method, where)}
    if method in ("numbers", "long"):
        blind = Decontamination(numbers=False, solutions=False, share=1.0, short=4, long=13)
        assert not blind.find([leak], {"b": BENCH})


def test_arithmetic_that_a_solution_shares_with_a_question_is_no_quotation() -> None:
    total = " + ".join(map(str, range(2, 12)))
    solved = problem("x", "How many in all?", solutions=(f"They are {total}.",))
    assert not Decontamination().find([solved], {"b": [problem("1", f"Find {total} + 12 + 13 + 14 + 15 + 16.")]})


def test_numbers_hide_no_difference_between_short_questions_or_tables_of_numbers() -> None:
    short, table = "What is 3 plus 4?", "Sort 1 2 3 4 5 6 7 8 9 10 11 12 13 14 please now"
    bench = {"b": [problem("1", short), problem("2", table)]}
    pool = [problem("x", "What is 5 plus 9?"), problem("y", re.sub(r"\d+", "8", table))]
    assert not Decontamination().find(pool, bench)


def test_benchmarks_named_beside_those_of_the_run_are_looked_for(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "later.jsonl", [{"question": BENCH[0].question, "answer": "1"}])
    pool = jsonl(tmp_path / "pool.jsonl", [{"question": p.question, "answer": "1"} for p in BENCH])
    composed = compose(
        [
            *("data=files", f"data.path={pool}", "+evaluation/benchmark@data.decontamination.protect.later=gsm8k"),
            *(
                f"data.decontamination.protect.later.source.path={path}",
                "data.decontamination.protect.later.source.rows=null",
            ),
            *("data.decontamination.protect.later.source.digest=null",),
            "data.decontamination.protect.later.source.answer_marker=null",
        ]
    )
    kept, _, facts = run(tmp_path / "out", composed.data)
    assert ([p.question for p in kept], facts.leaks) == ([p.question for p in BENCH[1:]], {"later": 1})


def test_near_duplicates_with_one_answer_leave_the_smallest_id_in_any_order(tmp_path: Path) -> None:
    base = "Ann has {} red apples and gives some of them to her brother who eats them all before dinner with {} friends; how many are left?"
    held = [
        problem("c", base.format(5, "two"), "3", ("sc",)),
        problem("a", base.format(5, "some"), "3", ("sa",)),
        problem("b", base.format(5, "two").replace("dinner", "supper"), "3"),
        problem("d", base.format(6, "two"), "4"),
        problem("e", "Another question altogether, of a bus that is late by an hour or two?", "3"),
    ]
    for n, order in enumerate((held, held[::-1])):
        kept, dropped, facts = run(tmp_path / str(n), Fixed(*order, near=0.6, duplicates="merge"))
        assert {p.id: set(p.solutions) for p in kept} == {"a": {"sa", "sc"}, "d": set(), "e": set()}
        assert {(d["id"], d["of"], d["reason"]) for d in dropped} == {(x, "a", "near duplicate") for x in "bc"}
        assert all(d["of_question"] == held[1].question and d["share"] > 0.5 for d in dropped)
        assert facts.solutions == 2
    assert len(run(tmp_path / "off", Fixed(*held))[0]) == 5


def test_many_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import limo.data.spread

    copies = [problem(f"{n}", f"{p.question} {'x' * (n % 7)}") for n in range(50) for p in BENCH[n % 2 : n % 2 + 1]]
    source = Fixed(*copies, near=0.8)
    alone = run(tmp_path / "one", source, protect={"b": Fixed(*BENCH)})
    monkeypatch.setattr(limo.data.spread, "FEW", 9)
    monkeypatch.setattr(limo.data.spread, "CHUNK", 9)
    assert run(tmp_path / "many", source, protect={"b": Fixed(*BENCH)}) == alone


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_the_tokens_of_a_text_in_ascii_are_those_that_it_has_beside_others(text: str) -> None:
    assert tokens(f"{text} é") == (*tokens(f"{text} "), "é")


@given(st.lists(st.sampled_from(["a", "b", "c", "1", "=", "so"]), max_size=60), st.integers(1, 8), st.integers(0, 4))
def test_long_runs_are_found_by_the_short_ones_in_them_as_without_these(
    words: list[str], long: int, short: int
) -> None:
    held = {"b": [problem("1", "a b c so a 1 = b so c"), problem("2", "so so so so so a a a a b")]}
    text = " ".join(words)
    found = [
        trace and (*trace.question, *trace.solutions)
        for n in (short, 0)
        for trace in [Search(Decontamination(long=long, short=n, common=0), held).look(text, [text[::-1]])]
    ]
    assert (found[0] or ()) == (found[1] or ())
