"""What can be configured: the root schema, `component` for every member of a group, and what fits where."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, dataclass_transform

import typing_extensions
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from limo import UserError
from limo.records import Expectation
from limo.spelling import meant

if TYPE_CHECKING:
    from limo.attempts import Sieve
    from limo.data import Data
    from limo.engine import Engine
    from limo.evaluation import Evaluation
    from limo.models import Model
    from limo.optimizers import Optimizer
    from limo.scores import Scorer
    from limo.selection import Selection
    from limo.training import Training
    from limo.training.loggers import Csv
else:  # the rooms above; `build` holds the members to SLOTS
    Csv = Data = Engine = Evaluation = Model = Optimizer = Scorer = Selection = Sieve = Training = Any

T = TypeVar("T")

PACKAGE = Path(__file__).parent
ROOT = PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parent
"""Where `conf/` and `experiments/` lie: inside an installed package, beside it in a checkout."""

NEEDS = {
    "data": ("data",),
    "attempts": ("data", "model", "engine"),
    "scores": ("data", "model"),
    "selection": ("data", "selection"),
    "training": ("data", "selection", "model", "optimizer", "training", "logger"),
    "evaluation": ("model", "evaluation", "engine"),
}
"""Groups that each stage takes; `attempts` and `scores` may be empty."""
STAGES = tuple(NEEDS)
MADE = "__component__"
INVITATION = re.compile(
    r"weights_only|trust_remote_code|allow_pickle|safe_globals|INSECURE|arbitrary code|still be loaded|trust(ed)? (the )?source",
    re.I,
)
NOTHING: Any = None
"""In place of the member of a group that no stage needs."""
SLOTS = {
    "data": "limo.data.Data",
    "attempts": "limo.attempts.Sieve",
    "selection": "limo.selection.Selection",
    "model": "limo.models.Model",
    "optimizer": "limo.optimizers.Optimizer",
    "training": "limo.training.Training",
    "evaluation": "limo.evaluation.Evaluation",
    "engine": "limo.engine.Engine",
    "logger": "limo.training.loggers.Csv",
}
"""What the member of each group must be, each of several by name: a class, or a protocol that users' own classes fulfil too."""


EXPECTED = tuple(field.name for field in fields(Expectation))
"""Keys of an expectation."""


def expectations(given: Any) -> dict[str, Expectation]:
    """What a study expects, as records. Raises pydantic's ValidationError, which names the key."""
    return TypeAdapter(dict[str, Expectation]).validate_python(given)


def _expected(given: Any) -> Any:
    expectations(given)
    return given


def runtime(*, default: Any) -> Any:
    """A field that changes how a stage runs and not what it makes: left out of the key of its result."""
    return field(default=default, metadata={"key": False})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, Field, runtime))
def component(cls: type[T]) -> type[T]:
    """Make a class a member of a config group: a frozen dataclass whose fields are its config, types checked when built.

    Its `__post_init__` raises ValueError with the value and the remedy. It is cheap to build: no file, network, GPU, torch.
    """
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    made: Any = validated(frozen=True, kw_only=True, config=config)(cls)
    setattr(made, MADE, True)
    return made  # type: ignore[no-any-return]


def is_component(value: object) -> bool:
    """Whether it is a class that `component` made, not merely one that inherits from such a class."""
    return isinstance(value, type) and MADE in vars(value)


@component
class Config:
    """The root of a run; `conf/config.yaml` and the recipes of `experiments/` fill it."""

    name: str = "lab"
    """First part of the run's address, `outputs/<name>/<overrides>/`."""
    question: str | None = None
    """What the study asks, in one sentence that the report answers; null takes the recipe's head comment down to Command."""
    expect: Annotated[dict[str, Any], BeforeValidator(_expected)] = field(default_factory=dict)
    """What it expects of its arms, by name; the report says whether that holds, fails or cannot be told."""
    objective: str | None = None
    """What a sweeper that searches over settings is told of each run: the accuracy of a benchmark, by its name, which is then one
    to choose by and no test, or `validation_loss`. Null for none."""
    seed: int = 0
    """Every random choice of a run derives from it."""
    stages: tuple[str, ...] = STAGES
    """Which stages run; one whose input exists already can be left out."""
    store: str = "outputs/.store"
    """Where stage results are kept and found again."""
    plugins: tuple[str, ...] = ()
    """Modules and packages, beside `limo`, whose components a config may name as `_target_`."""
    python: dict[str, str | None] = field(default_factory=dict)
    """Another interpreter for a stage, for environments whose pins part; null takes this one."""
    data: Data = NOTHING
    keywords: Any = None
    """The words by which `selection` knows the traits of a solution; each member of `data` brings that of its language."""
    attempts: dict[str, Sieve] = field(default_factory=dict)
    """Sieves by name: each tries the problems that those before it left."""
    scores: dict[str, Scorer] = field(default_factory=dict)
    """Tables of scores by name; a selection ranks by `<name>.<column>`, and an order compares the vectors of one."""
    selection: Selection = NOTHING
    model: Model = NOTHING
    optimizer: Optimizer = NOTHING
    training: Training = NOTHING
    evaluation: Evaluation = NOTHING
    engine: Engine = NOTHING
    logger: Csv = NOTHING

    def __post_init__(self) -> None:
        for key, names in (("stages", self.stages), ("python", self.python)):
            if unknown := [name for name in names if name not in STAGES]:
                raise ValueError(f"{key}: there is no stage {', '.join(unknown)}; the stages are {', '.join(STAGES)}")
        if not self.stages:
            raise ValueError(f"stages=[] leaves nothing to do; the stages are {', '.join(STAGES)}")
        for name in self.attempts:
            if not re.fullmatch(r"[A-Za-z][\w-]*", name):
                raise ValueError(f"attempts.{name}: a sieve needs a plain name of letters, digits, _ and -")
        refuse_name(self.name)


