"""The door: one command with verbs; what went wrong is said in a sentence."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import hydra
from hydra._internal.utils import get_args

from limo import StageError, UserError, process
from limo.compose import in_words, jobs, register_configs
from limo.config import ROOT
from limo.job import BROKEN, DONE, MISTAKEN, job, not_submitted, outcomes, refused
from limo.spelling import meant

INTERRUPTED, TERMINATED = 130, 143
VERBS = {
    "plan": "limo.plan.command",
    "probe": "limo.probe.command",
    "rehearse": "limo.rehearse.command",
    "fetch": "limo.fetch",
    "show": "limo.show",
    "report": "limo.report.command",
    "answers": "limo.answers",
    "diff": "limo.diff",
    "replay": "limo.replay",
    "grade": "limo.grade",
    "export": "limo.export",
    "store": "limo.store.command",
}
"""The module of each verb beside `run`, imported only when it is asked for; its `main` raises what is wrong."""
OF_OVERRIDES = ("run", "plan", "probe", "rehearse", "fetch")
"""Verbs that take the overrides of a run, which Hydra can complete."""


def main() -> None:
    """`python -m limo [verb] …`, `limo [verb] …`; without a verb it runs.

    Exit code 0 done, 2 the user's mistake, 1 a defect or a failed run in a sweep, 130 Ctrl-C, 143 SIGTERM.
    """
    words = sys.argv[1:]
    signal.signal(signal.SIGTERM, process.terminate)
    if {"-sc", "--shell-completion"} & set(words):
        _complete()
    try:
        if words and words[0] in VERBS:
            importlib.import_module(VERBS[words[0]]).main(words[1:])
            code = DONE
        elif words and words[0].isalpha() and words[0] != "run":
            near = meant(words[0], [*VERBS, "run"])
            raise UserError(f"{words[0]}: neither a verb nor key=value{near}; `python -m limo --help` names the verbs")
        else:
            code = run(words[1:] if words[:1] == ["run"] else words)
        sys.stdout.flush()
    except UserError as mistake:
        code = _tell(mistake, MISTAKEN)
    except StageError as broken:
        code = _tell(broken, broken.code)
    except process.Terminated:
        code = _tell("told to end; the same command resumes", TERMINATED)
    except KeyboardInterrupt:
        code = _tell("interrupted; the same command resumes", INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Compose, build and run one job or the jobs of a sweep; the exit code."""
    if {"--help", "-h"} & set(arguments):
        from limo.show import overview

        print(overview())
        return DONE
    arguments = sorted(arguments, key=_is_override)  # Hydra takes no option between overrides
    sys.argv[1:] = arguments
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed with a traceback
    asked = get_args(list(arguments))
    try:
        if not asked.shell_completion:
            # before Hydra calls what its part of a recipe names, or makes the folder of a run
            many = ["--multirun"] if asked.multirun else []
            jobs([*many, *asked.overrides, *(["--config-dir", asked.config_dir] if asked.config_dir else [])])
        with in_words():
            register_configs()
            hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")(job)()
    except RuntimeError as error:  # of submitit, before any run: `job` answers for all others
        if not (known := not_submitted(error)):
            raise
        raise UserError(known) from None
    except (OSError, ValueError) as error:  # of the run folder and its log: `job` answers for all others
        failed = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(failed, OSError) or failed.filename is None or isinstance(failed, BrokenPipeError):
            raise
        raise refused(failed, "hydra.run.dir") from None
    return max(outcomes, default=DONE) if len(set(outcomes)) <= 1 else BROKEN


def _is_override(word: str) -> bool:
    return not word.startswith("-") and ("=" in word or word.startswith(("+", "~")))


def _tell(what: object, code: int) -> int:
    print(f"limo: {what}", file=sys.stderr)
    return code


def _complete() -> None:
    """Give Hydra's shell completion the line without verb and options; complete the verbs themselves."""
    program, *typed = os.environ.get("COMP_LINE", "").split(" ")
    verbs = [*VERBS, "run"]
    if len(typed) == 1:
        print(*(verb for verb in verbs if verb.startswith(typed[0])))
    elif typed and typed[0] in verbs:
        if typed[0] not in OF_OVERRIDES:
            sys.exit(DONE)
        *before, last = typed[1:]
        overrides = [word for word in before if "=" in word or word.startswith(("+", "~"))]
        os.environ["COMP_LINE"] = " ".join([program, *overrides, last])


if __name__ == "__main__":
    main()
