"""What was measured on a base, and plainly what it means: which limits have evidence, which have none."""

from __future__ import annotations

from collections.abc import Sequence

from limo.records import Context, Losses, ProbeSummary

ENOUGH, LITTLE = 0.51, 0.48
"""Share of the solutions' tokens that are the base's first choice, above which tuning worked and below which it did not:
the bases of an earlier lab, see "When is a base ready?" in experiments/LOG.md, as for GAP."""
GAP = 0.1
"""Nats by which a token of the solutions may be dearer than one of the base's own answers, where it reasons already."""
REASONS = 0.5
"""Solve rate, and length of its own answers as a share of the solutions', from which a base counts as reasoning already. Not validated."""
SOLVED = 0.8
"""Solve rate above which there is little to gain on such problems. Not validated."""
WORSE = 0.1
"""Nats a token by which the loss at the end of a context may exceed that without it, for the context to count as usable. Not validated."""
LAB = "(Evidence from the small bases of an earlier lab alone.)"
WIDTH = 52


def text(facts: ProbeSummary) -> str:
    """The measurements as a table, then a sentence on each."""
    lines = [f"· {sentence}" for sentence in meaning(facts)]
    return "\n".join([*_table(facts), "", "What it means", *lines])


def _table(facts: ProbeSummary) -> list[str]:
    solved, answers = facts.solved, facts.answers
    head = f"{facts.model} on {facts.probed} of {facts.selected} selected examples"
    if facts.overlong:
        head += f"; {facts.overlong} are longer than training.max_length"
    rows = [("a token of the selected solutions", *_cost(facts.solutions))]
    if facts.own:
        rows.append(("a token of its own answers to the same questions", *_cost(facts.own)))
    low, high = 100 * solved.interval.low, 100 * solved.interval.high
    once = f"solves at once ({solved.questions} questions, {solved.samples} answers each)"
    rows.append((once, f"{100 * solved.rate:.1f} %", f"[{low:.1f}, {high:.1f}]"))
    rows += [(f"solves in {k} tries (pass@{k})", f"{100 * v:.1f} %", "") for k, v in solved.pass_at.items() if k > 1]
    lengths = f"{facts.solutions.tokens:.0f}, {answers.tokens:.0f}"
    rows.append(("length of a solution, of its own answer (medians)", lengths, "tokens"))
    rows.append(("own answers cut, in circles", f"{100 * answers.cut:.0f} %, {100 * answers.circles:.0f} %", ""))
    for entry in facts.contexts:
        note = f"nats; {entry.alone:.2f} without the rest"
        rows.append((f"a token at the end of {entry.length:,} tokens", f"{entry.loss:.2f}", note))
    return [head, "", *(f"  {name:<{WIDTH}}{value:>12}  {note}".rstrip() for name, value, note in rows)]


def _cost(cost: Losses) -> tuple[str, str]:
    over = cost.first_interval
    bounds = f" [{100 * over.low:.1f}, {100 * over.high:.1f}]" if over else ""
    return f"{cost.loss:.2f}", f"nats; {100 * cost.first:.1f} %{bounds} are its first choice"


def meaning(facts: ProbeSummary) -> list[str]:
    """One sentence or two on each measurement, its evidence included."""
    return [_knowledge(facts), _distance(facts), _ability(facts), *_style(facts), *_length(facts)]


def _knowledge(facts: ProbeSummary) -> str:
    share = facts.solutions.first
    given = f"{100 * share:.0f} % of the solutions' tokens are what it would write next itself"
    if share >= ENOUGH:
        return (
            f"No objection on the side of knowledge: {given}. In an earlier lab all 17 bases above {100 * ENOUGH:.0f} % learnt to reason "
            "from a few hundred examples; but ordinary text is easier to guess: SmolLM2-135M, with 68 % of GSM8K's solutions, gained "
            "nothing from 64 of them."
        )
    if share < LITTLE:
        return (
            f"Probably not ready: {given}. In an earlier lab 17 of 19 bases below {100 * LITTLE:.0f} % stayed at chance: a few hundred "
            f"examples draw out what is there and do not teach it; take a stronger base. {LAB}"
        )
    return f"No call: {given}; in an earlier lab bases above {100 * ENOUGH:.0f} % learnt, most below {100 * LITTLE:.0f} % did not. {LAB}"


def _distance(facts: ProbeSummary) -> str:
    own = facts.own
    if not own:
        return "It gave no answer of its own to measure the solutions against."
    return (
        f"A token of the solutions costs it {facts.solutions.loss - own.loss:+.2f} nats against one of its own answers: so far "
        "training has to move it. In an earlier lab this said less than the first choices: bases of one loss ended at chance and at 90 %."
    )


def _ability(facts: ProbeSummary) -> str:
    solved = facts.solved
    k = solved.samples
    tries = f"{100 * solved.rate:.0f} % at once, {100 * solved.pass_at[k]:.0f} % in {k} tries"
    if solved.rate >= SOLVED:
        return f"It solves these problems already ({tries}): little to gain on such ones, choose harder ones (not validated)."
    if not solved.pass_at[k]:
        return f"It solved none of the problems in {k} tries each: nothing shows that they are within its reach (not validated)."
    return (
        f"It solves {tries}. What it finds in some tries training can make it find in one; "
        "where few answers are possible luck finds as many and this says nothing (not validated)."
    )


def _style(facts: ProbeSummary) -> list[str]:
    own, selected = facts.own, facts.solutions
    long = facts.answers.tokens >= REASONS * selected.tokens
    if not own or not long or facts.solved.rate < REASONS:
        return []
    gap = selected.loss - own.loss
    if gap <= GAP:
        return [f"It reasons already, and as the examples do: they will change little. {LAB}"]
    return [
        f"It reasons already, and the examples are dearer to it than its own answers by {gap:.2f} nats a token: they may well make "
        f"it worse. In an earlier lab two such bases fell from 99 to 44 and 39 %, and none where the difference was below {GAP}. {LAB}"
    ]


def _length(facts: ProbeSummary) -> list[str]:
    window, longest = facts.window, facts.solutions.longest
    found = []
    if window and longest > window:
        found.append(f"Its window of {window:,} tokens is shorter than the longest example ({longest:,}).")
    used = usable(facts.contexts)
    if used is not None:
        last = facts.contexts[-1].length
        reach = (
            f"up to {used:,} tokens, as far as was tried" if used == last else f"up to {used:,} tokens, not {last:,}"
        )
        enough = "" if used >= longest else f"; the longest example has {longest:,}"
        found.append(f"It can use contexts {reach}{enough} (limit not validated).")
    if facts.answers.cut > 0:
        found.append(
            f"{100 * facts.answers.cut:.0f} % of its own answers did not end within the limit: its solve rate is a lower bound."
        )
    return found


def usable(contexts: Sequence[Context]) -> int | None:
    """The longest tried context, in tokens, at whose end the loss is not WORSE; 0 where there is none, None without any tried."""
    fine = [entry.length for entry in contexts if entry.loss <= entry.alone + WORSE]
    return max(fine, default=0) if contexts else None
