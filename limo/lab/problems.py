"""Problems of the lab: a chain of steps modulo 37 hidden among other definitions, and solutions of five levels of quality."""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Surface = Literal["A", "B"]
"""How a question is written: A `b=a+4;a=3;b?`, B `b is a plus 4. a is 3. What is b?`."""
Part = Literal["train", "dev", "test"]
"""Which problems may be used for what: pools and pre-training, tuning of settings, results."""

LETTERS = "abcdefghijklmnop"
MODULUS = 37
"""A prime: every step is a bijection, so answers are uniform and a guess is right in 1 of 37, 2.7 %."""
CONSTANTS = {"+": range(1, 10), "-": range(1, 10), "*": (3, 7, 9)}
WORDS = {"+": " plus ", "-": " minus ", "*": " times "}
LEVELS = (1, 2, 3, 4, 5)
WAIT = "Wait:"
"""What stands before a step that mends the one before it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`name = source operator constant` modulo 37, or `name = constant` where source is None."""

    name: str
    source: str | None
    operator: str
    constant: int

    def write(self, surface: Surface = "A") -> str:
        """The definition as text, without the separator that follows it."""
        right = self.source or ""
        if self.source is None:
            right += str(self.constant)
        elif surface == "A":
            right += f"{self.operator}{self.constant}"
        else:
            right += f"{WORDS[self.operator]}{self.constant}"
        return f"{self.name}={right}" if surface == "A" else f"{self.name} is {right}"

    def value(self, source: int) -> int:
        """The value of the name, given the value of its source."""
        return compute(source, self.operator, self.constant)


@dataclass(frozen=True, slots=True)
class Chain:
    """Definitions in the order in which they are shown, and the names from the leaf (a constant) to the one asked for."""

    definitions: tuple[Definition, ...]
    path: tuple[str, ...]

    @property
    def steps(self) -> int:
        return len(self.path) - 1

    @property
    def by_name(self) -> dict[str, Definition]:
        return {d.name: d for d in self.definitions}

    def values(self) -> dict[str, int]:
        """The value of every name, distractors included."""
        found: dict[str, int] = {}
        while len(found) < len(self.definitions):
            for d in self.definitions:
                if d.source is None or d.source in found:
                    found[d.name] = d.constant if d.source is None else d.value(found[d.source])
        return found

    def context(self, surface: Surface) -> str:
        """All definitions as text, each with its separator."""
        end = ";" if surface == "A" else ". "
        return "".join(d.write(surface) + end for d in self.definitions)

    def question(self, surface: Surface) -> str:
        """The problem as a user asks it."""
        last = self.path[-1]
        return self.context(surface) + (f"{last}?" if surface == "A" else f"What is {last}?")

    @property
    def answer(self) -> str:
        return str(self.values()[self.path[-1]])

    @property
    def part(self) -> Part:
        """To which part a problem belongs, by a hash that ignores order and surface: parts are disjoint by construction."""
        key = ";".join(sorted(d.write() for d in self.definitions)) + f";{self.path[-1]}?"
        return ("dev", "test", "train", "train")[min(zlib.crc32(key.encode()) % 16, 3)]  # type: ignore[return-value]


def compute(value: int, operator: str, constant: int) -> int:
    """One step modulo 37."""
    made = value + constant if operator == "+" else value - constant if operator == "-" else value * constant
    return made % MODULUS


def draw_chain(
    rng: random.Random, steps: int, distractors: tuple[int, int] = (1, 3), part: Part | None = None
) -> Chain:
    """A random chain of that many steps with some definitions that lead nowhere, shuffled; of one part if that is given."""
    while True:
        names = rng.sample(LETTERS, len(LETTERS))
        path = names[: steps + 1]
        spare = min(rng.randint(*distractors), len(names) - len(path))
        made = [Definition(path[0], None, "", rng.randrange(MODULUS))]
        made += [_step(rng, name, source) for source, name in itertools.pairwise(path)]
        for name in names[len(path) : len(path) + spare]:
            if rng.random() < 0.3:
                made.append(Definition(name, None, "", rng.randrange(MODULUS)))
            else:
                made.append(_step(rng, name, rng.choice(made).name))
        rng.shuffle(made)
        chain = Chain(tuple(made), tuple(path))
        if part is None or chain.part == part:
            return chain


def _step(rng: random.Random, name: str, source: str) -> Definition:
    operator = rng.choice("+-*")
    return Definition(name, source, operator, rng.choice(CONSTANTS[operator]))


def plan(chain: Chain) -> list[str]:
    """What stands before what, from the name asked for back to the leaf: `n<k;`, `p<n;`."""
    return [f"{source}<{name};" for source, name in reversed(list(itertools.pairwise(chain.path)))]


