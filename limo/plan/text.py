"""A plan as text for the terminal, with the assumptions that its numbers rest on."""

from __future__ import annotations

from limo.placement import ROOM, Machine, unknown
from limo.plan import Plan, TrainingPlan, cost

GIB = 2**30
WIDTH = 42


def text(plan: Plan) -> str:
    """The whole plan."""
    parts = [_head(plan), _refused(plan), _notes(plan), _tasks(plan)]
    if plan.training:
        parts.append(_memory(plan, plan.training))
    parts += [_time(plan), _disk(plan), _assumptions(plan)]
    return "\n\n".join(p for p in parts if p)


def _head(plan: Plan) -> str:
    machine = plan.machine
    if gpu := machine.smallest:
        nodes = f"{machine.nodes} × " if machine.nodes > 1 else ""
        where = f"{nodes}{len(machine.gpus)} × {gpu.name}, {size(gpu.memory)} each"
        where += "" if plan.seen else " (no GPU is seen here; name others with --gpus 8xH200)"
    else:
        where = f"this machine's processor, {size(machine.memory)} of memory"
    known = (
        f"{count(plan.shape.parameters)} weights" if plan.shape else "architecture not known: set model.architecture"
    )
    return f"{plan.name}: {known}, on {where}"


def _refused(plan: Plan) -> str:
    where = "Refused" if plan.seen else "Refused on this machine"
    return "\n".join([where, *(f"  {sentence}" for sentence in plan.refused)]) if plan.refused else ""


def _notes(plan: Plan) -> str:
    return "\n".join(f"! {note}" for note in plan.notes)


def _tasks(plan: Plan) -> str:
    said = {
        one.task: f"{one.answers:,} answers, {count(one.tokens or 0)} tokens" for one in plan.generations if one.answers
    }
    said |= {one.task: f"{count(one.tokens)} tokens to read" for one in plan.scorings if one.tokens}
    if plan.amounts.problems is not None:
        said["data"] = f"{plan.amounts.problems:,} problems"
    if plan.amounts.examples is not None:
        said["selection"] = f"{plan.amounts.examples:,} examples"
    if plan.training and plan.training.tokens is not None:
        said["training"] = f"{plan.training.steps:,} optimizer steps, {count(plan.training.tokens)} tokens"
        if plan.training.efficiency:
            said["training"] += f", {100 * plan.training.efficiency:.0f} % of the processes' time for them"
    lines = [
        f"  {task:<18}{'in the store' if done else 'to do':<14}{said.get(task, '')}".rstrip()
        for task, done in plan.tasks
    ]
    if plan.amounts.overlong:
        share = f"{100 * plan.amounts.overlong:.1f} %"
        lines.append(f"  {share} of the solutions are longer than training.max_length: see training.overlong")
    return "\n".join(["Tasks", *lines])


def _memory(plan: Plan, training: TrainingPlan) -> str:
    needs, setup, machine = training.needs, training.setup, plan.machine
    how = [training.strategy, f"{setup.ranks} process{'es' if setup.ranks > 1 else ''}", setup.precision]
    how += ["optimizer in main memory"] if setup.offload_optimizer else []
    how += ["weights in main memory"] if setup.offload_weights else []
    how.append("activations recomputed" if setup.checkpointing else "activations kept")
    rows = [
        ("weights", needs.weights),
        ("gradients", needs.gradients),
        ("optimizer", needs.optimizer),
        ("optimizer's step, for a moment", needs.update),
        (f"activations, {setup.tokens:,} tokens", needs.activations),
        (f"logits, {setup.chunks} chunk{'s' if setup.chunks > 1 else ''}", needs.logits),
        ("weights gathered for the layer at work", needs.gathered),
        ("messages", needs.buffers),
    ]
    lines = [f"Memory per {'GPU' if machine.gpus else 'process'} in training ({', '.join(how)})"]
    lines += [_row(name, size(value)) for name, value in rows if value]
    room, host = training.room, machine.memory * ROOM
    lines.append(_row("peak", size(needs.peak), f"of {size(room)} that can be filled: {_fits(needs.peak, room)}"))
    if needs.host:
        known = f"of {size(host)}: {_fits(needs.host, host)}" if host else ""
        lines.append(_row("main memory of a machine", size(needs.host), known))
    if not training.fits:
        way = (
            f"fits with {training.instead}"
            if training.instead
            else "nothing the plan knows makes it fit: take more or larger GPUs"
        )
        lines.append(f"  → {way}")
    return "\n".join(lines)


