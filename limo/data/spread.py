"""One function over the chunks of many items, results in their order: in as many processes as there are processors, or by Ray."""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any, Literal, TypeVar

from limo import cluster, hardware

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[list[T]], list[R]]
"""What is done with a chunk; it goes to other processes by pickle, and so do items and results."""
Engine = Literal["local", "ray"]
CHUNK = 2000
"""Items that a process takes at once."""
FEW = 20_000
"""Items that are done before others are started, which costs more than so many take."""


def spread(work: Work[T, R], items: Iterable[T], engine: Engine = "local") -> Iterator[R]:
    """What `work` makes of all items, in their order; few of them are in memory at once, whatever the engine.

    Raises UserError where `engine` is not installed.
    """
    left = iter(items)
    chunks = iter(lambda: list(itertools.islice(left, CHUNK)), [])
    return itertools.chain.from_iterable((_by_ray if engine == "ray" else _here)(work, chunks))


def _here(work: Work[T, R], chunks: Iterator[list[T]]) -> Iterator[list[R]]:
    workers = hardware.cores()
    yield from map(work, chunks if workers == 1 else itertools.islice(chunks, FEW // CHUNK))
    if more := next(chunks, None):
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (work,)) as pool:
            yield from _in_order(pool, itertools.chain([more], chunks), 2 * workers)


def _in_order(pool: ProcessPoolExecutor, chunks: Iterable[list[T]], ahead: int) -> Iterator[list[Any]]:
    """Results in the order of the chunks, few of them in memory at once."""
    waiting: deque[Future[list[Any]]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(_at, chunk))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_work: list[Work[Any, Any]] = []


def _begin(work: Work[Any, Any]) -> None:
    _work[:] = [work]


def _at(chunk: list[Any]) -> list[Any]:
    return _work[0](chunk)


def _by_ray(work: Work[T, R], chunks: Iterator[list[T]]) -> Iterator[list[R]]:
    """As a Ray data set of one row a chunk; what does not fit into Ray's object store is spilled to disk by it."""
    with cluster.joined("data.engine=ray") as ray:
        import pyarrow  # type: ignore[import-untyped]

        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order, context.print_on_execution_start = True, False
        if held := [ray.put(pyarrow.table({"chunk": [pickle.dumps(chunk)]})) for chunk in chunks]:
            given = {"work": ray.put(work)}
            for row in ray.data.from_arrow_refs(held).map_batches(_in_ray, fn_kwargs=given).iter_rows():
                yield pickle.loads(row["chunk"])


def _in_ray(batch: dict[str, Any], work: Any) -> dict[str, Any]:
    return {"chunk": [pickle.dumps(_taken(work)(pickle.loads(chunk))) for chunk in batch["chunk"]]}


@cache
def _taken(work: Any) -> Work[Any, Any]:
    """What stands in the object store under a reference, once a process."""
    import ray

    taken: Work[Any, Any] = ray.get(work)
    return taken
