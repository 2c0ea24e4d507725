from __future__ import annotations

import csv
import io
import itertools
import math
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limo import UserError, records, report
from limo.compose import compose
from limo.data import LeftOut, Match
from limo.report import runs as read
from limo.report.cost import spent
from limo.report.notes import notes
from limo.report.settings import MEAN, Setting, change, estimate, names_of, reference, settings_of
from limo.report.text import sheet
from limo.selection import Selection
from limo.serial import dump
from limo.statistics import difference
from tests.outputs import benchmark, evaluation, results, stage, write_run

STYLE = Path(report.__file__).with_name("style.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies, two sizes, three seeds; one run failed."""
    folder = tmp_path_factory.mktemp("outputs") / "lab"
    for strategy in ("random", "limo"):
        for size in (50, 200):
            for seed in (0, 1, 2):
                failed = (strategy, size, seed) == ("random", 200, 2)
                reason = "selection.size=200 is more than the <141> examples left; lower it"
                write_run(folder, strategy, size, seed, error=reason if failed else None)
    return folder


def shown(*folders: Path) -> list[Setting]:
    return settings_of(read.find(folders))


@pytest.fixture(scope="module")
def pages(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The page of a sweep, of a run, and of what little a failed run leaves."""
    out = tmp_path_factory.mktemp("pages")
    single = write_run(tmp_path_factory.mktemp("one"))
    broken = write_run(tmp_path_factory.mktemp("broken"), error="the GPU is on fire")
    places = {"sweep": sweep, "single": single, "broken": broken}
    return {
        kind: report.write(report.read([f]), out / f"{kind}.html").read_text(encoding="utf-8")
        for kind, f in places.items()
    }


class Page(HTMLParser):
    """What a page is made of: tags closed in order, ids, outside addresses, tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.targets: list[str] = []
        self.addresses: list[str] = []
        self.tags: Counter[str] = Counter()
        self.pictures: list[dict[str, str | None]] = []
        self.heads: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        if tag not in ("meta", "link", "br", "col", "input"):
            self.open.append(tag)
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        for name in ("href", "src", "xlink:href"):
            if value := given.get(name):
                (self.targets if value.startswith("#") else self.addresses).append(value)
        if tag == "svg":
            self.pictures.append(given)
        if tag == "th":
            self.heads.append(given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "link", "br", "col", "input"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["sweep", "single", "broken"])
def test_the_page_is_whole_loads_nothing_and_can_be_read_without_eyes(pages: dict[str, str], kind: str) -> None:
    page = Page(pages[kind])
    assert page.open == []
    assert all(address.startswith(f"{kind}_files/runs/") for address in page.addresses), "beside the page, or in it"
    assert bool(page.addresses) == (kind == "sweep") and not re.search(r"url\((?!#)|@import|<script", pages[kind])
    assert [i for i, times in page.ids.items() if times > 1] == []
    assert {t.removeprefix("#") for t in page.targets} <= set(page.ids)
    assert page.tags["caption"] == page.tags["table"] > 0
    assert all(head.get("scope") in ("row", "col") for head in page.heads)
    assert all(p.get("role") == "img" and p.get("aria-label") for p in page.pictures)
    assert '<html lang="en">' in pages[kind] and "width=device-width" in pages[kind]
    assert bool(page.pictures) == (kind != "broken")


def test_every_colour_follows_light_and_dark(pages: dict[str, str]) -> None:
    for page in pages.values():
        body = page[page.index("</style>") :]
        assert not re.search(r"#[0-9a-f]{6}\b", body)
        assert set(re.findall(r"var\((--[\w]+)\)", body)) <= set(re.findall(r"(--\w+):", STYLE)) | {"--k"}


def linear(colour: str) -> np.ndarray:
    """sRGB as linear light."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def theme_colours(theme: int) -> dict[str, str]:
    block = re.findall(r":root \{(.*?)\}", STYLE, re.S)[theme]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


@pytest.mark.parametrize("theme", [0, 1])
def test_text_and_curves_stand_out_from_the_page_in_both_themes(theme: int) -> None:
    colours = theme_colours(theme)

    def contrast(one: str, other: str) -> float:
        low, high = sorted(float(linear(colours[c]) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
        return (high + 0.05) / (low + 0.05)

    # WCAG 2: 4.5 for text, 3 for graphics
    assert min(contrast(c, "paper") for c in ("ink", "quiet", "alarm", "c0")) >= 4.5
    assert contrast("quiet", "shade") >= 4.5 and contrast("ink", "alarm-shade") >= 4.5
    assert min(contrast(f"c{i}", "paper") for i in range(8)) >= 3


# Machado, Oliveira & Fernandes 2009, severity 1: what dichromats see, in linear RGB
DICHROMATS = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("eyes", DICHROMATS)
def test_curves_can_be_told_apart_by_the_colour_blind(theme: int, eyes: str) -> None:
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )

    def lab(colour: str) -> np.ndarray:
        scaled = to_xyz @ np.clip(DICHROMATS[eyes] @ linear(colour), 0, 1) / [0.95047, 1, 1.08883]
        f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    seen = [lab(theme_colours(theme)[f"c{i}"]) for i in range(8)]
    # CIE 1976; 2.3 is just noticeable
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_a_run_shows_base_tuned_and_the_exact_paired_test(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    found = {k: records.read_results(run / "evaluation" / k / "results.json").benchmarks for k in ("base", "tuned")}
    page = report.write(report.read([run]), tmp_path).read_text()
    for name in ("main", "hard", "long"):
        base, tuned = (found[k][name] for k in ("base", "tuned"))
        apart = difference([{name: base.answers}], [{name: tuned.answers}])
        assert apart is not None and apart.exact
        line = re.search(rf'<tr><th scope="row">{name}</th>(.*?)</tr>', page)
        assert line
        cells = re.sub(r"<[^>]+>", " ", line.group(1))
        sides = (base.accuracy, tuned.accuracy, base.interval.low, base.interval.high, tuned.interval.low)
        for value in (*sides, tuned.interval.high):
            assert f"{100 * value:.1f}" in cells
        ends = [f"{100 * v:+.1f}".replace("-", "−") for v in (apart.value, apart.low, apart.high)]
        assert "{} [{}, {}]".format(*ends) in " ".join(cells.split())
        assert "&lt; 0.001" in cells and 3 * apart.p < 0.001
    assert f"{100 * found['tuned']['main'].accuracy:.1f} %" in page[: page.index("<main>")]


def test_the_terminal_and_markdown_and_csv_have_the_same_numbers(sweep: Path, tmp_path: Path) -> None:
    report.write(report.read([sweep]), tmp_path)
    table, note = report.table(report.read([sweep])), (tmp_path / report.NOTE).read_text()
    lines = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.startswith(("limo", "random"))]
    assert len(lines) == 4 and all(cell in note for line in lines for cell in line)
    rows = [line.split(",") for line in (tmp_path / report.SHEET).read_text().splitlines()]
    assert len(rows) == 1 + 11 * 2 * 3
    every = list(csv.DictReader(io.StringIO(sheet(shown(sweep)))))
    assert all(0 <= float(row["accuracy"]) <= 1 and 0 <= float(row["ended"]) <= 1 for row in every)
    page = (tmp_path / report.PAGE).read_text()
    setting = next(s for s in shown(sweep) if s.tuned and s.learned)
    assert f"{100 * (setting.learned or 0):.1f}" in page and f"{100 * (setting.ended or 0):.1f}" in page


def test_the_sheet_has_a_column_for_each_key_in_which_runs_differ(tmp_path: Path) -> None:
    for model, rate in (("small", "1e-5"), ("large", "2e-5"), ("large", "0.00001")):
        write_run(tmp_path, model=model, **{"optimizer.lr": rate, "training": "full"})
    report.write(report.read([tmp_path]), tmp_path)
    rows = list(csv.DictReader((tmp_path / report.SHEET).open(newline="")))
    assert {(row["model"], row["optimizer.lr"]) for row in rows if row["weights"] == "tuned"} == {
        ("small", "1e-05"),
        ("large", "2e-05"),
        ("large", "1e-05"),
    }
    assert "training" not in rows[0]


def test_words_of_others_are_no_markup_and_no_formula(tmp_path: Path) -> None:
    evil = "=cmd|' /C calc'!A0 <script>alert(1)</script> | [x](https://x.y) `b`\n\n# h\n<img src=x>"
    run = write_run(tmp_path, seed=0)
    asked = records.Asked(evil, ("selection=random", f"model.system={evil}"), 0, evil, 300)
    records.write_record(run / "run.json", asked)
    results(run / "evaluation" / "tuned", evil, {evil: benchmark({"q": (1, 0)}, lost=0.5)})
    report.write(report.read([tmp_path]), tmp_path)
    note = (tmp_path / report.NOTE).read_text()
    shown_ = [line for line in note.splitlines() if not line.startswith("    ")]  # an indented block is shown as it is
    assert not [line for line in shown_ if re.search(r"(?<!\\)[<`]|(?<!\\)\]\(|(?<!\\)://", line)]
    assert not [line for line in shown_ if line.startswith(("# h", "<"))]
    for row in csv.reader((tmp_path / report.SHEET).open(newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert "<script" not in (tmp_path / report.PAGE).read_text()


def test_a_failed_run_is_named_with_its_reason_and_the_others_stand(sweep: Path, pages: dict[str, str]) -> None:
    found = notes(shown(sweep))
    assert found[0][0] == "problem" and "random, 200 examples, seed 2: failed: selection.size=200" in found[0][1]
    assert "&lt;141&gt; examples left" in pages["sweep"] and "<141>" not in pages["sweep"]
    assert "<141> examples left" in report.table(report.read([sweep]))
    groups = {(a.label, a.size): [r.seed for r in a.runs if r.tuned] for a in shown(sweep)}
    assert groups["random", 200] == [0, 1] and groups["limo", 200] == [0, 1, 2]
    assert "No evaluation yet" in pages["broken"] and "the GPU is on fire" in pages["broken"]


def test_of_a_long_error_the_telling_line_comes_first(tmp_path: Path) -> None:
    errors = {
        "Traceback (most recent call last):\n  File x\nKeyError: 3": "KeyError: 3",
        "one thing\nanother": "one thing (and 1 more, below)",
    }
    for seed, error in enumerate(errors):
        write_run(tmp_path, seed=seed, error=error)
    said = [sentence.partition("failed: ")[2] for _, sentence, _ in notes(shown(tmp_path))]
    assert said[:2] == list(errors.values())
    assert "another" in report.write(report.read([tmp_path]), tmp_path).read_text()


def test_curves_have_a_panel_per_benchmark_and_appear_only_where_sizes_differ(pages: dict[str, str]) -> None:
    for name in ("main", "hard", "long", "mean"):
        assert f'aria-label="{name}: accuracy against the number of examples"' in pages["sweep"]
    assert "accuracy against the number" not in pages["single"]
    assert "Against random" in pages["sweep"]


def test_shares_that_should_alarm_are_said_first(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    said = [sentence for kind, sentence, _ in notes(shown(run)) if kind == "problem"]
    assert said == ["tuned model: answers were cut at max_tokens (long 12.0 %); raise max_tokens"]
    path = run / "evaluation/tuned/results.json"
    found = records.read_results(path)
    fine = {"finish": {"stop": 1.0}, "truncated": 0.0, "no_answer": 0.049, "repetition": 0.05}
    changed = {name: replace(one, **fine) for name, one in found.benchmarks.items()}
    records.write_results(path, replace(found, benchmarks=changed))
    said = [sentence for kind, sentence, _ in notes(shown(run)) if kind == "problem"]
    assert len(said) == 1 and "ran in circles (main 5.0 %, hard 5.0 %, long 5.0 %)" in said[0]
    training = records.read_record(run / "training/summary.json", records.TrainingSummary)
    long = replace(training, overlong=96, overlong_share=0.32, overlong_policy="truncate")
    records.write_record(run / "training/summary.json", long)
    data = records.DataSummary(10, 8, leaks={"math500": 2}, unchecked=("aime24",), unreadable=3)
    records.write_record(run / "data/summary.json", data)
    said = [sentence for kind, sentence, _ in notes(shown(run)) if kind == "problem"]
    assert any("32.0 % of the examples were longer" in s and "never show how to stop" in s for s in said)
    assert any("not searched for the questions of aime24" in s for s in said)
    assert any("in 3 problems a character is lost" in s for _, s, _ in notes(shown(run)))
    page = report.write(report.read([run]), tmp_path).read_text()
    assert all(s.replace("'", "&#x27;") in page for s in said)


def test_a_run_without_training_or_base_shows_what_there_is(tmp_path: Path) -> None:
    run = write_run(tmp_path, training=False)
    told = report.table(report.read([run]))
    assert "base" in told and "tuned" not in told and "difference" not in told
    assert report.write(report.read([run]), tmp_path).is_file()
    shutil.rmtree(run / "evaluation" / "base")
    (run / "run.json").unlink()
    (run / "status.json").unlink()
    evaluation(run / "evaluation" / "tuned", "m", 0.6, random.Random(0))
    page = report.write(report.read([run]), tmp_path).read_text()
    assert "did not finish" in page and "tuned" in page
    assert Page(page).open == []


def test_links_to_the_store_are_followed_and_nothing_is_found_twice(tmp_path: Path) -> None:
    run = write_run(tmp_path / "outputs" / "lab")
    store = tmp_path / "outputs" / ".store"
    store.mkdir()
    for step in ("data", "selection", "training"):
        (run / step).rename(store / step)
        (run / step).symlink_to(store / step, target_is_directory=True)
    (found,) = read.find([tmp_path / "outputs", run])
    assert found.size == 300 and set(found.summaries) >= {"data", "selection", "training", "evaluation/tuned"}
    assert read.curve(found)[0][:3] == [0.0, 5.0, 10.0]


def test_runs_with_the_very_same_results_are_shown_and_counted_once(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", seed=0)
    write_run(tmp_path / "first", seed=1)
    shutil.copytree(first, tmp_path / "again" / "default")
    alone, both = read.find([tmp_path / "first"]), read.find([tmp_path / "first", tmp_path / "again"])
    assert len(both) == len(alone) == 2
    assert settings_of(both)[0].accuracy("main") == settings_of(alone)[0].accuracy("main")
    (told,) = [sentence for _, sentence, _ in notes(settings_of(both)) if "very same results" in sentence]
    assert "(default); shown and counted once" in told


def test_the_selection_shows_steps_and_reasons_that_add_up(tmp_path: Path) -> None:
    page = report.write(report.read([write_run(tmp_path, size=120)]), tmp_path).read_text()
    part = page[page.index('id="selection"') : page.index('id="data"')]
    cells = re.sub(r"<[^>]+>", " ", part[: part.index("<svg")])
    assert "candidates 280" in " ".join(cells.split())
    for reason, n in (("solution is wrong", 25), ("solved 4 of 4", 15), ("below the first", 120)):
        assert f"{reason} −{n}" in " ".join(cells.split())
    assert "quality" in part and part.count("<svg") == 2


def test_the_paper_s_numbers_stand_beside_ours_with_what_differs(tmp_path: Path) -> None:
    suite = {"aime24": (30, 16, "in"), "math500": (100, 1, "in")}
    run = write_run(tmp_path, size=817)
    for kind, model, skill in (("base", "Qwen/Qwen2.5-32B-Instruct", 0.16), ("tuned", "model", 0.6)):
        evaluation(run / "evaluation" / kind, model, skill, random.Random(3), suite=suite)
    page = report.write(report.read([run]), tmp_path).read_text()
    part = page[page.index('id="paper"') : page.index('id="answers"')]
    assert "57.1" in part and "94.8" in part and "16.5" in part
    assert "max_tokens: 192, paper 32768" in part
    other = write_run(tmp_path / "other")
    assert 'id="paper"' not in report.write(report.read([other]), tmp_path / "other").read_text()


def test_a_model_that_was_only_evaluated_stands_beside_the_paper_s_own_by_the_nearer_protocol(tmp_path: Path) -> None:
    for samples, claimed in ((16, "57.1"), (4, "63.3")):
        run = write_run(tmp_path / str(samples), training=False)
        suite = {"aime24": (30, samples, "in")}
        evaluation(run / "evaluation" / "base", "mine", 0.5, random.Random(3), suite=suite)
        path = run / "evaluation" / "base" / "results.json"
        found = records.read_results(path)
        one = found.benchmarks["aime24"]
        one = replace(one, protocol=replace(one.protocol, temperature={16: 0.7, 4: 0.6}[samples]))
        records.write_results(path, replace(found, benchmarks={"aime24": one}))
        page = report.write(report.read([run]), tmp_path / str(samples)).read_text()
        part = page[page.index('id="paper"') : page.index('id="answers"')]
        assert (
            claimed in part
            and "samples: " not in part
            and "examples" not in report.table(report.read([run])).splitlines()[0]
        )


def test_models_that_were_only_evaluated_are_compared_on_the_same_questions(tmp_path: Path) -> None:
    suite = {"main": (60, 1, "in"), "hard": (60, 1, "in")}
    for model, skill in (("weak", 0.2), ("strong", 0.9)):
        run = write_run(tmp_path, training=False, model=model)
        evaluation(run / "evaluation" / "base", model, skill, random.Random(3), suite=suite)
    table = report.table(report.read([tmp_path]))
    assert "model=strong" in table and "model=weak" in table and "base model" not in table
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    (strong, weak) = (next(s for s in shown(tmp_path) if m in s.label) for m in ("strong", "weak"))
    gaps = [change(weak.bases, strong.bases, name) for name in suite]
    part = page[page.index("One against the other") : page.index('id="answers"')]
    assert all(gap and f"{100 * abs(gap.value):.1f}" in part for gap in gaps) and "&lt; 0.001" in part


def test_runs_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    for seed, rate in enumerate(("1e-5", "2e-5", "0.00002", "1.0e-05")):
        write_run(tmp_path, seed=seed, **{"optimizer.lr": rate, "model": "lab"})
    groups = shown(tmp_path)
    assert [(a.label, [r.seed for r in a.runs]) for a in groups] == [
        ("lr=1e-05", [0, 3]),
        ("lr=2e-05", [1, 2]),
    ]
    write_run(tmp_path, "random", seed=1, **{"optimizer.lr": "2e-5", "model": "lab"})
    assert [a.label for a in shown(tmp_path)] == ["limo · lr=1e-05", "limo · lr=2e-05", "random · lr=2e-05"]


def tables(page: str) -> dict[str, list[list[str]]]:
    """Caption -> rows, the head first, of a page's tables."""
    found = {}
    for name, inside in re.findall(r'<div class="scroll"[^>]*aria-label="([^"]*)">(.*?)</table>', page, re.S):
        rows = re.findall(r"<tr.*?</tr>", inside, re.S)
        found[name] = [
            [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)] for row in rows
        ]
    return found


SAME = [
    ([("limo", 300, 0, rate) for rate in ("1e-5", "2e-5")], "limo, 300 examples, seed 0", "setting"),
    ([(s, 300, 1, "1e-5") for s in ("limo", "random", "longest")], "300 examples, seed 1", "setting"),
    ([("limo", size, seed, "1e-5") for size in (50, 200) for seed in (0, 1)], "limo, 2 seeds", "examples"),
    ([("limo", 50, 0, "1e-5"), ("random", 200, 0, "1e-5"), ("random", 200, 1, "1e-5")], "", "setting"),
]


@pytest.mark.parametrize(("runs", "same", "first"), SAME)
def test_what_all_settings_share_is_said_once_and_is_no_column(
    tmp_path: Path, runs: list[tuple[str, int, int, str]], same: str, first: str
) -> None:
    for strategy, size, seed, rate in runs:
        write_run(tmp_path, strategy, size, seed, **{"optimizer.lr": rate})
    place = report.write(report.read([tmp_path]), tmp_path)
    found = tables(place.read_text())
    for name in ("Accuracy per setting", "Gained by training", "Runs and their folders"):
        head, *rows = found[name]
        rows = [row for row in rows if row[0] != "base model"]
        for column in {"setting", "examples", "seeds", "seed"} & set(head):
            alike = len({row[head.index(column)] for row in rows}) == 1
            assert not alike or (name, column) == ("Runs and their folders", "setting"), (name, column)
        assert head[0] == first or name == "Runs and their folders"
    said = f"each setting: {same}"
    for text in (place.read_text(), place.with_name(report.NOTE).read_text(), report.table(report.read([tmp_path]))):
        assert (said in text) == bool(same), text[-400:]
    assert found["Accuracy per setting"][0][-5:] == ["ended", "learned", "main", "hard", "long"]


def many(root: Path) -> Path:
    """Seventeen settings; the first three share one training."""
    for number in range(17):
        run = write_run(root, size=300, **{"optimizer.lr": f"{number + 1}e-5"})
        if number < 3:
            place = run / "training" / "manifest.json"
            records.write_record(place, replace(records.read_record(place, records.Manifest), key="shared"))
    return root


def test_no_two_trainings_are_drawn_alike_and_each_is_drawn_once(tmp_path: Path) -> None:
    place = report.write(report.read([many(tmp_path)]), tmp_path)
    page = place.read_text()
    part = page[page.index('id="training"') : page.index('id="selection"')]
    looks = re.compile(r'<polyline [^>]*stroke="([^"]+)" stroke-width="1\.[23]"([^/]*)/>')
    for title in ("Training loss against", "Learning rate against", "Gradient norm against"):
        picture = re.search(rf'aria-label="{title}.*?</svg>', part, re.S)
        assert picture
        lines = [(colour, more.partition(' points="')[0]) for colour, more in looks.findall(picture[0])]
        assert len(lines) == len(set(lines)) == 15
    entries = re.findall(r'<li data-mark="([^"]+)" style="([^"]+)">([^<]*)</li>', part)
    assert len(entries) == len({entry[:2] for entry in entries}) == 15
    assert "lr=1e-05, lr=2e-05, lr=3e-05" in [label for *_, label in entries]
    alone = next((place.with_name("report_files") / "figures").glob("Training-loss-against-optimizer-steps.svg"))
    patterns = set(re.findall(r'stroke-dasharray="([^"]+)"', alone.read_text()))
    assert len(patterns) == 2
    curves = page[page.index('id="against-lr"') : page.index('id="answers"')]
    assert "opacity" not in re.sub(r"<polygon[^>]*>", "", part + curves), "lines stand out as their colours do"


def scored(questions: Mapping[str, Sequence[int]]) -> records.Results:
    one = benchmark({q: tuple(row) for q, row in questions.items()})
    return records.Results("m", {"b": one}, one.accuracy, one.interval)


def test_one_run_keeps_its_interval() -> None:
    draw = random.Random(5)
    one = scored({f"q{i}": [int(draw.random() < 0.4)] for i in range(80)})
    point = estimate([one], "b")
    assert point is not None
    assert (point.low, point.high) == pytest.approx((one.mean_interval.low, one.mean_interval.high))


def test_runs_that_never_fail_are_not_said_to_be_certain() -> None:
    always = [scored({f"q{i}": [1] for i in range(60)}) for _ in range(3)]
    point = estimate(always, "b")
    assert point is not None and (point.value, point.high) == (1.0, 1.0)
    assert point.low == pytest.approx(1 - 3 / 60, abs=1e-3)


def test_the_mean_over_benchmarks_stands_where_two_models_agree_on_every_question() -> None:
    same = scored({"q1": [0], "q2": [0], "q3": [1]})
    gap = change([same], [same], MEAN)
    assert gap is not None and gap.value == 0.0 and gap.p == 1.0
    assert gap.low < 0 < gap.high


@pytest.mark.parametrize("luck", [0.0, 1.0])
def test_intervals_over_questions_and_seeds_hold_the_truth_as_often_as_they_say(luck: float) -> None:
    draw = random.Random(11)
    tries, seeds, questions = 250, 3, 60
    hits = 0
    for _ in range(tries):
        # the truth: questions differ in difficulty, trainings differ in luck, both drawn anew each time
        easy = [draw.gauss(0, 1.2) for _ in range(questions)]
        found = []
        for shift in [draw.gauss(0, luck) for _ in range(seeds)]:
            chances = [1 / (1 + math.exp(-(e + shift))) for e in easy]
            found.append(scored({f"q{i}": [int(draw.random() < c)] for i, c in enumerate(chances)}))
        point = estimate(found, "b")
        assert point is not None
        hits += point.low <= 0.5 <= point.high
    # intervals that hold the truth in 95 of 100 cases hold it in fewer than 228 of 250 once in a thousand times
    assert hits >= 228


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    pages = [report.write(report.read([run]), tmp_path / name).read_text() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_validation_losses_are_drawn_where_there_are_some(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    lines = (run / "training/metrics.csv").read_text().splitlines()
    without = report.write(report.read([run]), tmp_path).read_text()
    (run / "training/metrics.csv").write_text("\n".join(f"{line}0.5" if line.endswith(",") else line for line in lines))
    with_ = report.write(report.read([run]), tmp_path).read_text()
    dashes = [page.count("stroke-dasharray") for page in (without, with_)]
    assert dashes[1] == dashes[0] + 2, "on either axis"


def test_a_loss_that_falls_far_has_a_logarithmic_axis_to_choose(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    page = report.write(report.read([run]), tmp_path).read_text()
    titles = re.findall(r'<figure><svg[^>]*aria-label="(Training loss[^"]*)"', page)
    assert titles == ["Training loss against optimizer steps", "Training loss against optimizer steps, logarithmic"]
    assert (
        page.count('type="radio" name="loss-axis"') == 2
        and page.count('name="loss-axis" id="loss-axis-0" checked') == 1
    )
    (run / "training/metrics.csv").write_text("step,loss\n1,0.5\n2,nan\n3,0.2\n4,0\n")
    assert 'type="radio"' not in report.write(report.read([run]), tmp_path).read_text()


def test_bounds_of_filters_stand_in_the_distributions_that_they_cut(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    place = run / "selection/summary.json"
    said = records.read_record(place, records.SelectionSummary)
    assert "bound of a filter" not in report.write(report.read([run]), tmp_path).read_text()
    limits = {"difficulty": records.Limits(0.0, 0.5), "quality": records.Limits(None, 99.0)}
    records.write_record(place, replace(said, limits=limits))
    page = report.write(report.read([run]), tmp_path).read_text()
    figures = re.findall(r'<svg[^>]*aria-label="(?:\w+ )?(\w+): distribution among(.*?)</svg>', page)
    told = {score: ("≤ 0.5" in inside, inside.count("stroke-dasharray")) for score, inside in figures}
    assert told == {"difficulty": (True, 1), "quality": (False, 0)} and "bound of a filter" in page


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        report.table(report.read([tmp_path / "nowhere"]))
    with pytest.raises(UserError, match=r"no run in it \(no run.json\)"):
        report.write(report.read([tmp_path]), tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json: no Asked of this version"):
        report.table(report.read([tmp_path]))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="choose another place with --out"):
        report.write(report.read([write_run(tmp_path / "runs")]), blocked / "page.html")


def test_the_command_writes_the_page_and_refuses_an_empty_folder(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    command = [sys.executable, "-m", "limo", "report"]
    done = subprocess.run([*command, str(run)], capture_output=True, text=True, check=True)
    assert (run / report.PAGE).is_file() and "report.html" in done.stdout and "main" in done.stdout
    (tmp_path / "empty").mkdir()
    refused = subprocess.run([*command, str(tmp_path / "empty")], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.startswith("limo: ") and "Traceback" not in refused.stderr


def test_a_stage_is_shown_as_it_says_it(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    stage(run / "attempts" / "lab", records.AttemptsSummary(200, 800, {"stop": 0.9, "length": 0.1}, 12345), 3.0)
    page = report.write(report.read([run]), tmp_path).read_text()
    assert "<dt>finish</dt><dd>stop 90.0 %, length 10.0 %</dd>" in page and "<dt>tokens</dt><dd>12,345</dd>" in page


def test_summaries_that_differ_between_runs_say_whose_they_are(tmp_path: Path) -> None:
    for seed in (0, 1):
        run = write_run(tmp_path, seed=seed)
        stage(run / "attempts" / "lab", records.AttemptsSummary(200, 800 + seed, {"stop": 1.0}, 12345), 3.0)
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    assert [f"<h3>Attempts: lab (limo, 300 examples, seed {seed})</h3>" in page for seed in (0, 1)] == [True, True]
    assert page.count("<h3>Problems</h3>") == 1


def test_accuracy_is_drawn_against_whatever_was_swept_as_numbers(tmp_path: Path) -> None:
    for strategy in ("random", "limo"):
        for rate in ("1e-5", "0.001", "0.1"):
            write_run(tmp_path, strategy, **{"optimizer.lr": rate, "optimizer": "muon" if rate == "0.1" else "lab"})
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    for name in ("main", "hard", "long", "mean"):
        assert f'aria-label="{name}: accuracy against lr"' in page
    assert "accuracy against optimizer" not in page and "accuracy against the number" not in page
    part = page[page.index('id="against-lr"') : page.index('id="answers"')]
    assert re.findall(r'<li data-mark="." style="[^"]*">([^<]*)</li>', part) == [
        f"{strategy} · optimizer={kind}" for strategy in ("limo", "random") for kind in ("lab", "muon")
    ]


def test_the_way_from_the_pool_to_the_candidates_is_shown_with_its_reasons(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    said = records.SieveSummary(900, 300, {"too easy": 600}, 40, 800, 0, 0, 900, None, 2)
    stage(run / "grades" / "fine", replace(said, problems=300, left=300, dropped={}, disputed=0), 1.0)
    stage(run / "grades" / "coarse", said, 1.0)
    told = report.table(report.read([run]))
    way = "3,000 read; data leaves 2,935 (61 duplicate, 4 benchmark question); coarse leaves 300 (600 too easy); "
    assert f"{way}640 candidates; 300 examples" in told
    assert "· attempts.coarse: many tries contradict 2 golds (disputed.jsonl); they may be wrong" in told
    page = report.write(report.read([run]), tmp_path).read_text()
    words = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("From candidates") :]).split())
    before = "rows 3,000 data duplicate −61 data benchmark question −4"
    assert f"{before} problems 900 attempts: coarse too easy −600 candidates" in words


def test_leaks_stand_beside_the_benchmark_questions_that_they_are(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    match = Match("main", "m7", "share", 0.42, "how many <b> apples", "Tom: how many <b> apples?")
    rows = [
        LeftOut("p0", "Something else?", "duplicate", of="p9", of_question="Something else?"),
        LeftOut("p1", "Ann: how many <b> apples?", "benchmark question", match=match),
        *(
            LeftOut(f"q{n}", f"{n}?", "benchmark question", match=replace(match, method="same", score=1.0))
            for n in range(40)
        ),
    ]
    records.write(run / "data" / "dropped.jsonl", rows)
    judged = replace(match, method="judged", score=0.3, text="", question="In other words?")
    (run / "paraphrases").mkdir()
    records.write(run / "paraphrases" / "matches.jsonl", [LeftOut("p2", "In these words?", "not judged", match=judged)])
    page = report.write(report.read([run]), tmp_path).read_text()
    words = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("Benchmark questions in the pool") :]).split())
    assert "main benchmark question share left out 1 0.42" in words and "same left out 40 1.00" in words
    assert "12 of 42 pairs side by side, the least alike first not judged, only reported: judged, 0.30" in words
    assert "pool: p2 In these words? main: m7 In other words?" in words
    both = "both have: how many &lt;b&gt; apples pool: p1 Ann: how many &lt;b&gt; apples? main: m7 Tom: how many &lt;b&gt; apples?"
    assert both in words and "Something else?" not in words


def test_choosing_stands_beside_training_with_its_cost(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    said = records.AttemptsSummary(200, 800, {"stop": 1.0}, 12345)
    stage(run / "attempts" / "lab", said, 30.0)
    born = records.read_record(run / "attempts" / "lab" / "manifest.json", records.Manifest)
    records.write_record(run / "attempts" / "lab" / "manifest.json", replace(born, gpus=12))
    found = report.read([run])
    made = {task: m.seconds for task, m in found[0].runs[0].manifests.items()}
    chosen = sum(seconds for task, seconds in made.items() if task in ("data", "attempts/lab", "selection"))
    page = report.write(found, tmp_path).read_text()
    words = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("What choosing cost") :]).split())
    assert "attempts/lab 12,345 30.0 s 0.10 selection — " in words
    assert f"choosing in all 12,345 {chosen:.1f} s 0.10 training {found[0].runs[0].training.tokens:,} " in words
    assert f"choosing: 12,345 tokens, {chosen:.1f} s, 0.10 GPU hours; training: " in report.table(found)
    write_run(tmp_path, strategy="random")
    both = report.write(report.read([tmp_path]), tmp_path).read_text()
    assert both.count('aria-label="What choosing cost') == 1 and "choice: GPU hours" in both


BESIDE = "+selection/step@selection.steps.more"
CHOOSE = {
    "random": ["selection=random"],
    "limo": ["selection=limo"],
    "first": ["selection=random", f"{BESIDE}=solve_rate", "selection.steps.more.sieve=coarse"],
    "seldom": ["selection=random", f"{BESIDE}=between", "selection.steps.more.of=right.coarse"],
    "ifd": ["selection=ifd"],
    "deita": ["selection=deita"],
}
TOKENS = {"attempts/coarse": 5000, "attempts/fine": 900, "scores/tfidf": 70, "scores/likelihood": 200}
NO = "—"
MEASURED = {"ifd": "200", "deita": "70"}
RATED = {"ifd": "200", "deita": "970", "limo": "900"}
RARE = {"first": "5,000", "seldom": "5,000"}


@pytest.fixture(scope="module")
def strategies() -> dict[str, Selection]:
    return {name: compose([*words, "attempts=limo"]).selection for name, words in CHOOSE.items()}


@pytest.mark.parametrize(
    ("which", "keep", "candidates", "choice"),
    [
        ({}, None, NO, RATED | RARE),
        ({}, "1..3 of 4", "5,000", RATED),
        ({"candidates": "both"}, None, "5,900", MEASURED),
        ({"candidates": "both", "teachers": ("fine",)}, None, "900", MEASURED | RARE),
    ],
)
def test_a_strategy_is_charged_with_the_attempts_and_scores_that_it_goes_by_and_no_others(
    tmp_path: Path,
    strategies: dict[str, Selection],
    which: dict[str, Any],
    keep: str | None,
    candidates: str,
    choice: dict[str, str],
) -> None:
    """Of two sieves the first has a rule or none, the second gives `solve_rate`."""
    for name, strategy in strategies.items():
        selection = replace(strategy, **which)
        run = write_run(tmp_path, name, error="it broke off in training")
        for task, tokens in TOKENS.items():
            attempts, scores = records.AttemptsSummary(9, 9, {}, tokens), records.ScoresSummary(9, tokens=tokens)
            stage(run / task, attempts if "attempts" in task else scores, 4.0)
        for sieve in ("coarse", "fine"):
            counts = records.SieveSummary(9, 9, {}, 1, 1, 1, 1, 9, None, 0)
            stage(run / "grades" / sieve, counts, 2.0, {"keep": keep if sieve == "coarse" else None})
        of = {"sieves": ["coarse", "fine"], "attempts": {"coarse": "", "fine": ""}}
        of |= {"which": selection.candidates, "teachers": dump(selection.teachers)}
        stage(run / "candidates", records.CandidatesSummary(9, 9), 1.0, of)
        chosen = {"selection": dump(selection), "scores": {"tfidf": "", "likelihood": ""}}
        stage(run / "selection", records.SelectionSummary(9, 9), 1.2, chosen)
    (table,) = spent(report.read([tmp_path]))
    head, *rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in str(table).split("<tr")[1:]]
    found = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert {name: row.get("candidates: tokens", NO) for name, row in found.items()} == dict.fromkeys(CHOOSE, candidates)
    assert {name: row["choice: tokens"] for name, row in found.items()} == dict.fromkeys(CHOOSE, NO) | choice


def two_models(folder: Path) -> None:
    """A weak and a strong model, tuned: 5 -> 60 % and 60 -> 80 % of the same 20 questions."""
    for model, before, after in (("small", 1, 12), ("large", 12, 16)):
        run = write_run(folder, model=model)
        for kind, right in (("base", before), ("tuned", after)):
            questions = {f"q{i}": (int(i < right),) for i in range(20)}
            name = model if kind == "base" else "model"
            results(run / "evaluation" / kind, name, {"math500": benchmark(questions)})


def test_every_number_belongs_to_a_setting_with_its_own_base(tmp_path: Path) -> None:
    two_models(tmp_path)
    table, page = report.table(report.read([tmp_path])), report.write(report.read([tmp_path]), tmp_path).read_text()
    head = page[: page.index("<main>")]
    assert (
        "model=large 80.0 %, from 60.0" in head
        and "model=small 60.0 %, from 5.0: +20.0 points" in head
        and "+75" not in page
    )
    assert "base model small" in table and "base model large" in table
    rows = re.findall(r"<tr>.*?</tr>", page[page.index("Gained by training") : page.index('id="answers"')])
    told = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert any("model=small" in row and "+55.0" in row for row in told)
    assert any("model=large" in row and "+20.0" in row for row in told)


def test_the_same_answers_differ_by_nothing_whatever_the_limit(tmp_path: Path) -> None:
    answers = {f"q{i}": (int(i % 3 == 0),) for i in range(500)}
    few = dict(list(answers.items())[:20])
    for limit, questions in (("20", few), ("500", answers)):
        run = write_run(tmp_path, training=False, limit=limit)
        results(run / "evaluation" / "base", "m", {"main": benchmark(questions)})
    few_, all_ = shown(tmp_path)
    gap = change(few_.bases, all_.bases, "main")
    assert gap is not None and (gap.value, gap.p, gap.questions) == (0.0, 1.0, {"main": 20})
    assert gap.low < 0 < gap.high
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    assert "+0.0" in page[page.index("One against the other") :]


def test_answers_that_could_not_be_graded_are_a_problem(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    path = run / "evaluation/tuned/results.json"
    found = records.read_results(path)
    main = replace(found.benchmarks["main"], verdicts={"correct": 9, "timeout": 2, "ungraded": 1})
    records.write_results(path, replace(found, benchmarks={**found.benchmarks, "main": main}))
    said = "main: answers were not graded and count as wrong (timeout 2, ungraded 1); see answers.jsonl"
    assert ("problem", said) in [note[:2] for note in notes(shown(run))]


def test_the_note_on_top_says_the_numbers_of_the_table(tmp_path: Path) -> None:
    for seed, cut in enumerate((0.21, 0.16, 0.11)):
        run = write_run(tmp_path, seed=seed)
        questions = {f"q{i}": (i % 2,) for i in range(40)}
        results(run / "evaluation" / "tuned", "model", {"main": benchmark(questions, cut=cut)})
    (said,) = [s for kind, s, _ in notes(shown(tmp_path)) if kind == "problem" and "cut" in s]
    assert "(main 16.0 %)" in said
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    part = page[page.index('id="answers"') : page.index('id="training"')]
    assert '<span class="alarm">16.0</span>' in part


def test_the_advice_fits_the_cause_of_a_cut_answer(tmp_path: Path) -> None:
    ended = {"at_limit": {"length": 1.0}, "by_context": {"context": 1.0}, "no_room": {"prompt_too_long": 1.0}}
    one = benchmark({"q": (1,)})
    found = records.Results("m", {k: replace(one, finish=v) for k, v in ended.items()}, 1.0, one.interval, 64)
    run = write_run(tmp_path)
    records.write_results(run / "evaluation" / "tuned" / records.RESULTS, found)
    said = [sentence for _, sentence, _ in notes(shown(tmp_path)) if sentence.startswith("tuned model")]
    assert "answers were cut at max_tokens (at_limit 100.0 %); raise max_tokens" in said[0]
    assert (
        "where the model's context of 64 tokens ends (by_context 100.0 %); take a model of a longer context" in said[1]
    )
    assert "no room for an answer in the model's context of 64 tokens (no_room 100.0 %)" in said[2]


def numbers(folders: Sequence[Path]) -> dict[str, tuple[object, ...]]:
    """All numbers of each setting, by its model: its accuracies, its base's, what it gained, against random."""
    found = settings_of(read.find(folders))
    told = {}
    for setting in found:
        key = next(o for o in setting.runs[0].overrides if o.startswith("model=")) + setting.strategy
        other = reference(setting, found)
        names = [*names_of([*setting.tuned, *setting.bases]), MEAN]
        told[key] = tuple(
            (
                setting.accuracy(n),
                setting.before(n),
                setting.gain(n),
                change(other.tuned, setting.tuned, n) if other else None,
            )
            for n in names
        )
    return told


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, two strategies, two seeds each."""
    folder = tmp_path_factory.mktemp("models")
    for strategy in ("random", "limo"):
        for model in ("small", "large"):
            for seed in (0, 1):
                write_run(folder, strategy, 50, seed, model=model)
    return folder


def test_permuting_adding_and_renaming_runs_changes_no_number_of_the_others(models: Path, tmp_path: Path) -> None:
    folders = sorted(f for f in models.iterdir() if f.is_dir())
    before = numbers(folders)
    assert len(before) == 4
    for order in (reversed(folders), random.Random(0).sample(folders, len(folders))):
        assert numbers(list(order)) == before
    other = write_run(tmp_path / "other", "longest", 50, 0, model="third")
    evaluation(other / "evaluation/base", "third", 0.7, random.Random(4), suite={"else": (30, 1, "in")})
    more = numbers([other, *folders])
    assert {key: more[key] for key in before} == before
    renamed = [shutil.copytree(folder, tmp_path / f"z{i}") for i, folder in enumerate(folders)]
    assert numbers(renamed) == before


def test_a_run_with_fewer_questions_changes_no_number_of_the_others(models: Path, tmp_path: Path) -> None:
    folders = [shutil.copytree(f, tmp_path / f.name) for f in sorted(models.iterdir()) if f.is_dir()]
    before = numbers(folders)
    fewer = next(f for f in folders if "limo" in f.name and "model=large" in f.name)
    path = fewer / "evaluation/tuned/results.json"
    found = records.read_results(path)
    main = found.benchmarks["main"]
    results(path.parent, found.model, {"main": benchmark(dict(list(main.answers.items())[:15]))})
    after = numbers(folders)
    assert {k for k in before if before[k] != after[k]} == {"model=largelimo"}


@pytest.mark.parametrize("text", ["", "{", '{"model": "m"}', "[]"])
def test_damaged_results_are_named(text: str, tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "evaluation/tuned/results.json").write_text(text)
    with pytest.raises(
        UserError, match=r"tuned/results\.json: no Results of this version \(.*; run the same command again"
    ):
        report.table(report.read([run]))


def test_the_terminals_table_is_as_wide_as_the_terminal_and_loses_intervals_before_values(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = report.read([sweep])
    found = {}
    for columns in (200, 90, 60, 34):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = report.table(settings).splitlines()
        end = next(i for i, line in enumerate(lines) if line[:2] in ("! ", "· ", "= "))
        found[columns] = "\n".join(lines[:end])
        assert max(map(len, lines[:end])) <= columns
    assert "[" in found[200] and "±" not in found[200]
    assert "±" in found[90] and "[" not in found[90]
    assert "±" not in found[60] + found[34]
    values = [re.findall(r"\d+\.\d", re.sub(r" (±\S+|\[.*?\])", "", text)) for text in found.values()]
    assert values[0] == values[1] == values[2] and sorted(values[3]) == sorted(values[0])
