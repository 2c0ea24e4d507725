"""Recipes from a stranger: what they name runs no program, writes nowhere else, gives no secret away and takes no machine down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults.case import Case, Fault
from benchmarks.faults.ends import Done, LostError, last, no_traceback, refused
from benchmarks.faults.texts import PWNED, harmless

SHELL = f"[sh, -c, 'touch {PWNED}']"
START = f"_target_: limo.process.start, command: {SHELL}"
SECRET = "hunter2-of-the-environment"
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@dataclass(frozen=True)
class Recipe:
    """A hostile recipe, which must be refused whether it is run or only looked at."""

    name: str
    text: str
    short: bool = False


RECIPES = (
    Recipe("a process as logger", f"logger: {{_target_: limo.process.start, command: {SHELL}}}\n", short=True),
    Recipe("a process as callback of Hydra", f"hydra: {{callbacks: {{x: {{_target_: limo.process.start, command: {SHELL}}}}}}}\n"),
    Recipe("a process as launcher", f"hydra: {{launcher: {{_target_: limo.process.Child, command: {SHELL}}}}}\n"),
    Recipe("os.system as data", f"data: {{_target_: os.system, command: 'touch {PWNED}'}}\n"),
    Recipe("os.system through a module of limo", f"data: {{_target_: limo.process.os.system, command: 'touch {PWNED}'}}\n"),
    Recipe("eval as optimizer", f"optimizer: {{_target_: builtins.eval, _args_: [\"open('{PWNED}', 'w')\"]}}\n"),
    Recipe("a function deep in a member", f"model: {{system: {{_target_: subprocess.check_output, args: {SHELL}}}}}\n"),
    Recipe("the loader itself", f"logger: {{_target_: limo.serial.load, _recursive_: false, value: {{{START}}}}}\n"),
    Recipe("a partial function", f"logger: {{_target_: limo.process.start, _partial_: true, command: {SHELL}}}\n"),
    Recipe("a tag of YAML", f"data: !!python/object/apply:os.system ['touch {PWNED}']\n"),
    Recipe("aliases that grow", ALIASES, short=True),
    Recipe("lists in lists", "name: " + "[" * 20_000 + "\n"),
    Recipe("maps in maps", "data: " + "{a: " * 5_000 + "1" + "}" * 5_000 + "\n"),
    Recipe("64 MB", "name: lab # " + "x" * (64 << 20) + "\n"),
    Recipe("a name that leaves outputs", f"name: ../../{PWNED}\n"),
    Recipe("an absolute name", f"name: /tmp/{PWNED}-of-a-name\n"),
    Recipe("zero bytes", "name: \0lab\n"),
    Recipe("a recipe that inherits itself", "defaults: [hostile, _self_]\nname: lab\n"),
    Recipe("an interpolation of itself", "name: ${name}\n"),
)  # fmt: skip


def faults() -> list[Fault]:
    own = {
        "a secret of the environment": secret,
        "a bomb beside the recipe that is used": beside,
        "a foreign class in stage.json": stage_file,
    }
    return [
        *(Fault("hostile recipes", recipe.name, _refused(recipe.text), short=recipe.short) for recipe in RECIPES),
        *(Fault("hostile recipes", name, how) for name, how in own.items()),
    ]


def write(case: Case, text: str, name: str = "hostile") -> None:
    folder = case.folder / "experiments"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _refused(text: str) -> Callable[[Case], str]:
    def tried(case: Case) -> str:
        write(case, text)
        for verb in ((), ("plan",)):
            done = case.run(words=(*verb, "+experiment=hostile", "stages=[data]", "data.size=20"))
            harmless(case, done.peak)
            refused(done)
        return last(done.text)[:80]

    return tried


def secret(case: Case) -> str:
    """Whoever is given the run folder must not find it there."""
    write(case, "model: {system: '${oc.env:LIMO_BENCH_SECRET}'}\n")
    words = ("+experiment=hostile", "stages=[data]", "data.size=20")
    done = case.run(words=words, LIMO_BENCH_SECRET=SECRET)
    no_traceback(done)
    files = [path for path in (case.folder / "outputs").rglob("*") if path.is_file()]
    if holding := [path.name for path in files if SECRET.encode() in path.read_bytes()]:
        raise LostError(f"the secret is in {', '.join(holding)}")
    return f"exit code {done.code}"


def beside(case: Case) -> str:
    """A recipe that nobody chose is no reason to fail."""
    write(case, ALIASES, "bomb")
    write(case, "name: fine\n", "fine")
    return harmless_and_done(case, case.run(words=("+experiment=fine", "stages=[data]", "data.size=20")))


def harmless_and_done(case: Case, done: Done) -> str:
    harmless(case, done.peak)
    no_traceback(done)
    if done.code:
        raise LostError(f"exit code {done.code}: {last(done.text)}")
    return f"{done.peak} MiB"


def stage_file(case: Case) -> str:
    """Somebody wrote into the store; a stage loads no more than components."""
    case.copy("data")
    folder = case.store / "data" / "0123456789abcdef0123.partial"
    folder.mkdir(parents=True)
    request = {"_target_": "limo.process.start", "command": ["sh", "-c", f"touch {case.folder}/{PWNED}"]}
    (folder / "stage.json").write_text(json.dumps(request), encoding="utf-8")
    done = case.launch([sys.executable, "-m", "limo.data", str(folder)]).wait()
    harmless(case, done.peak)
    if done.code == 0:
        raise LostError("it was taken for a stage")
    return f"exit code {done.code}"