def work(chain: Chain, slips: float = 0.0, rng: random.Random | None = None) -> list[str]:
    """The steps from the leaf to the answer, each written out after the line of the plan that it follows: `l=3;`, `l<m=3*3=9;`

    The name before `<` is at hand from the step before, so what comes next is found by its name in the plan, however long it is.
    `slips` is the share of steps that first come out wrong and are mended: `l<m=3*3=8;`, `Wait:l<m=3*3=9;`.
    """
    values, by_name = chain.values(), chain.by_name
    lines = [f"{chain.path[0]}={values[chain.path[0]]};"]
    for source, name in itertools.pairwise(chain.path):
        d = by_name[name]
        step = f"{source}<{name}={values[source]}{d.operator}{d.constant}="
        if rng is not None and rng.random() < slips:
            lines += [f"{step}{(values[name] + rng.randrange(1, MODULUS)) % MODULUS};", f"{WAIT}{step}{values[name]};"]
        else:
            lines.append(f"{step}{values[name]};")
    return lines


def solve(chain: Chain, level: int, rng: random.Random, slips: float = 0.0) -> str:
    """A solution of one level of quality, from 5 (best) to 1; of levels 4 and 5 a share of the steps slips and is mended.

    5: plan, every step, a check. 4: without the check. 3: plan, but in half of the solutions one step is left out.
    2: no plan, most steps left out and the rest out of order. 1: a bare answer, or every step with wrong arithmetic and a wrong answer.
    """
    steps, box = work(chain, slips if level >= 4 else 0.0, rng), f"\\boxed{{{chain.answer}}}"
    if level == 5:
        return "".join(plan(chain) + steps) + f"Check:{steps[-1].removeprefix(WAIT)}ok " + box
    if level == 4:
        return "".join(plan(chain) + steps) + box
    if level == 3:
        if chain.steps > 1 and rng.random() < 0.5:
            del steps[rng.randrange(1, chain.steps)]
        return "".join(plan(chain) + steps) + box
    if level == 2:
        kept = [s for s in steps if rng.random() >= 0.6]
        rng.shuffle(kept)
        return "".join(kept) + box
    if level == 1:
        return box if rng.random() < 0.5 else _wrong(chain, rng)
    raise ValueError(f"level {level} is none of {LEVELS}")


TEACHERS = ("own", "terse", "foreign")
"""Who solved a problem: in the notation of pre-training, without a plan, or in one that pre-training never showed."""


def translate(chain: Chain, teacher: str) -> str:
    """A right solution as another teacher writes it: `terse` the steps alone, `foreign` each as `9 from 3*3 is m.`"""
    steps = [step.rpartition("<")[2] for step in work(chain)]
    if teacher == "foreign":
        steps = [f"{value} from {made or 'here'} is {name}." for name, made, value in map(_parts, steps)]
    return "".join(steps) + f"\\boxed{{{chain.answer}}}"


def _parts(step: str) -> tuple[str, str, str]:
    """`m=3*3=9;` as name, how it was made, and value; of `l=3;` the middle is empty."""
    name, _, rest = step[:-1].partition("=")
    made, _, value = rest.rpartition("=")
    return name, made, value


def vary(rng: random.Random, chain: Chain) -> Chain:
    """The same problem with one more definition that leads nowhere, at the end: a near-duplicate, of the same part."""
    while True:
        name = rng.choice([n for n in LETTERS if n not in chain.by_name])
        more = Chain((*chain.definitions, _step(rng, name, rng.choice(chain.definitions).name)), chain.path)
        if more.part == chain.part:
            return more


def _wrong(chain: Chain, rng: random.Random) -> str:
    """Every step with wrong arithmetic, ending in a wrong answer."""
    by_name = chain.by_name
    value = by_name[chain.path[0]].constant
    lines = [f"{chain.path[0]}={value};"]
    for source, name in itertools.pairwise(chain.path):
        d = by_name[name]
        wrong = (d.value(value) + rng.randrange(1, MODULUS)) % MODULUS
        lines.append(f"{source}<{name}={value}{d.operator}{d.constant}={wrong};")
        value = wrong
    if str(value) == chain.answer:
        value = (value + rng.randrange(1, MODULUS)) % MODULUS
        lines[-1] = f"{lines[-1].rpartition('=')[0]}={value};"
    return "".join(lines) + f"\\boxed{{{value}}}"


def pick(rng: random.Random, weights: Sequence[float]) -> int:
    """An index drawn by weight."""
    return rng.choices(range(len(weights)), weights)[0]