def _time(plan: Plan) -> str:
    machine = plan.machine
    rows = [("training", plan.training.hours, plan.training.setup.ranks)] if plan.training else []
    rows += [(one.task, one.hours, 1) for one in plan.scorings]
    rows += [(one.task, one.hours, one.placed.tensor_parallel * one.placed.replicas) for one in plan.generations]
    lines = [_row(task, hours(value), _wall(value, busy, machine)) for task, value, busy in rows]
    known = [(value, busy) for _, value, busy in rows if value is not None]
    if len(known) > 1 and machine.gpus:
        wall = sum(value / busy for value, busy in known)
        lines.append(_row("together", hours(sum(value for value, _ in known)), f"{hours(wall)} h one after the other"))
    unit = "GPU hours" if machine.gpus else "hours on the processor"
    return "\n".join([f"Time, {unit}", *lines]) if lines else ""


def _wall(value: float | None, busy: int, machine: Machine) -> str:
    """How long a task takes on the GPUs that it uses: engines stay on one machine."""
    every = len(machine.gpus) * machine.nodes
    if value is None or not every:
        return ""
    rest = (
        ""
        if busy >= every
        else f" of {every}" + (", engines run on one machine" if busy <= len(machine.gpus) < every else "")
    )
    return f"{hours(value / busy)} h on {busy} GPU{'s' if busy > 1 else ''}{rest}"


def _disk(plan: Plan) -> str:
    if not plan.disk:
        return ""
    rows = [_row(what, size(value), _checkpoint(plan, what)) for what, value in plan.disk.items()]
    return "\n".join(["Disk", *rows, _row("together", size(sum(plan.disk.values())), f"of {size(plan.free)} free")])


def _checkpoint(plan: Plan, what: str) -> str:
    """What one of the checkpoints takes, where a row is about them."""
    if what != "checkpoints while training" or plan.training is None:
        return ""
    seconds = plan.training.checkpoint / cost.WRITE
    late = f", more than training.grace={plan.training.grace:g}" if seconds > plan.training.grace else ""
    one = f"{size(plan.training.checkpoint)} each, {seconds:,.0f} s at {cost.WRITE / 1e9:g} GB/s{late}"
    return f"{one}; one every {plan.training.every}"


def _assumptions(plan: Plan) -> str:
    machine, sheet = plan.machine, plan.machine.chip
    told = [(one.task, one.note) for one in plan.generations] + [(one.task, one.note) for one in plan.scorings]
    lines = [f"data: {plan.amounts.source}", *(f"{task}: {note}" for task, note in told)]
    if not machine.gpus:
        lines.append(f"time: {cost.CORE / 1e9:.0f} GFLOP/s a core in training; a tiny model is slowed by other things")
    elif sheet is None:
        lines.append(f"time: {unknown(machine.gpus)}")
    else:
        lines.append(
            f"training: 6 operations per weight and token, causal attention, {100 * cost.USE:.0f} % of "
            f"{sheet.flops / 1e12:.0f} TFLOP/s (20 to 45 % are usual)"
        )
    if plan.generations and sheet:
        lines.append(
            f"generation: {100 * cost.FLOW:.0f} % of {sheet.bandwidth / 1e12:.2f} TB/s, up to {cost.SEQUENCES} answers at a "
            "time; start-up and the longest answers come on top"
        )
    lines.append(
        "memory: states as DeepSpeed's own estimates, activations of Qwen2 and Llama blocks with FlashAttention or SDPA"
    )
    return "\n".join(["Assumed", *(f"  {line}" for line in lines)])


def _row(name: str, value: str, note: str = "") -> str:
    return f"  {name:<{WIDTH}}{value:>10}   {note}".rstrip()


def _fits(needed: float, room: float) -> str:
    return "fits" if needed <= room else "DOES NOT FIT"


def size(value: float) -> str:
    """`73.6 GiB`, `4.2 MiB`."""
    for unit, width in (("TiB", 2**40), ("GiB", GIB), ("MiB", 2**20)):
        if value >= width:
            return f"{value / width:.1f} {unit}"
    return f"{value / 1024:.0f} KiB"


def hours(value: float | None) -> str:
    """`1,234`, `8.2`, `0.004`; a dash where it is not known."""
    if value is None:
        return "—"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 0.1 else f"{value:.3f}"


def count(value: float) -> str:
    """`32.8 billion`, `1.2 million`, `817`."""
    for word, width in (("billion", 1e9), ("million", 1e6)):
        if value >= width:
            return f"{value / width:.1f} {word}"
    return f"{value:,.0f}"
