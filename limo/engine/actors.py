"""Engines as Ray actors, one a replica, on whatever nodes have room: Ray places them, and starts one that died again."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any

from limo import UserError, cluster, hardware
from limo.config import first_line
from limo.engine.__main__ import serve as answer_all
from limo.engine.__main__ import watch
from limo.engine.protocol import Completion, Engine, Request
from limo.engine.wire import Asked, Said, Work
from limo.models import Model
from limo.serial import dump, load, plugins

KEY = "engine.launcher=ray"
RESTARTS = 3
"""How often an actor may die, wherever it is, and be started again; a request is given up with its second."""


def serve(
    engine: Engine, model: Model, requests: Sequence[Request], max_length: int, on_tokens: Callable[[int], None]
) -> Generator[tuple[int, Completion], None, None]:
    """As `limo.engine.replicas.serve`; every node must have this project, the weights at the same path, and GPUs as here.

    Raises UserError where the cluster is too small, and with what is wrong where an engine cannot start or a request
    outlived two of its processes.
    """
    with cluster.joined(KEY) as ray:
        count, each = _placed(ray, engine, len(requests))
        may = plugins([dump(engine), dump(model)])
        options: dict[str, Any] = {"max_restarts": RESTARTS, "max_task_retries": 1, **each}
        options |= {"runtime_env": {"env_vars": may}} if may else {}
        work = Work(dump(engine), dump(model), max_length, len(requests), [])
        actors = [ray.remote(**options)(Served).remote(work) for _ in range(count)]
        waiting, busy = deque(range(len(requests))), Counter[int]()
        asked: dict[Any, tuple[int, int]] = {}
        try:
            windows = ray.get([actor.window.remote() for actor in actors])
            while waiting or asked:
                fair = max(1, -(-(len(waiting) + len(asked)) // count))  # near the end nobody takes more than this
                while waiting and (free := [n for n in range(count) if busy[n] < min(windows[n], fair)]):
                    at, number = min(free, key=busy.__getitem__), waiting.popleft()
                    asked[actors[at].answer.remote(number, requests[number])] = at, number
                    busy[at] += 1
                for done in ray.wait(list(asked))[0]:
                    at, number = asked.pop(done)
                    busy[at] -= 1
                    completion = ray.get(done)
                    on_tokens(completion.tokens)
                    yield number, completion
        except ray.exceptions.RayTaskError as error:
            cause, name = error.cause, type(engine).__name__.lower()
            said = f"engine={name}: {type(cause).__name__}: {first_line(cause)}; finished answers are kept"
            raise UserError(str(cause) if isinstance(cause, UserError) else said) from None
        except ray.exceptions.RayActorError as error:
            said = f"an actor died twice under a request, or {RESTARTS + 1} times ({first_line(error)})"
            raise UserError(f"{KEY}: {said}; finished answers are kept") from None
        finally:
            for actor in actors:  # of a cluster that goes on
                ray.kill(actor)


def _placed(ray: Any, engine: Engine, requests: int) -> tuple[int, dict[str, float]]:
    """How many replicas there are, and what of a node each takes."""
    nodes = sum(node["Alive"] for node in ray.nodes())
    if not hardware.gpus():
        count = min(engine.replicas or 1, requests)
        return count, {"num_cpus": max(1, hardware.cores() // -(-count // nodes))}
    group, there = engine.tensor_parallel or 1, int(ray.cluster_resources().get("GPU", 0))
    if engine.replicas * group > there or not there // group:
        raise UserError(
            f"{KEY}: {max(1, engine.replicas)} engines of {group} GPUs, and the cluster has {there} GPUs; "
            f"set engine.replicas={there // group} or 0, or add nodes"
        )
    return min(engine.replicas or there // group, requests), {"num_cpus": 1, "num_gpus": group}


class Served:
    """What an actor is: one engine, and the thread that it works in."""

    def __init__(self, work: Work) -> None:
        self.asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self.answers: dict[int, Future[Completion]] = {}
        self.loaded: Future[int] = Future()
        self.ended: BaseException | None = None
        threading.Thread(target=self._work, args=(work,), daemon=True).start()

    async def window(self) -> int:
        """Requests that it can use at once, when the weights are loaded. Raises what kept them from it."""
        return await asyncio.wrap_future(self.loaded)

    async def answer(self, number: int, request: Request) -> Completion:
        """The answer to a request. Raises what ended the engine."""
        self.answers[number] = Future()
        if self.ended:
            raise self.ended
        self.asked.put(Asked(number, request))
        return await asyncio.wrap_future(self.answers[number])

    def _work(self, work: Work) -> None:
        try:
            engine: Engine = load(work.engine)
            session = engine.open(load(work.model), work.max_length, work.requests)
            self.loaded.set_result(session.window)
            threading.Thread(target=watch, daemon=True).start()
            answer_all(session, self.asked, self._tell)
        except BaseException as error:
            self.ended = error
            futures: list[Future[Any]] = [self.loaded, *self.answers.values()]
            for future in futures:
                if not future.done():
                    future.set_exception(error)

    def _tell(self, said: Said) -> None:
        if said.number is not None and said.completion is not None:
            self.answers.pop(said.number).set_result(said.completion)
