"""Answers that grow, loop, hide or run code, given to the grader: each gets a verdict, none is believed, nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.faults.case import Case, Fault
from benchmarks.faults.ends import LostError, last, no_traceback

PWNED = "PWNED"
"""Name of the file that hostile input tries to make."""
MOST = 2048
"""MiB that a process may have had resident."""
GOLD = "5"
RUN_CODE = f"__import__('os').system('touch {PWNED}')"

BOMBS: dict[str, list[str]] = {
    "that grow": [
        *("9^{9^{9^{9}}}", "9**9**9**9", "(10^8)!", "(((10!)!)!)", "2^{2^{2^{2^{2^{2}}}}}", "10^{10^{10}}"),
        *(r"\binom{10^9}{5 \cdot 10^8}", r"\prod_{n=1}^{10^{12}} n", r"\sum_{n=1}^{10^{15}} \frac{1}{n}", "1e999999999"),
        *("9" * 100_000, "1" + "0" * 1_000_000, r"\sqrt[10^{9}]{10^{10^{9}}}", "0.1^{-10^{10}}"),
    ],
    "that nest": [
        *("(" * 50_000 + "7" + ")" * 50_000, "{" * 50_000, r"\frac{1}{" * 5_000 + "7" + "}" * 5_000, "[" * 10_000 + "7"),
        *(r"\sqrt{" * 20_000 + "7" + "}" * 20_000, "-" * 50_000 + "7", "7" + "!" * 20_000, "x^" * 20_000 + "x"),
        *(r"\left" * 20_000, "|" * 20_001 + "7", "7" + "%" * 20_000, r"\boxed{" * 5_000 + "7"),
    ],
    "that loop": [
        *("1+" * 100_000 + "1", "a" * 1_000_000, " " * 1_000_000 + "8", r"\text{" + "aaaa " * 50_000 + "}", "," * 50_000),
        *("1,2," * 20_000 + "3", "(x+1)" * 2_000, "x+y=" * 5_000 + "z", "(a+b+c+d+e+f)^{500}", "1" + ",000" * 30_000),
        *("$" * 50_000, r"\quad" * 20_000, "\\" * 50_000, ", ".join(str(n) for n in range(900, 0, -1))),
    ],
    "that run code": [
        *(RUN_CODE, f"eval(\"{RUN_CODE}\")", f"exec('{RUN_CODE}')", f"open('{PWNED}', 'w')", f"lambda: {RUN_CODE}"),
        *(f"\\input|\"touch {PWNED}\"", f"\\write18{{touch {PWNED}}}", f"$(touch {PWNED})", f"`touch {PWNED}`", "{{7*7}}"),
        *("().__class__.__bases__[0].__subclasses__()", "S('7').__class__", "${jndi:ldap://x/a}", "%n%n%n%s%s"),
    ],
    "that hide": [
        *("\u202e7", "7\u200b1", "\ud83d", "\x00", "\ufffe", "\u0661\u0667", "７１", "7\u0338", "\x1b[2J8", "nan", "inf", "-0x7f"),
        *("<script>alert(7)</script>", "=7+1", "7\r\n8", "]]>"),
    ],
}  # fmt: skip


def faults() -> list[Fault]:
    return [
        Fault(
            "hostile answers",
            f"{len(rows)} answers {kind}",
            _graded(rows),
            short=kind in ("that grow", "that run code"),
        )
        for kind, rows in BOMBS.items()
    ]


def _graded(bombs: list[str]) -> Callable[[Case], str]:
    def graded(case: Case) -> str:
        rows = [{"gold": GOLD, "response": f"\\boxed{{{bomb}}}"} for bomb in bombs]
        rows += [{"gold": GOLD, "response": bomb} for bomb in bombs]
        (case.folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        done = case.run(words=("grade", "cases.jsonl", "--out", "graded.jsonl", "--jobs", "2"))
        harmless(case, done.peak)
        no_traceback(done)
        if done.code:
            raise LostError(f"exit code {done.code}: {last(done.text)}")
        verdicts = [json.loads(line)["verdict"] for line in (case.folder / "graded.jsonl").open(encoding="utf-8")]
        believed = [row["response"][:40] for row, verdict in zip(rows, verdicts, strict=True) if verdict == "correct"]
        if believed:
            raise LostError(f"graded correct: {', '.join(believed)}")
        return f"{len(rows)} verdicts, {done.peak} MiB"

    return graded


def harmless(case: Case, peak: int) -> None:
    """Raise LostError where hostile input made its file or took the machine's memory."""
    if any(case.folder.rglob(PWNED)):
        raise LostError("it ran a program")
    if peak > MOST:
        raise LostError(f"it took {peak} MiB")
