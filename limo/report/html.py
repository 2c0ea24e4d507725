"""The few pieces of HTML that the page is made of; everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

VOID = {"meta", "link", "br", "col", "input"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def el(tag: str, *children: str | None, **attributes: str | int | None) -> Html:
    """An element. `class_` and `for_` lose their underscore, other underscores become hyphens; None leaves an
    attribute out.
    """
    named = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items() if v is not None}
    opening = "".join(f' {k}="{escape(str(v))}"' for k, v in named.items())
    inner = join(children)
    return Html(f"<{tag}{opening}>" if tag in VOID else f"<{tag}{opening}>{inner}</{tag}>")


def join(children: Iterable[str | None], between: str = "") -> Html:
    return Html(between.join(c if isinstance(c, Html) else escape(c) for c in children if c is not None))


def document(title: str, policy: str, head: Iterable[Html], body: Html) -> str:
    """A whole page; `policy`: what it may load and run, `head`: its styles and scripts."""
    top = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        *head,
    )
    return f"<!doctype html>\n{el('html', top, body, lang='en')}\n"


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    words: int = 1,
    note: str | None = None,
    last: bool = False,
    left: Collection[int] = (),
) -> Html:
    """A table that scrolls sideways on a narrow screen. The first cell of a row names it; the first `words` columns are text.

    `last` sets the last row apart, as a total.
    """
    classes = [None if i < words or i in left else "n" for i in range(len(head))]
    top = el("thead", el("tr", *(el("th", h, scope="col", class_=c) for h, c in zip(head, classes, strict=True))))
    body = list(rows)
    totals = [(row, "total" if last and row is body[-1] else None) for row in body]
    lines = [
        el(
            "tr",
            el("th", row[0], scope="row"),
            *(el("td", cell, class_=c) for cell, c in zip(row[1:], classes[1:], strict=True)),
            class_=total,
        )
        for row, total in totals
    ]
    title = el("div", caption, el("span", note, class_="note") if note else None)
    whole = el("table", el("caption", title), top, el("tbody", *lines))
    return el("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def facts(pairs: Iterable[tuple[str, str | None]]) -> Html:
    """Names and values, one pair a line."""
    return el("dl", *(part for k, v in pairs if v not in (None, "") for part in (el("dt", k), el("dd", v))))
