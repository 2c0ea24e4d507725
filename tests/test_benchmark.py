"""Benchmarks: where their rows come from, how wrong files are refused, how gold answers are mended."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from command import limo, started

from limo import UserError
from limo.compose import compose
from limo.data import Files, PinnedFile, Row
from limo.data.check import Check
from limo.data.columns import as_gold
from limo.evaluation import Benchmark, Evaluation, options, repairs, scoring
from limo.grading import Rules, grade_all
from limo.grading import grade as grade_one
from limo.records import Attempt, Gold, Problem, read, read_results
from limo.serial import fingerprint
from limo.store import content_digest

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "../shared/data"
COUNTS = {
    "aime24": (30, {}),
    "aime25": (30, {}),
    "amc23": (40, {}),
    "math500": (500, {"currency": 3}),
    "olympiadbench": (675, {"delimiters": 266, "metadata": 167}),
    "chmath": (30, {}),
    "gaokao": (79, {"options": 53, "corrections": 5}),
    "kaoyan": (199, {"letter": 101, "options": 89, "delimiters": 24, "parts": 3, "backslash": 1, "forms": 1}),
    "gradeschool": (210, {"delimiters": 18, "parts": 1, "punctuation": 1, "backslash": 1, "forms": 1}),
    "minerva": (272, {"exponent": 58, "code": 6, "delimiters": 1}),
    "gpqa_diamond": (198, {"options": 198, "shuffle": 198}),
    "gsm8k": (1319, {}),
}
"""Questions of each file, and how many gold answers each rule mends."""


def shared(name: str, copy: Path | None = None) -> Benchmark:
    """A benchmark of the package, read from the files beside the checkout, or from a folder with copies of them."""
    folder = SHARED if name == "gsm8k" else SHARED / "benchmarks"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here; the benchmarks' files are no part of the project")
    made = compose(["evaluation=none", f"+evaluation/benchmark@evaluation.benchmarks.{name}={name}"]).evaluation
    return made.benchmarks[name].at(copy or folder)


def file(folder: Path, *rows: object) -> Path:
    path = folder / "bench.jsonl"
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def row(**changes: object) -> dict[str, object]:
    return {"id": 1, "question": "What is 2 + 3?", "answer": "5", **changes}


@pytest.mark.parametrize("name", COUNTS)
def test_every_file_loads_as_it_is_with_its_golds_mended_and_counted(name: str) -> None:
    loaded = shared(name).load()
    count, repairs = COUNTS[name]
    assert len(loaded.problems) == count == len({p.id for p in loaded.problems})
    found = {rule: len(ids) for rule, ids in loaded.repairs.items()}
    assert found == repairs


@pytest.mark.parametrize(
    "name", ["aime24", "amc23", "chmath", "gaokao", "kaoyan", "minerva", "gradeschool", "gpqa_diamond"]
)
def test_every_gold_answer_is_right_when_a_model_gives_it_and_another_questions_is_not(name: str) -> None:
    benchmark = shared(name)
    problems = benchmark.load().problems
    problems = [p for i, p in enumerate(problems) if i % 4 == 0 or not isinstance(p.gold.value, str)]
    rules = [scoring.own_rules(benchmark.rules, p) for p in problems]
    golds = [p.gold.value for p in problems]
    own = [scoring.case(p, answered(p, gold)) for p, gold in zip(problems, golds, strict=True)]
    others = [scoring.case(p, answered(p, gold)) for p, gold in zip(problems, golds[1:] + golds[:1], strict=True)]
    verdicts = [v.correct for v in grade_all(own + others, rules * 2, jobs=2)]
    assert [p.id for p, right in zip(problems, verdicts, strict=False) if not right] == []
    wrongly = [
        (gold, other)
        for gold, other, right in zip(golds, golds[1:] + golds[:1], verdicts[len(golds) :], strict=True)
        if right and gold != other
    ]
    assert wrongly == []


def answered(problem: Problem, gold: object) -> Attempt:
    """A response that gives an answer; one of several parts has a box for each."""
    parts = list(gold.values()) if isinstance(gold, dict) else gold if isinstance(gold, list) else [gold]
    boxes = ", ".join(f"\\boxed{{{part}}}" for part in parts)
    return Attempt(problem.id, 0, 0, f"So it is {boxes}.", "stop", 1, 1)


def test_a_letter_or_the_text_of_its_option_is_right_and_another_options_text_is_not() -> None:
    benchmark = shared("gaokao")
    problem = next(
        p for p in benchmark.load().problems if p.gold.value == "D" and "3 \\sqrt{2}" in (p.gold.choices or {}).values()
    )
    for answer, right in (("D", True), ("3\\sqrt{2}", True), ("A", False), ("\\sqrt{2}", False)):
        assert grade_one(scoring.case(problem, answered(problem, answer)), benchmark.rules).correct is right, answer


def test_the_option_counts_where_a_files_own_answer_text_contradicts_its_letter() -> None:
    problem = next(p for p in shared("gaokao").load().problems if "(\\bar{z}+z)" in p.question)
    gold = problem.gold
    assert gold.published == "10" and gold.value == "A" and gold.choices and gold.choices["A"] == "10 i"


def test_the_right_option_of_gpqa_is_spread_over_the_letters_and_stays_the_right_one() -> None:
    benchmark = shared("gpqa_diamond")
    before = {p.id: p for p in dataclasses.replace(benchmark, shuffle=None).load().problems}
    after = benchmark.load().problems
    spread = Counter(p.answer for p in after)
    assert set(Counter(p.answer for p in before.values())) == {"A"}
    assert set(spread) == set("ABCD") and min(spread.values()) > 30
    for p in after:
        shown, first = p.gold.choices or {}, before[p.id].gold.choices or {}
        assert shown[p.answer] == first["A"]
        assert options.cut(p.question) == shown
        assert len(p.question) == len(before[p.id].question)
    again = {p.id: p.answer for p in dataclasses.replace(benchmark, shuffle=1).load().problems}
    assert again != {p.id: p.answer for p in after} == {p.id: p.answer for p in benchmark.load().problems}


def test_olympiads_metadata_gives_type_and_tolerance_where_it_lies_beside_the_file(tmp_path: Path) -> None:
    benchmark = shared("olympiadbench")
    with_meta = {p.id: p.gold for p in benchmark.load().problems}
    (tmp_path / "olympiadbench.jsonl").write_bytes((SHARED / "benchmarks/olympiadbench.jsonl").read_bytes())
    without = {p.id: p.gold for p in shared("olympiadbench", tmp_path).load().problems}
    assert Counter(m.type for m in with_meta.values()) == {
        "auto": 509, "multi": 94, "expression": 57, "tuple": 9, "interval": 6,
    }  # fmt: skip
    assert {m.type for m in without.values()} == {"auto"}
    assert with_meta["2592"].tolerance == pytest.approx(0.1 / 4.2)
    assert with_meta["2045"].value == "(0,4]"
    digest = content_digest
    assert fingerprint(benchmark.source, digest) != fingerprint(shared("olympiadbench", tmp_path).source, digest)


@pytest.mark.parametrize(
    ("rules", "gold", "mended"),
    [
        (["integral"], "27.0", "27"),
        (["integral"], "2.5", "2.5"),
        (["thousands"], "1,450,000", "1450000"),
        (["thousands"], "1,45", "1,45"),
        (["delimiters"], "$69$,$84$", "69,84"),
        (["delimiters"], "$$-\\frac{1}{216}$$", "-\\frac{1}{216}"),
        (["currency"], "\\$32,\\!348", "32348"),
        (["currency"], "10,\\!080", "10,\\!080"),
        (["punctuation"], "0。3853", "0.3853"),
        (["backslash"], "4, frac{31}{40}", "4, \\frac{31}{40}"),
        (["backslash"], "\\frac{1}{2}", "\\frac{1}{2}"),
        (["code"], "np.arcsin(10/13)", "\\arcsin(10/13)"),
        (["code"], "-1./3", "-1/3"),
        (["code"], "\\frac{1}{2}(\\exp{a*t} + \\exp{-a*t})", "\\frac{1}{2}(e^{a t} + e^{-a t})"),
        (["code"], "\\arcsin{1.3 \\sin{\\theta_w}}", "\\arcsin(1.3 \\sin{\\theta_w})"),
        (["exponent"], "4.5e33", "4.5 \\times 10^{33}"),
        (["exponent"], "1e-05", "1 \\times 10^{-5}"),
        (["exponent"], "E_{1},E_{2}", "E_{1},E_{2}"),
        (["exponent"], "2e^{t}", "2e^{t}"),
        (["parts"], [3568, 5880], ["3568", "5880"]),
        (["parts"], {"integer": 42, "square_of": "$84$"}, {"integer": "42", "square_of": "84"}),
        (["letter"], "（B）", "B"),
        (["letter"], "C．", "C"),
        (["letter"], "（A）$\\frac{\\sqrt{\\pi}}{2}$", "A"),
        (["letter"], "A < B", "A < B"),
        (["forms"], "$x=1$ 或 $2x=2$．", "$x=1$"),
        (["forms"], "1, 2, 3, 或 6", "1, 2, 3, 6"),
    ],
)
def test_a_rule_mends_the_golds_it_is_for_and_no_others(
    rules: list[repairs.Repair], gold: object, mended: object
) -> None:
    given = as_gold(gold)
    problem, applied = repairs.repair(Row("x.jsonl, line 1", Problem("1", "?", given)), tuple(rules), "auto", None)
    assert problem.gold.value == mended
    assert applied == (rules if mended != given.value else [])
    assert (problem.gold.published or problem.answer) == str(gold)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("z 的共轭是 ( ) A. 1 B. -1 C. i D. -i", {"A": "1", "B": "-1", "C": "i", "D": "-i"}),
        ("A 与 B 的关系 A. A=B B. A>B C A<B D. 无法确定", {"A": "A=B", "B": "A>B", "C": "A<B", "D": "无法确定"}),
        ("Which?\n\nA. one\nB. two\n\nAnswer with a letter.", {"A": "one", "B": "two"}),
        ("设集合 A 与 B 相交", None),
    ],
)
def test_options_are_cut_from_the_end_of_a_question(question: str, found: dict[str, str] | None) -> None:
    assert options.cut(question) == found


def test_options_cannot_be_shuffled_where_there_are_none() -> None:
    row = Row("x.jsonl, line 7", Problem("7", "What is it?", Gold("A")))
    with pytest.raises(UserError, match=r"x.jsonl, line 7: no options .* to shuffle"):
        repairs.repair(row, ("options",), "letter", 0)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(), '{"id": 2, "question": '], "line 2: not valid JSON"),
        (
            [row(), {"id": 2, "answer": "5"}],
            "line 2: no column 'question' among id, answer; name the right one with question=…",
        ),
        ([row(), row(question="Again?")], "line 2: id '1' is in"),
        ([row(), row(id=2, answer=None)], "line 2: there is no answer; mend or remove the row"),
        ([row(), row(id=2, answer=[])], "line 2: there is no answer"),
        ([row(), row(id=2, answer=float("nan"))], "line 2: there is no answer"),
        ([row(), row(id=2, answer=True)], "line 2: column 'answer' holds True, which is no answer; write it as text"),
        ([row(question="  ")], "line 1: column 'question' holds no question"),
        ([row(question=5)], "line 1: column 'question' holds a number, which is no text"),
        ([row()], "1 rows, not 2; take the original, or change rows"),
        ([], "no rows in it"),
        ([row(), row(id=2, answer="five")], "line 2: the gold answer 'five' is no integer"),
        ([row(), row(id=2, answer="\\frac{1}{2")], "line 2: the gold answer '\\\\frac{1}{2' is no integer"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence_with_file_and_line(
    tmp_path: Path, rows: list[object], says: str
) -> None:
    path = file(tmp_path, *rows)
    benchmark = Benchmark(source=Files(path=path, id="id", rows=2), answer_type="integer")
    with pytest.raises(UserError) as refused:
        benchmark.load()
    assert says in str(refused.value) and str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_gold_answer_with_unbalanced_braces_is_refused_unless_it_is_text(tmp_path: Path) -> None:
    path = file(tmp_path, row(answer="\\frac{1}{2"))
    with pytest.raises(UserError, match=r"line 1: the gold answer .* has unbalanced braces"):
        Benchmark(source=Files(path=path)).load()
    assert len(Benchmark(source=Files(path=path), answer_type="text").load().problems) == 1


def test_a_changed_row_is_found_by_the_digest(tmp_path: Path) -> None:
    check = Check(1, None)
    check.add(["1", "What is 2 + 3?", "5", {}])
    made = Files(path=file(tmp_path, row()), id="id", digest=check.digest)
    assert len(made.problems()) == 1
    file(tmp_path, row(answer="6"))
    with pytest.raises(UserError, match=r"bench.jsonl: a row was changed \(digest .*set digest to the new one"):
        made.problems()


def test_a_changed_row_of_a_known_benchmark_is_named_by_its_line(tmp_path: Path) -> None:
    benchmark = shared("minerva", tmp_path)
    lines = (SHARED / "benchmarks/minerva.jsonl").read_text(encoding="utf-8").splitlines()
    lines[41] = lines[41].replace('"answer": "', '"answer": "-')
    (tmp_path / "minerva.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"minerva\.jsonl: row 42 was changed"):
        benchmark.load()


def test_a_mark_before_the_answer_is_needed_where_one_is_declared(tmp_path: Path) -> None:
    made = Files(path=file(tmp_path, row(answer="2+3=5\n#### 5"), row(answer="5")), answer_marker="####")
    with pytest.raises(UserError, match="line 2: column 'answer' has no '####'"):
        made.problems()
    file(tmp_path, row(answer="2+3=5\n#### 5"))
    assert made.problems()[0].answer == "5"


def test_a_path_comes_before_the_folder_and_the_folder_before_the_hub(tmp_path: Path) -> None:
    (tmp_path / "set/one").mkdir(parents=True)
    (tmp_path / "set/one/test.jsonl").write_text(json.dumps(row(question="nested")) + "\n")
    made = Benchmark(source=PinnedFile(repo="github:a/b", revision="0" * 40, remote="x.jsonl", file="one.jsonl"))
    assert made.at(tmp_path / "set").load().problems[0].question == "nested"
    (tmp_path / "set/one.jsonl").write_text(json.dumps(row(question="flat")) + "\n")
    assert made.at(tmp_path / "set").load().problems[0].question == "flat"
    own = dataclasses.replace(made, source=dataclasses.replace(made.source, path=file(tmp_path, row())))
    assert own.at(tmp_path / "set").load().problems[0].question == "What is 2 + 3?"
    other = dataclasses.replace(made, source=dataclasses.replace(made.source, file="two.jsonl"))
    assert other.at(tmp_path / "set").source.missing() == [
        f"path={tmp_path / 'set/two.jsonl'}: no such file; put it there, or give the path of a JSONL, JSON, CSV, TSV or "
        "Parquet file"
    ]


def test_an_unreachable_hub_is_one_sentence_for_all_benchmarks_on_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lacks = compose(["evaluation=limo_v1"]).evaluation.missing()
    assert len(lacks) == 1
    assert lacks[0].startswith("evaluation.benchmarks.{aime24, math500, amc23,")
    assert (
        "repo=github:GAIR-NLP/LIMO: not in the cache, and HF_HUB_OFFLINE forbids to fetch it" in lacks[0]
        and "evaluation.data_dir to its folder eval/data" in lacks[0]
    )


def test_a_file_of_the_hub_is_fetched_once_and_then_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write((json.dumps(row()) + "\n").encode())

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("limo.hub.file.GITHUB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = PinnedFile(repo="github:a/b", revision="c" * 40, remote="data/x.jsonl")
    assert made.missing() == []
    assert len(made.problems()) == 1
    server.shutdown()
    server.server_close()
    assert made.missing() == [] and len(made.problems()) == 1
    assert asked == [f"/a/b/{'c' * 40}/data/x.jsonl"]


def test_results_depend_on_what_a_file_holds_and_not_on_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = (Benchmark(source=Files(path=file(tmp_path / name, row()))) for name in ("one", "two"))
    key = fingerprint(first, content_digest)
    assert fingerprint(second, content_digest) == key
    assert fingerprint(dataclasses.replace(first, samples=2, temperature=0.5), content_digest) != key
    file(tmp_path / "two", row(answer="6"))
    assert fingerprint(second, content_digest) != key


def test_a_checked_benchmark_is_the_same_from_the_hub_and_from_a_folder() -> None:
    local = shared("aime24")
    remote = dataclasses.replace(local, source=dataclasses.replace(local.source, path=None))
    assert fingerprint(local, content_digest) == fingerprint(remote, content_digest)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("evaluation.benchmarks.gsm8k.samples=4", "samples=4 at temperature=0"),
        ("evaluation.benchmarks.gsm8k.prompt=hello", "must contain {question}"),
        ("evaluation.benchmarks.gsm8k.answer_type=colour", "answer_type: must be 'auto', 'letter'"),
        ("evaluation.benchmarks.gsm8k.limit=0", "limit=0 must be 1 or more"),
        ("evaluation.benchmarks.gsm8k.source.revision=null", "needs a revision"),
        ("evaluation.benchmarks.gsm8k.repairs=[magic]", "evaluation.benchmarks.gsm8k"),
        ("evaluation.data_dir=/nowhere", "data_dir=/nowhere is no folder"),
        ("+evaluation.benchmarks.gsm8k.sample=4", "there is no such key"),
    ],
)
def test_an_impossible_setting_is_refused_when_the_config_is_built(override: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        compose(["evaluation=gsm8k", override])
    assert says in str(refused.value)


def test_settings_of_one_benchmark_are_changed_from_the_command_line() -> None:
    suite = compose(
        ["evaluation=limo_v1", "evaluation.benchmarks.aime24.samples=8", "~evaluation.benchmarks.amc23"]
    ).evaluation
    assert "amc23" not in suite.benchmarks and len(suite.benchmarks) == 9
    assert (suite.benchmarks["aime24"].samples, suite.benchmarks["aime24"].temperature) == (8, 0.7)
    assert {name for name, b in suite.benchmarks.items() if b.judge} == {"kaoyan", "gradeschool"}


@pytest.mark.parametrize(("suite", "samples", "temperature"), [("limo_v1", 16, 0.7), ("limo_v2", 4, 0.6)])
def test_the_papers_suites_have_its_protocols(suite: str, samples: int, temperature: float) -> None:
    benchmarks = compose([f"evaluation={suite}"]).evaluation.benchmarks
    assert len(benchmarks) == 10
    for name, benchmark in benchmarks.items():
        few = name in ("aime24", "amc23", "chmath")
        expected = (samples, temperature, 32768) if few else (1, 0.0, 32768)
        assert (benchmark.samples, benchmark.temperature, benchmark.max_tokens) == expected
    assert {name for name, b in benchmarks.items() if b.domain == "in"} == {"aime24", "math500", "amc23"}


def test_limit_takes_the_first_questions_but_checks_the_whole_file(tmp_path: Path) -> None:
    path = file(tmp_path, row(id=1), row(id=2), row(id=3))
    benchmark = Benchmark(source=Files(path=path, id="id", rows=3), limit=2, prompt="{question}\nShow your work.")
    problems = benchmark.load().problems
    assert [p.id for p in problems] == ["1", "2"]
    assert benchmark.ask(problems[0]) == "What is 2 + 3?\nShow your work."
    with pytest.raises(UserError, match="3 rows, not 4"):
        dataclasses.replace(benchmark, source=dataclasses.replace(benchmark.source, rows=4)).load()


def test_the_tolerance_that_a_question_states_enters_its_rules() -> None:
    problem = Problem("1", "?", Gold("4.2", tolerance=0.02))
    assert scoring.own_rules(Rules(), problem).tolerance == 0.02
    assert scoring.own_rules(Rules(), Problem("1", "?", Gold("4.2"))) == Rules()


def test_a_correction_replaces_a_wrong_gold_and_leaves_the_papers_as_it_is(tmp_path: Path) -> None:
    path = file(tmp_path, row(id=1, answer="6"), row(id=2, answer="7"))
    benchmark = Benchmark(source=Files(path=path, id="id"), corrections={"1": "5"})
    loaded = benchmark.load()
    assert [(p.gold.value, p.gold.published) for p in loaded.problems] == [("5", "6"), ("7", None)]
    assert loaded.repairs == {"corrections": ["1"]}
    with pytest.raises(UserError, match="corrections: there is no question 9"):
        dataclasses.replace(benchmark, corrections={"9": "5"}).load()


def test_questions_that_stand_twice_in_a_file_are_listed(tmp_path: Path) -> None:
    path = file(tmp_path, row(id=1), row(id=2, question="Another?"), row(id=3, answer="6"))
    assert Benchmark(source=Files(path=path, id="id")).load().duplicates == [["1", "3"]]


def test_a_file_of_the_hugging_face_cache_is_read_without_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pyarrow
    import pyarrow.parquet
    from huggingface_hub import constants

    commit = "d" * 40
    place = tmp_path / f"datasets--a--b/snapshots/{commit}/data/test.parquet"
    place.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row(), row(id=2, answer="7")]), place)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = PinnedFile(repo="a/b", revision=commit, remote="data/test.parquet", id="id", rows=2)
    assert made.missing() == []
    assert [p.answer for p in made.problems()] == ["5", "7"]
    assert list(made.located())[1].place.endswith("test.parquet, row 2")
    other = dataclasses.replace(made, remote="data/train.parquet")
    assert (
        "a/b: not in the cache, and HF_HUB_OFFLINE forbids to fetch it; fetch its commit dddddddddddd"
        in other.missing()[0]
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"question": "2+3?", "answer": "5"}]'),
        ("b.json", '{"question": "2+3?", "answer": "5"}\n'),
        ("c.csv", "question,answer\n2+3?,5\n"),
    ],
)
def test_other_formats_are_read_too(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert [(p.question, p.answer) for p in Files(path=tmp_path / name).problems()] == [("2+3?", "5")]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("2+3? 5")
    with pytest.raises(UserError, match=r"a\.txt: the ending '\.txt' is none of"):
        Files(path=tmp_path / "a.txt").problems()


def test_an_unchecked_file_says_the_digest_that_would_check_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Files(path=file(tmp_path, row()), id="id")
    with caplog.at_level("INFO"):
        made.problems()
    digest = caplog.text.partition("digest=")[2].split()[0]
    caplog.clear()
    dataclasses.replace(made, digest=digest).problems()
    assert not caplog.text


def test_every_rule_that_a_config_may_name_exists() -> None:
    assert repairs.GOLDS.keys() | repairs.TEXTS.keys() == set(get_args(repairs.Repair))


def test_one_benchmark_is_read_from_a_file_given_on_the_command_line(tmp_path: Path) -> None:
    path = file(tmp_path, {"question": "2+3?", "answer": "#### 5"})
    changes = [f"source.path={path}", "source.rows=1", "source.digest=null"]
    suite = compose(["evaluation=gsm8k", *(f"evaluation.benchmarks.gsm8k.{c}" for c in changes)]).evaluation
    assert suite.missing() == []
    assert [p.answer for p in suite.placed()["gsm8k"].load().problems] == ["5"]
    assert [p.question for p in suite.sources()["gsm8k"].problems()] == ["2+3?"]


GSM = [
    {"question": "What is 3 + 4?", "answer": "It is <<3+4=7>>7.\n#### 7"},
    {"question": "What is 999 + 7?", "answer": "It is 1006.\n#### 1,006"},
]


def yaml(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("member", sorted(f.stem for f in (ROOT / "conf/data").glob("[!_]*.yaml")))
def test_every_member_of_data_may_be_the_source_of_a_benchmark(member: str) -> None:
    base = ["evaluation=none", "+evaluation/benchmark@evaluation.benchmarks.x=_base", "data=gsm8k"]
    config = compose([*base, f"+data@evaluation.benchmarks.x.source={member}"])
    assert config.evaluation.benchmarks["x"].source == compose([f"data={member}"]).data


def test_a_pools_test_split_is_a_benchmark_by_one_file_of_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file(tmp_path, *GSM)
    lines = ("defaults: [_base, /data@source: gsm8k, _self_]", "source: {split: test}", "answer_type: integer")
    yaml(tmp_path / "conf/evaluation/benchmark/mine.yaml", *lines)
    own = ["stages=[evaluation]", "evaluation=none", "+evaluation/benchmark@evaluation.benchmarks.mine=mine"]
    refused = started(*own, cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    assert refused.returncode == 2
    assert "evaluation.benchmarks.mine.source: repo=openai/gsm8k: not in the local Hugging Face cache" in refused.stdout
    own += ["evaluation.benchmarks.mine.source.path=bench.jsonl", "evaluation.benchmarks.mine.max_tokens=8"]
    assert limo("plan", *own) == 0
    assert "2 answers" in capsys.readouterr().out
    assert started(*own, cwd=tmp_path).returncode == 0
    (found,) = tmp_path.glob("outputs/lab/*/evaluation/base/results.json")
    assert read_results(found).benchmarks["mine"].n == 2
    problems = compose(own).evaluation.benchmarks["mine"].load().problems
    assert [(p.answer, p.gold.published) for p in problems] == [("7", None), ("1006", "1,006")]


def test_a_gold_answer_that_cannot_be_graded_is_said_before_any_work(tmp_path: Path) -> None:
    path = file(tmp_path, row(id=1), row(id=2, answer="five"))
    benchmark = Benchmark(source=Files(path=path, id="id"), answer_type="integer")
    remote = Benchmark(source=PinnedFile(path=path, id="id", rows=3, repo="github:a/b", revision="c" * 40, remote="x"))
    assert Evaluation(benchmarks={"sums": benchmark, "more": remote}).missing() == [
        f"evaluation.benchmarks.sums: {path}, line 2: the gold answer 'five' is no integer; mend the row or set another "
        "answer_type",
        f"evaluation.benchmarks.more: {path}: 2 rows, not 3; take the original, or change rows (null checks nothing)",
    ]


def test_a_benchmarks_train_split_and_its_own_file_are_pools(tmp_path: Path) -> None:
    path = file(tmp_path, *GSM)
    lines = (
        "repo: github:a/b",
        f"revision: {'c' * 40}",
        "remote: data/train.jsonl",
        'answer_marker: "####"',
        "box: true",
    )
    yaml(tmp_path / "conf/data/train.yaml", "defaults: [_pinned, _self_]", *lines)
    only = ["stages=[data]", "evaluation=none", "attempts=none"]
    refused = started(*only, "data=train", cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert refused.returncode == 2
    assert (
        "data.repo=github:a/b: not in the cache, and HF_HUB_OFFLINE forbids to fetch it; fetch its commit cccccccccccc"
        in refused.stdout
    )
    solution = "It is 7.\n\\boxed{7}"
    by_file = ["data=files", "data.answer_marker='####'", "data.box=true"]
    for name, chosen in {"split": ["data=train"], "file": by_file}.items():
        assert started(f"name={name}", *only, *chosen, f"data.path={path}", cwd=tmp_path).returncode == 0
        (found,) = tmp_path.glob(f"outputs/{name}/*/data/problems.jsonl")
        problems = read(found, Problem)
        assert [(p.answer, p.gold.published) for p in problems] == [("7", None), ("1006", "1,006")]
        assert problems[0].solutions == (solution,)
