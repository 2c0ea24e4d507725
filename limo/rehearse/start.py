"""One start of an engine with a recipe's own weights, for as long a context as the recipe asks."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from limo.config import component
from limo.engine import Engine, Request
from limo.models import Model
from limo.records import AttemptsSummary
from limo.stage import Stage, summarise

TOKENS = 48
"""Of each answer."""


@component
class StartStage(Stage):
    """Load the weights once and answer twice."""

    module: ClassVar[str] = "limo.rehearse"
    version: ClassVar[int] = 1
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ()

    model: Model
    engine: Engine
    longest: int
    """Tokens of the longest prompt and answer that there is room for."""

    def missing(self) -> list[str]:
        return [*self.model.missing(), *self.engine.missing(self.model, self.longest)]

    def run(self, folder: Path) -> None:
        from limo.engine.replicas import serve
        from limo.models.chat import QUESTION, load_tokenizer, prompt_ids

        prompt = tuple(prompt_ids(load_tokenizer(self.model), self.model, QUESTION))
        asked = [Request(prompt, 0, heat, 1.0, 0, TOKENS) for heat in (0.0, 0.7)]
        engine: Any = self.engine.pick(self.model, self.longest)
        with closing(serve(replace(engine, replicas=1), self.model, asked, self.longest, folder / "engine")) as answers:
            made = [completion for _, completion in answers]
        finish = {why: count / len(made) for why, count in Counter(one.finish for one in made).items()}
        summarise(folder, AttemptsSummary(1, len(made), finish, sum(one.tokens for one in made)))
