"""What a study expects, and what the report makes of it."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from limo import records, report
from limo.records import Asked, Expectation
from limo.report.verdicts import Contrast, Verdict, verdicts
from limo.statistics import Difference
from tests.outputs import write_run

LIMO = Expectation(("selection=random", "selection=limo"), benchmark="main")


def study(
    root: Path,
    expect: Expectation,
    *,
    question: str | None = None,
    strategies: Sequence[str] = ("random", "limo"),
    **more: str,
) -> list[Path]:
    """Each strategy with three seeds; `limo` knows twice as much as the others."""
    folders = [write_run(root, s, 200, seed, **more) for s in strategies for seed in range(3)]
    for folder in folders:
        asked = records.read_record(folder / "run.json", Asked)
        records.write_record(folder / "run.json", replace(asked, question=question, expect={"choosing": expect}))
    return folders


def verdict(*folders: Path) -> Verdict:
    (found,) = verdicts(report.read(folders))
    return found


@pytest.mark.parametrize(
    ("expected", "state"),
    [
        (LIMO, "holds"),
        (replace(LIMO, gap=15), "holds"),
        (replace(LIMO, gap=80), "fails"),
        (replace(LIMO, order=("selection=limo", "selection=random")), "fails"),
        (replace(LIMO, order=("base", "selection=random", "selection=limo")), "holds"),
        (replace(LIMO, order=("base", "tuned"), benchmark="mean", gap=-5), "holds"),
        (replace(LIMO, order=("selection=random", "selection=longest")), "not measured"),
        (replace(LIMO, benchmark="aime24"), "not measured"),
    ],
)
def test_an_expectation_holds_fails_or_was_not_measured(tmp_path: Path, expected: Expectation, state: str) -> None:
    study(tmp_path, expected)
    assert verdict(tmp_path).state == state


def test_what_the_runs_cannot_show_is_undecided_and_says_what_they_could_have(tmp_path: Path) -> None:
    study(tmp_path, LIMO)
    found = verdict(tmp_path).contrasts[0].found
    near = replace(LIMO, gap=100 * found.value - 0.5)
    study(tmp_path / "near", near)
    undecided = verdict(tmp_path / "near")
    assert undecided.state == "undecided"
    assert (
        f"points expected below {100 * undecided.weakest.found.visible:.1f} points could be seen" in undecided.sentence
    )
    assert undecided.weakest.found.visible > (found.high - found.low) / 2


def test_arms_are_compared_only_where_all_else_is_equal(tmp_path: Path) -> None:
    for model in ("small", "large"):
        study(tmp_path / model, LIMO, model=model)
    found = verdict(tmp_path)
    assert sorted(contrast.rest for contrast in found.contrasts) == ["model=large", "model=small"]
    each = {verdict(tmp_path / model).contrasts[0].found.value for model in ("small", "large")}
    assert {contrast.found.value for contrast in found.contrasts} == each


def test_one_contrast_to_the_contrary_fails_all_and_one_unclear_leaves_all_undecided(tmp_path: Path) -> None:
    study(tmp_path / "good", LIMO, model="good")
    study(tmp_path / "bad", LIMO, model="bad")
    low, high = (tmp_path / "bad" / f"selection={s},selection.size=200,seed=0,model=bad" for s in ("random", "limo"))
    for seed in range(3):  # the better strategy's answers under the worse one's name, and the other way round
        pair = [Path(str(p).replace("seed=0", f"seed={seed}")) / "evaluation" / "tuned" for p in (low, high)]
        pair[0].rename(tmp_path / "aside")
        pair[1].rename(pair[0])
        (tmp_path / "aside").rename(pair[1])
    found = verdict(tmp_path)
    assert found.state == "fails" and found.weakest.rest == "model=bad"


def test_the_order_of_runs_and_unrelated_runs_change_nothing(tmp_path: Path) -> None:
    folders = study(tmp_path / "one", LIMO)
    write_run(tmp_path / "two", "longest", 200)
    assert verdict(*folders) == verdict(*reversed(folders)) == verdict(*folders, tmp_path / "two")


def test_page_note_and_terminal_answer_the_question(tmp_path: Path) -> None:
    study(tmp_path, LIMO, question="Does it matter how <few> are chosen?")
    settings = report.read([tmp_path])
    page = report.write(settings, tmp_path)
    shown, note = page.read_text(), page.with_name(report.NOTE).read_text()
    head = shown[: shown.index("<main>")]
    assert "Does it matter how &lt;few&gt; are chosen?" in head and "<strong>choosing holds</strong>" in head
    assert "limo above random by +" in head and "limo above random by +" in note and "**holds**" in note
    assert "choosing holds: selection=random &lt; selection=limo on main" in report.table(settings).replace("<", "&lt;")


@pytest.mark.parametrize("order", [(), ("tuned",), ("tuned", "tuned")])
def test_an_expectation_of_fewer_than_two_arms_is_refused(order: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two arms or more"):
        Expectation(order)


def test_the_league_against_random_has_the_best_first_and_p_for_so_many_settings(tmp_path: Path) -> None:
    for strategy in ("random", "limo", "longest", "shortest"):
        for seed in (0, 1, 2):
            write_run(tmp_path, strategy, 200, seed)
    page = report.write(report.read([tmp_path]), tmp_path).read_text()
    league = page[page.index('aria-label="Against random"') :]
    rows = re.findall(r"<tr><th scope=\"row\">(\w+)</th>(.*?)</tr>", league[: league.index("</table>")])
    assert rows[0][0] == "limo" and {name for name, _ in rows} == {"limo", "longest", "shortest"}
    chances = {name: float(re.findall(r'<td class="n">(.*?)</td>', cells)[1]) for name, cells in rows}
    assert chances.pop("limo") < 0.05 < min(chances.values())


def test_recipes_of_one_name_are_arms_of_their_own_and_no_seeds(tmp_path: Path) -> None:
    for arm in ("many", "many_once"):
        write_run(tmp_path, "all", 3000, 0, **{"+experiment": f"few_many/{arm}"})
    settings = report.read([tmp_path])
    assert [setting.label for setting in settings] == [
        "many",
        "many_once",
    ]
    assert [len(setting.runs) for setting in settings] == [1, 1]


def test_arms_that_never_met_are_not_taken_for_compared(tmp_path: Path) -> None:
    three = replace(LIMO, order=("selection=shortest", "selection=random", "selection=limo"))
    here = study(tmp_path / "here", three, model="here")
    found = verdict(*here, *study(tmp_path / "there", three, strategies=["shortest"], model="there"))
    assert found.state == "not measured" and len(found.contrasts) == 1
    assert "no measured runs of selection=shortest and selection=random share all else" in found.sentence


def test_a_study_of_which_a_part_is_missing_or_failed_does_not_hold_yet(tmp_path: Path) -> None:
    for model in ("small", "large"):
        study(tmp_path, LIMO, model=model)
    assert verdict(tmp_path).state == "holds"
    for folder in tmp_path.glob("selection=limo,*,model=large"):
        shutil.rmtree(folder / "evaluation" / "tuned")
    found = verdict(tmp_path)
    assert found.state == "not measured" and [one.rest for one in found.contrasts] == ["model=small"]
    assert "no measured runs of selection=random and selection=limo with model=large" in found.sentence


def headline(root: Path, against: str | None = None) -> str:
    page = report.write(report.read([root]), root, against=against).read_text()
    return html.unescape(re.findall(r"<h1>(.*?)</h1>", page)[0])


def test_the_page_begins_with_what_was_expected_else_with_the_reference_else_with_the_extremes(tmp_path: Path) -> None:
    study(tmp_path / "asked", LIMO, strategies=("random", "limo", "longest"))
    assert re.match(
        r"main: limo [\d.]+ %, random [\d.]+ %: \+.* points \[.*\], as expected\.", headline(tmp_path / "asked")
    )
    found = headline(tmp_path / "asked", "longest")
    assert re.match(
        r"main: limo [\d.]+ %, longest [\d.]+ %: .*, of 2 settings the furthest from longest; not dist", found
    )
    for strategy in ("limo", "longest", "shortest"):
        write_run(tmp_path / "free", strategy, 200)
    assert "the highest and the lowest of 3 settings" in headline(tmp_path / "free")
    write_run(tmp_path / "free", "random", 200)
    assert ", of 3 settings the furthest from random; not distinguishable from random: longest, shor" in headline(
        tmp_path / "free"
    )


def test_the_page_of_one_run_of_a_study_says_which_it_is_and_leaves_the_verdict_to_the_study(tmp_path: Path) -> None:
    for model in ("small", "large"):
        study(tmp_path, LIMO, model=model)
    report.write(report.read([tmp_path]), tmp_path)
    pages = [page.read_text() for page in (tmp_path / "report_files" / "runs").glob("*.html")]
    assert len(pages) == 12
    for page in pages:
        assert re.search(r"<h1>.* with (random|limo) · model=(small|large)", page)
        assert "not measured" not in page


def test_the_contrast_that_leaves_it_open_is_the_one_that_is_told() -> None:
    sure, unclear = (
        Difference(0.05, 0.04, 0.06, 0.001, 0.1, 0.15, {}, False),
        Difference(0.08, -0.03, 0.19, 0.15, 0.15, 0.23, {}, False),
    )
    three = replace(LIMO, order=("selection=a", "selection=b", "selection=c"))
    found = Verdict("choosing", three, (Contrast("a", "b", "", sure), Contrast("b", "c", "", unclear)))
    assert found.state == "undecided" and "c above b by +8.0 points [−3.0, +19.0] (the weakest of 2)" in found.sentence
