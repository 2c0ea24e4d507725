"""What stands beside the page: the answers to read, the page of each run, figures and tables for a paper."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from limo import UserError, records, report
from limo.records import ANSWERS, Answer, read, read_results
from limo.report.replies import FILTERS, flips
from tests.outputs import answer, answered, benchmark, results, write_run

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028`${alert(3)}` \\ \"'"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a sweep with their answers, and their report."""
    root = tmp_path_factory.mktemp("outputs") / "a sweep"
    for strategy in ("limo", "random"):
        run = write_run(root, strategy)
        for side in ("base", "tuned"):
            answered(run / "evaluation" / side)
    report.write(report.read([root]), root)
    return root


class Links(HTMLParser):
    """The addresses of a page, and the words of each."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.inside = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "a"
        self.found += [(value, "") for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] = (self.found[-1][0], self.found[-1][1] + data)


def rows(page: Path, side: str) -> Iterator[list[object]]:
    """The answers that a page loads."""
    (source,) = (href for href, _ in Links(page).found if href.endswith(f".{side}.js"))
    return listed(page.parent / source)


def listed(source: Path) -> Iterator[list[object]]:
    """The answers of a file that a page loads."""
    _, *lines, _ = source.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return (json.loads(line.removesuffix(",")) for line in lines)


def test_every_link_of_every_page_leads_to_a_file_beside_it(sweep: Path) -> None:
    pages = [sweep / report.PAGE, *sweep.glob("report_files/**/*.html")]
    assert len(pages) == 1 + 2 + 2 * 3 + 1
    reached = set()
    for page in pages:
        for href, _ in Links(page).found:
            name = unquote(re.split("[?#]", href)[0])
            assert not name or (page.parent / name).is_file(), href
            assert "://" not in href and not href.startswith("/")
            reached.add((page.parent / name).resolve())
    assert {page.resolve() for page in pages} <= reached


def test_the_lists_hold_every_answer_with_its_kinds(sweep: Path) -> None:
    for run in sweep.glob("selection=*"):
        strategy = re.search(r"selection=(\w+)", run.name)
        assert strategy
        for side in ("base", "tuned"):
            for name in ("main", "hard", "long"):
                (page,) = sweep.glob(f"report_files/answers/*{strategy[1]}*/{name}.html")
                found = read(run / "evaluation" / side / name / ANSWERS, Answer)
                told = [(row[0], row[1], row[2], row[4], row[5], row[7], row[8], row[-1]) for row in rows(page, side)]
                assert told == [
                    (
                        one.problem,
                        one.sample,
                        one.question,
                        one.gold.text,
                        one.response,
                        one.verdict,
                        one.correct,
                        [kind for kind, (_, holds) in FILTERS.items() if holds(one)],
                    )
                    for one in found
                ]


def test_numbers_of_a_run_s_page_lead_to_the_answers_that_they_count(sweep: Path) -> None:
    run = next(sweep.glob("selection=limo*"))
    base, tuned = (read_results(run / "evaluation" / side / "results.json").benchmarks for side in ("base", "tuned"))
    (page,) = sweep.glob("report_files/runs/*limo*.html")
    links = {words: href for href, words in Links(page).found if "#" in href}
    for name in tuned:
        gained, lost = flips(base[name], tuned[name])
        href = links[f"gained {gained:,}, lost {lost:,}"]
        assert href.endswith(f"/{name}.html#changed") and gained > lost
        list_ = page.parent / href.partition("#")[0]
        sides = [{(row[0], row[1]): row[8] for row in rows(list_, side)} for side in ("base", "tuned")]
        assert sum(sides[1][key] and not right for key, right in sides[0].items()) == gained
    text = page.read_text()
    for model, what, kind in (("base", "held no final answer", "base,no_answer"), ("tuned", "were cut", "cut")):
        (said,) = re.findall(rf"<li[^>]*>(?:<b>Problem </b>)?{model} model: answers {what}.*?</li>", text)
        assert f'.html#{kind}"' in said


def compared(sweep: Path, href: str) -> list[dict[tuple[object, object], object]]:
    """Problem and sample -> right or wrong, of the two runs that a link to the page of two runs asks for."""
    asked = parse_qs(urlsplit(href).query)
    text = (sweep / "report_files" / "answers" / "runs.js").read_text()
    runs = {name: dict(files) for name, _, files in json.loads(text.removeprefix("var runs = ").removesuffix(";\n"))}
    files = [runs[asked[key][0]][asked["benchmark"][0]] for key in ("run", "other")]
    return [{(r[0], r[1]): r[8] for r in listed(sweep / "report_files" / "answers" / file)} for file in files]


def test_a_difference_between_settings_leads_to_the_answers_that_make_it(sweep: Path) -> None:
    links = [link for link in Links(sweep / report.PAGE).found if "compare.html?" in link[0]]
    assert len(links) == 3
    for href, words in links:
        run, other = compared(sweep, href)
        gained = sum(bool(right) and not other[key] for key, right in run.items())
        lost = sum(bool(other[key]) and not right for key, right in run.items())
        assert words == f"gained {gained}, lost {lost}" and gained > lost and href.endswith("#changed")


def test_settings_can_be_set_against_another_than_random(tmp_path: Path) -> None:
    for strategy in ("limo", "longest"):
        write_run(tmp_path, strategy)
    settings = report.read([tmp_path])
    assert "Against" not in report.write(settings, tmp_path).read_text()
    page = report.write(settings, tmp_path, against="longest").read_text()
    league = page[page.index('aria-label="Against longest"') :]
    assert re.findall(r'<th scope="row">(\w+)</th>', league[: league.index("</table>")]) == ["limo"]
    assert report.write(settings, tmp_path, against="selection=longest").read_text() == page
    write_run(tmp_path / "more", "random", 30)
    write_run(tmp_path / "alone", "quality")
    for folders, against, why in (
        ([tmp_path], "shrotest", r"there is no such setting; there are quality, random, limo, longest$"),
        ([tmp_path], "selection=lmio", r"there is no such setting; did you mean limo\?; there are quality"),
        (
            [tmp_path],
            "random",
            "no other setting has as many examples and all else equal; give the whole name of one of quality",
        ),
        ([tmp_path / "alone"], "quality", "there is one setting alone, quality, and nothing to compare with it"),
    ):
        with pytest.raises(UserError, match=f"^--against {against.removeprefix('selection=')}: {why}"):
            report.write(report.read(folders), tmp_path, against=against)


def test_the_page_is_there_before_what_it_leads_to(tmp_path: Path) -> None:
    for strategy in ("limo", "random"):
        answered(write_run(tmp_path, strategy) / "evaluation" / "tuned")
    (tmp_path / "report_files").write_text("in the way")
    with pytest.raises(UserError, match="choose another place with --out"):
        report.write(report.read([tmp_path]), tmp_path)
    assert "Against random" in (tmp_path / report.PAGE).read_text()
    assert all((tmp_path / name).is_file() for name in (report.NOTE, report.TABLES, report.SHEET))


def test_a_list_is_written_anew_where_its_answers_have_changed_and_only_there(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    answered(run / "evaluation" / "tuned")
    report.write(report.read([run]), tmp_path)
    lists = {name: next(tmp_path.glob(f"report_files/answers/*/{name}.tuned.js")) for name in ("main", "hard")}
    for place in lists.values():
        os.utime(place, (1, 1))
    there = run / "evaluation" / "tuned" / "main" / ANSWERS
    records.write(there, list(read(there, Answer))[:7])
    page = report.write(report.read([run]), tmp_path).read_text()
    assert lists["main"].stat().st_mtime > 1 and lists["hard"].stat().st_mtime == 1
    assert len(list(listed(lists["main"]))) == 7 and page.count(": tokens of the answers") > 0


def test_the_page_of_a_run_is_made_anew_where_the_run_has_changed_and_only_there(tmp_path: Path) -> None:
    runs = {strategy: write_run(tmp_path, strategy) for strategy in ("limo", "random")}
    report.write(report.read([tmp_path]), tmp_path)
    pages = {strategy: next(tmp_path.glob(f"report_files/runs/*{strategy}*")) for strategy in runs}
    before = {strategy: page.read_text() for strategy, page in pages.items()}
    for page in pages.values():
        os.utime(page, (1, 1))
    folder = runs["limo"] / "evaluation" / "tuned"
    results(folder, "tuned", {"main": benchmark({f"main-{i}": (1,) for i in range(9)})})
    report.write(report.read([tmp_path]), tmp_path)
    assert {strategy for strategy, page in pages.items() if page.stat().st_mtime > 1} == {"limo"}
    assert "100.0" in pages["limo"].read_text() and pages["random"].read_text() == before["random"]


def test_an_evaluation_that_runs_share_is_written_once(tmp_path: Path) -> None:
    store = tmp_path / ".store" / "base"
    for seed in (0, 1):
        base = write_run(tmp_path, seed=seed) / "evaluation" / "base"
        if not store.exists():
            answered(base)
            store.parent.mkdir()
            base.rename(store)
        else:
            for file in base.iterdir():
                file.unlink()
            base.rmdir()
        base.symlink_to(store)
    report.write(report.read([tmp_path]), tmp_path)
    lists = list(tmp_path.glob("report_files/answers/*/*.html"))
    assert len(lists) == 6 and len(list(tmp_path.glob("report_files/answers/*/*.js"))) == 3
    assert all(len(list(rows(page, "base"))) > 50 for page in lists)


def test_an_answer_is_text_whatever_it_says(tmp_path: Path) -> None:
    run = write_run(tmp_path, training=False)
    records.write_record(run / "run.json", records.Asked(EVIL, (f"selection={EVIL}",), 0, EVIL, 300))
    folder = run / "evaluation" / "base"
    results(folder, EVIL, {"main": benchmark({EVIL: (0,)})})
    gold = records.Gold(EVIL, choices={"__proto__": EVIL})
    row = dataclasses.replace(answer("main", "main-1", 0, 0), problem=EVIL, question=EVIL, response=EVIL, rule=EVIL)
    (folder / "main").mkdir()
    records.write(folder / "main" / ANSWERS, [dataclasses.replace(row, gold=gold, answer=EVIL)])
    report.write(report.read([run]), tmp_path)
    (page,) = tmp_path.glob("report_files/answers/*/main.html")
    (told,) = rows(page, "base")
    assert [told[i] for i in (0, 2, 3, 4, 5, 6, 9)] == [EVIL, EVIL, [["__proto__", EVIL]], EVIL, EVIL, EVIL, EVIL]
    files = [file for file in tmp_path.glob("report_files/answers/*/*") if file.is_file()]
    assert len(files) == 2
    assert not [f for f in files if "<img" in f.read_text() or "alert(1)</script" in f.read_text()]
    assert "default-src 'none'; script-src 'self'" in html.unescape(page.read_text())
    assert EVIL[:9] not in (tmp_path / report.TABLES).read_text()


def test_figures_stand_alone_in_colours_of_their_own(sweep: Path, caplog: pytest.LogCaptureFixture) -> None:
    for pdf in (sweep / "report_files" / "figures").glob("*.pdf"):
        pdf.unlink()  # so that they are drawn again, and nothing is said of it
    with caplog.at_level("INFO"):
        report.write(report.read([sweep]), sweep)
    assert caplog.records == []
    figures = sorted((sweep / "report_files" / "figures").iterdir())
    drawn = re.findall(r'<svg[^>]* aria-label="([^"]+)"', (sweep / report.PAGE).read_text())
    assert len(figures) == 2 * len(drawn) > 0
    for figure in figures:
        if figure.suffix == ".svg":
            text = figure.read_text(encoding="utf-8")
            assert text.startswith("<?xml") and "var(" not in text and re.search(r"#[0-9a-f]{6}", text)
        else:
            assert figure.read_bytes().startswith(b"%PDF")


def test_the_tables_for_a_paper_have_the_page_s_numbers_and_nothing_that_latex_takes_for_its_own(sweep: Path) -> None:
    text = (sweep / report.TABLES).read_text(encoding="utf-8")
    assert text.count(r"\begin{tabular}") == text.count(r"\toprule") == text.count(r"\bottomrule") > 2
    assert "gained" not in text and "Runs and their folders" not in text
    assert not re.search(r"(?<!\\)[%#_]", text.partition("\n")[2])
    page = (sweep / report.PAGE).read_text(encoding="utf-8")
    cells = re.findall(r'<td class="n">(-?[\d.]+) <span class="iv">', page)
    assert len(cells) > 6 and all(f"& {value} {{[}}" in text for value in cells)
    for row in re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}\n\\toprule\n(.*?)\\bottomrule", text, re.S):
        lines = [line for line in row[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(row[0])}
