"""The report in a browser: Chromium, on a screen and on a phone, in light and dark and on paper, judged by axe."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import itertools
import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limo import records, report
from limo.records import ANSWERS, RESULTS, read_results
from limo.report.replies import flips
from tests.outputs import SUITE, answered, evaluation, write_run
from tests.real.conftest import lacking

pytestmark = pytest.mark.real
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EVIL = "</script><script>document.title='hurt'</script><img src=x onerror=\"document.title='hurt'\"><b>bold</b>"
MODES = [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")]
JUDGED = [(1280, "light"), (400, "dark")]
"""Each width and each scheme once: axe takes seconds."""
AXE = {"resultTypes": ["violations"], "preload": False}
"""It would fetch the style sheet, which the page forbids."""
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed: pip install 'limo[browser]'")
    found = next((place for name in BROWSERS if (place := shutil.which(name))), None)
    if not found:
        lacking("no Chromium on this machine: make chromium, or apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page and watches it: what it says in the console, what it asks for, what breaks in it."""
    contexts: list[Any] = []

    def go(address: str, width: int = 1280, scheme: str = "light", **more: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more))
        page = contexts[-1].new_page()
        page.wrong = []
        page.asked = []
        page.on("console", lambda said: page.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("dialog", lambda dialog: page.wrong.append(dialog.message))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies, two sizes; one run failed, and in another an answer is hostile."""
    root = tmp_path_factory.mktemp("outputs") / "sweep"
    for strategy, size in itertools.product(("limo", "random"), (50, 200)):
        failed = (strategy, size) == ("random", 200)
        run = write_run(root, strategy, size, error=f"no room {EVIL}" if failed else None)
        for side in () if failed else ("base", "tuned"):
            answered(run / "evaluation" / side)
    hostile = chosen(root) / "evaluation/tuned/main" / ANSWERS
    rows = list(records.stream(hostile, records.Answer))
    rows[0] = dataclasses.replace(rows[0], question=EVIL, response=f"{EVIL}\nso {'9' * 400}", answer=EVIL, rule=EVIL)
    records.write(hostile, rows)
    report.write(report.read([root]), root)
    return root


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Nine settings of one strategy, size and seed, on six benchmarks; the address of their page."""
    root = tmp_path_factory.mktemp("outputs") / "wide"
    suite = {**SUITE, **dict.fromkeys(("lab_easy", "lab_long", "lab_surface"), (50, 1, "in"))}
    for kind, share in itertools.product(("shuffle", "delete", "digits"), ("0.0", "0.2", "1.0")):
        run = write_run(root, "quality", **{"transform@selection.damage": f"damage-{kind}", "damage.share": share})
        for side in ("base", "tuned"):
            skill = 0.98 * (1 - float(share)) if side == "tuned" else 0.03
            evaluation(run / "evaluation" / side, "m", skill, random.Random(len(kind)), suite=suite)
            answered(run / "evaluation" / side)
    return report.write(report.read([root]), root).as_uri()


def chosen(sweep: Path) -> Path:
    return next(sweep.glob("selection=limo,selection.size=200,seed=0"))


def places(sweep: Path) -> dict[str, Path]:
    """One page of each kind."""
    (run,) = sweep.glob("report_files/runs/*limo*200-seed-0.html")
    (answers,) = sweep.glob("report_files/answers/*limo*200-seed-0/main.html")
    two = sweep / "report_files" / "answers" / "compare.html"
    return {"sweep": sweep / report.PAGE, "run": run, "answers": answers, "two": two}


@pytest.mark.parametrize("kind", ["sweep", "run", "answers", "two"])
def test_every_kind_of_page_is_clean_on_screen_and_phone_in_light_and_dark(
    sweep: Path, opened: Open, kind: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    place = places(sweep)[kind].as_uri()
    for width, scheme in MODES:
        page = opened(place, width, scheme)
        for details in page.locator("main details").all()[:4]:
            details.evaluate("element => { element.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
        if (width, scheme) in JUDGED:
            found = Axe().run(page, options=AXE).response["violations"]
            assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
        assert page.wrong == [] and all(url.startswith("file:") for url in page.asked)
        assert page.title() != "hurt"


def test_on_paper_nothing_is_cut_and_what_was_folded_is_there(sweep: Path, opened: Open) -> None:
    for kind, place in places(sweep).items():
        page = opened(place.as_uri(), 750)
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth <= 750"), kind
        wider = "[...document.querySelectorAll('.scroll, pre')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.evaluate(wider) == 0, kind
        if kind in ("sweep", "run"):
            folded = page.locator("details").first
            assert folded.get_attribute("open") is None
            assert folded.evaluate("e => e.querySelector(':scope > :not(summary)').getBoundingClientRect().height") > 9


BROKEN = """() => [...document.querySelectorAll('th, td')].flatMap(cell => {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  for (let text; text = walk.nextNode();)
    for (const word of text.data.matchAll(/[+−<]?\\d[\\d.,]*|[a-z_]+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) found.push(word[0]);
    }
  return cell.querySelector('code') ? [] : found;
})"""
"""Numbers and words of tables that stand on more than one line, but those of folders and keys."""


def test_on_paper_no_number_and_no_word_of_a_table_is_broken(sweep: Path, wide: str, opened: Open) -> None:
    for place in (wide, places(sweep)["sweep"].as_uri(), places(sweep)["run"].as_uri()):
        page = opened(place, 680)
        page.emulate_media(media="print")
        assert page.locator("main table").count() > 5
        assert page.evaluate(BROKEN) == []
        assert page.evaluate("document.documentElement.scrollWidth <= 680")


SEEN = """table => [...table.querySelectorAll('tbody tr')].map(row => {
  const from = row.querySelector('th').getBoundingClientRect().right;
  return [...row.querySelectorAll('td:has(.iv)')].some(cell => {
    const box = cell.getBoundingClientRect();
    return box.left >= from - 1 && box.right <= innerWidth;
  });
})"""
"""Of each row, whether one of its accuracies is seen whole beside its heading."""


def test_each_row_of_a_result_table_shows_an_accuracy_on_a_phone(sweep: Path, wide: str, opened: Open) -> None:
    for place in (wide, places(sweep)["sweep"].as_uri(), places(sweep)["run"].as_uri()):
        for table in opened(place, 400).locator("section:has(#accuracy) table:has(.iv)").all():
            if table.is_visible():
                seen = table.evaluate(SEEN)
                assert seen and all(seen), table.locator("caption").inner_text()
    head = opened(wide).locator("[aria-label='Accuracy per setting'] thead th")
    ends = {one.inner_text(): one.evaluate("e => e.getBoundingClientRect().right") for one in head.all()}
    assert max(ends[name] for name in ("mean", "ended", "learned")) <= 1280


def test_the_page_is_whole_without_scripts(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["sweep"].as_uri(), java_script_enabled=False)
    assert page.locator("main section").count() >= 6 and page.locator("svg[role=img]").count() > 3
    assert len(page.asked) == 1
    answers = opened(places(sweep)["answers"].as_uri(), java_script_enabled=False)
    assert "needs scripts" in answers.locator("noscript").inner_text()


def test_the_axis_of_the_loss_is_chosen_by_keyboard_and_without_scripts(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["run"].as_uri(), java_script_enabled=False)
    linear, log = (page.get_by_role("radio", name=name) for name in ("linear", "logarithmic"))
    figures = page.locator(".choice figure")
    assert linear.is_checked() and [figure.is_visible() for figure in figures.all()] == [True, False]
    linear.focus()
    page.keyboard.press("ArrowRight")
    assert log.is_checked() and [figure.is_visible() for figure in figures.all()] == [False, True]


def test_a_difference_between_settings_opens_the_answers_of_both_runs(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["sweep"].as_uri())
    link = page.locator('[aria-label="Against random"] a').first
    gained, lost = map(int, re.findall(r"\d+", link.inner_text()))
    link.click()
    page.locator("#answers summary").first.wait_for()
    assert shown(page) == gained + lost == page.locator("#answers .tag", has_text=re.compile("gained|lost")).count()
    assert page.locator("#answers .tag", has_text="gained").count() == gained
    page.locator("#answers summary").first.click()
    sides = page.locator("#answers h2").all_inner_texts()
    assert [side.partition(",")[0] for side in sides] == ["limo", "random"]
    page.locator("[value=other]").focus()
    page.keyboard.press("Space")
    told(page, "random")
    page.get_by_label("Benchmark").select_option("hard")
    page.wait_for_url("**benchmark=hard**")
    page.locator("#answers summary").first.wait_for()
    page.get_by_role("link", name="the report").click()
    assert page.url.endswith("report.html") and page.wrong == []


def told(page: Any, pattern: str) -> None:
    """Waits until the list says this; a script that is handed to the page to wait there is refused by its policy."""
    page.locator("#told", has_text=re.compile(pattern)).wait_for()


def shown(page: Any) -> int:
    """How many answers the list says that it has."""
    return int(re.match(r"[\d,]+", page.locator("#told").inner_text())[0].replace(",", ""))


def test_filters_show_the_answers_that_the_report_counts(sweep: Path, opened: Open) -> None:
    run = chosen(sweep)
    base, tuned = (read_results(run / "evaluation" / side / RESULTS).benchmarks["main"] for side in ("base", "tuned"))
    place = places(sweep)["answers"].as_uri()
    whole = opened(place)
    assert shown(whole) == len(tuned.answers) and whole.locator("#answers li").count() == 100
    whole.locator("#more").click()
    assert whole.locator("#answers li").count() == len(tuned.answers)
    wrong, base_wrong = (sum(not right for row in of.answers.values() for right in row) for of in (tuned, base))
    gained, lost = flips(base, tuned)
    counts = {"wrong": wrong, "base,wrong": base_wrong, "changed": gained + lost, "changed,wrong": lost}
    for address, count in counts.items():
        whole.evaluate("address => { location.hash = address }", address)
        told(whole, rf"^{count} of")
        assert (whole.locator("summary .tag", has_text="gained").count() == gained) == (address == "changed")


def test_a_link_of_the_report_opens_the_answers_it_speaks_of(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["sweep"].as_uri())
    page.get_by_role("link", name=re.compile("limo")).filter(visible=True).first.focus()
    page.locator('a[href$="limo-selection.size-200-seed-0/main.html#changed"]').click()
    page.wait_for_url("**/main.html#changed")
    page.locator("summary .tag").first.wait_for()
    gained, lost = (page.locator("summary .tag", has_text=word).count() for word in ("gained", "lost"))
    page.get_by_role("link", name="the page of this run").click()
    assert page.get_by_role("link", name=f"gained {gained}, lost {lost}").count() >= 1
    page.get_by_role("link", name="All runs").click()
    assert page.url.endswith("report.html") and page.wrong == []


def test_the_list_is_used_by_keyboard_alone_and_goes_back(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["answers"].as_uri())
    every = shown(page)
    page.locator("[value=wrong]").focus()
    page.keyboard.press("Space")
    told(page, rf"^(?!{every} )\d")
    assert page.url.endswith("#wrong") and 0 < shown(page) < every
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    answer = page.locator("#answers li").first.locator("pre").first
    answer.wait_for(state="visible")
    assert "tuned model's answer" in (answer.get_attribute("aria-label") or "")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "PRE", "a long answer scrolls by keyboard"
    page.go_back()
    told(page, rf"^{every} of")
    page.locator("[type=search]").fill("main-117")
    assert shown(page) == 1


def test_a_hostile_answer_is_text_and_the_policy_would_stop_it_if_it_were_not(sweep: Path, opened: Open) -> None:
    page = opened(places(sweep)["answers"].as_uri())
    page.locator("[type=search]").fill("<img src=x")
    page.locator("#answers summary").first.click()
    page.locator("#answers pre").first.wait_for(state="visible")
    text = page.locator("#answers li").first.inner_text()
    assert text.count(EVIL) >= 4 and page.title() != "hurt" and page.wrong == []
    page.evaluate("html => { document.querySelector('main').innerHTML = html }", EVIL.replace("src=x", "src=data:x"))
    while not any("Content Security Policy" in said for said in page.wrong):
        page.wait_for_event("console")
    assert page.title() != "hurt"


def test_it_works_the_same_from_a_server(sweep: Path, opened: Open) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(sweep))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}/"
        page = opened(there + places(sweep)["answers"].relative_to(sweep).as_posix() + "#wrong")
        assert shown(page) > 0 and all(url.startswith(there) for url in page.asked)
        assert [said for said in page.wrong if "favicon" not in said] == []
        server.shutdown()