def refuse_name(name: str) -> None:
    """Raises UserError where a run of that name would write elsewhere than below `outputs`."""
    if not name.strip("/.") or ".." in Path(name).parts or Path(name).is_absolute():
        raise UserError(f"name={name!r} names no folder below outputs; give the run a plain name")


PLAINER = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be keys with values",
    "dataclass_type": "must be keys with values",
    "missing": "has no value; give it one",
}
"""Kind of a validation error -> what a person would say."""
LISTED = 40
"""Keys that are all told to who gives another; the root has more."""


def describe(error: ValidationError, prefix: str = "", known: Collection[str] = (), below: Collection[str] = ()) -> str:
    """A validation error as one sentence: the key, what is wrong, the value; `known` are the keys that there could be, `below`
    those that could stand deeper.
    """
    problems = []
    for item in error.errors():
        key = ".".join([prefix, *map(str, item["loc"])] if prefix else map(str, item["loc"]))
        said = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
        message = PLAINER.get(item["type"], said)
        if item["type"] == "unexpected_keyword_argument":
            wrong = str(item["loc"][-1])
            names = known if len(item["loc"]) == 1 else below
            few = f"; there {'are' if len(names) > 1 else 'is'} {', '.join(names)}" if 0 < len(names) <= LISTED else ""
            message = f"there is no such key{meant(wrong, names, f'{key.removesuffix(wrong)}{{}}') or few}"
        given = (
            ""
            if item["type"] in ("missing", "value_error", "unexpected_keyword_argument")
            else f", not {item['input']!r}"
        )
        problems.append(f"{key}: {message}{given}" if key else message)
    return "; ".join(problems)


def first_line(error: BaseException) -> str:
    return quoted(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__


def quoted(words: str) -> str:
    """What a library says, without the sentences that invite to load what may run code."""
    return " ".join(part for part in re.split(r"(?<=[.;])\s+", words) if not INVITATION.search(part))


def within(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these, or below one of these packages."""
    return any(f"{module}.".startswith(f"{package.rstrip('.')}.") for package in packages if package.strip("."))


def locate(target: str) -> type:
    """The class of a dotted name. Raises ImportError or AttributeError."""
    module, _, name = target.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


def misfit(value: object, kind: type) -> str | None:
    """Why an object cannot stand where a class or a protocol is wanted: no such method, or other arguments; None if it can."""
    own = type(value)
    if not getattr(kind, "_is_protocol", False):
        return (
            None if isinstance(value, kind) else f"{own.__qualname__} is no {kind.__qualname__}; give a subclass of it"
        )
    for name in sorted(typing_extensions.get_protocol_members(kind)):
        wanted, given = getattr(kind, name, None), getattr(own, name, None)
        if given is None and not hasattr(value, name):
            call = f"{name}{_arguments(wanted)}" if callable(wanted) else name
            return f"{own.__qualname__} is no {kind.__qualname__}: it lacks {call}"
        if callable(wanted) and (not callable(given) or not _takes(given, wanted)):
            had = f"{name}{_arguments(given)}" if callable(given) else name
            return f"{own.__qualname__} is no {kind.__qualname__}: {had} must be {name}{_arguments(wanted)}"
    return None


def held_to(*kinds: type) -> BeforeValidator:
    """For `Annotated[…]` on a field that takes users' classes: refuse an object that fits none of these protocols."""

    def check(value: object) -> object:
        faults = [misfit(value, kind) for kind in kinds]
        if None not in faults:
            raise ValueError("; ".join(fault for fault in faults if fault))
        return value

    return BeforeValidator(check)


def _arguments(method: Callable[..., object]) -> str:
    return "({})".format(", ".join(list(inspect.signature(method).parameters)[1:]))


def _takes(given: Callable[..., object], wanted: Callable[..., object]) -> bool:
    """Whether a method can be called as the protocol's is."""
    names = [p.name for p in inspect.signature(wanted).parameters.values()][1:]
    own = list(inspect.signature(given).parameters.values())[1:]
    further = [p for p in own[len(names) :] if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [p.name for p in own[: len(names)]] == names and not further
