"""A plan as text for the terminal, with the assumptions that its numbers rest on."""

from __future__ import annotations

from limo.plan import Plan, Training, cost
from limo.plan.amounts import PROMPT

GIB = 2**30


def text(plan: Plan, free: int | None = None) -> str:
    """The whole plan. `free` is what the disk of the store has left, in bytes."""
    parts = [_head(plan), _steps(plan)]
    if plan.training:
        parts.append(_memory(plan, plan.training))
    parts += [_time(plan), _disk(plan, free), _assumptions(plan)]
    return "\n\n".join(p for p in parts if p)


def _head(plan: Plan) -> str:
    machine = plan.machine
    if machine.cpu:
        where = f"this machine's CPU, {machine.host / GIB:.0f} GiB"
    else:
        seen = "" if machine.seen else " (assumed: no GPU is seen here; say otherwise with --gpus 8xH200)"
        nodes = f"{machine.nodes} × " if machine.nodes > 1 else ""
        where = f"{nodes}{machine.count} × {machine.chip.name}, {machine.chip.memory / GIB:.0f} GiB each{seen}"
    weights = f"{billions(plan.shape.parameters)} weights" if plan.shape else "architecture not known: set model.architecture"
    return f"{plan.name}: {weights}, on {where}"


def _steps(plan: Plan) -> str:
    said = {g.step: _answers(g.answers, g.tokens) for g in plan.generations}
    if plan.amounts.problems is not None:
        said["data"] = f"{plan.amounts.problems:,} problems"
    if plan.amounts.examples is not None:
        said["selection"] = f"{plan.amounts.examples:,} examples"
    if plan.training and plan.training.tokens is not None:
        said["training"] = f"{plan.training.steps:,} optimizer steps, {millions(plan.training.tokens)} tokens"
    lines = [f"  {name:<18}{'in the store' if cached else 'to do':<14}{said.get(name, '')}".rstrip() for name, cached in plan.steps]
    lost = plan.amounts.overlong
    if lost:
        lines.append(f"  {100 * lost:.1f} % of the examples are longer than training.max_length: see training.overlong")
    return "\n".join(["Steps", *lines])


def _memory(plan: Plan, training: Training) -> str:
    needs, setup = training.needs, training.setup
    how = [training.strategy, f"{setup.ranks} process{'es' if setup.ranks > 1 else ''}", setup.precision]
    how += ["optimizer in main memory"] if setup.offload_optimizer else []
    how += ["weights in main memory"] if setup.offload_weights else []
    how.append("activations recomputed" if setup.checkpointing else "activations kept")
    rows = [
        ("weights", needs.weights), ("gradients", needs.gradients), ("optimizer", needs.optimizer), ("optimizer's step, for a moment", needs.update),
        (f"activations, {setup.tokens:,} tokens", needs.activations), (f"logits, in {setup.chunks} chunk{'s' if setup.chunks > 1 else ''}", needs.logits),
        ("weights gathered for the layer at work", needs.gathered), ("messages", needs.buffers),
    ]  # fmt: skip
    device = "process" if plan.machine.cpu else "GPU"
    lines = [f"Memory per {device} in training ({', '.join(how)})"]
    lines += [f"  {name:<42}{size(value):>10}" for name, value in rows if value]
    room = plan.machine.chip.memory if plan.machine.cpu else plan.machine.chip.memory * cost.ROOM
    lines.append(f"  {'peak':<42}{size(needs.peak):>10}   of {size(room)} that can be filled: {'fits' if training.fits else 'DOES NOT FIT'}")
    if needs.host:
        known = f"   of {size(plan.machine.host)}" if plan.machine.host else ""
        lines.append(f"  {'main memory of each machine':<42}{size(needs.host):>10}{known}")
    if not training.fits:
        lines.append(f"  fits with: {training.instead}" if training.instead else "  nothing this plan knows makes it fit; take more or larger GPUs")
    return "\n".join(lines)


def _time(plan: Plan) -> str:
    unit = "hours of CPU" if plan.machine.cpu else "GPU hours"
    rows = [("training", plan.training.hours)] if plan.training and not dict(plan.steps).get("training") else []
    rows += [(g.step, g.hours) for g in plan.generations]
    lines = [f"  {name:<42}{hours(value):>10}" for name, value in rows]
    known = [value for _, value in rows if value is not None]
    if len(known) > 1:
        lines.append(f"  {'together':<42}{hours(sum(known)):>10}   at best {hours(sum(known) / plan.machine.all)} h on {plan.machine.all}")
    return "\n".join([f"Time, {unit}", *lines]) if lines else ""


def _disk(plan: Plan, free: int | None) -> str:
    if not plan.disk:
        return ""
    total = sum(plan.disk.values())
    lines = [f"  {name:<42}{size(value):>10}" for name, value in plan.disk.items()]
    room = "" if free is None else f"   of {size(free)} free: {'enough' if free > total else 'NOT ENOUGH'}"
    return "\n".join(["Disk", *lines, f"  {'together':<42}{size(total):>10}{room}"])


def _assumptions(plan: Plan) -> str:
    chip, lines = plan.machine.chip, [f"examples: {plan.amounts.source}"]
    if plan.machine.cpu:
        lines.append(f"CPU: {cost.CORE / 1e9:.0f} GFLOP/s a core in training; small models are slowed by other things")
    else:
        lines.append(
            f"training: 6 operations per weight and token, causal attention, at {100 * cost.USE:.0f} % of {chip.flops / 1e12:.0f} TFLOP/s"
            " (model FLOPs, recomputation not counted; 20 to 45 % are usual)"
        )
    lines += [f"{g.step}: {g.note}, prompts {PROMPT}" for g in plan.generations]
    if plan.generations and not plan.machine.cpu:
        lines.append(
            f"generation: {100 * cost.FLOW:.0f} % of {chip.bandwidth / 1e12:.2f} TB/s, at most {cost.SEQUENCES} answers at a time;"
            " start-up and the tail of the longest answers come on top"
        )
    lines.append("memory: AdamW as DeepSpeed publishes it, activations of Qwen2/Llama blocks with FlashAttention or SDPA")
    return "\n".join(["Assumed", *(f"  {line}" for line in lines)])


def _answers(answers: int | None, tokens: float | None) -> str:
    return "answers not known yet" if not answers else f"{answers:,} answers, {millions(tokens or 0)} tokens"


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


def billions(value: float) -> str:
    return f"{value / 1e9:.1f} billion" if value >= 1e9 else millions(value)


def millions(value: float) -> str:
    return f"{value / 1e9:.2f} billion" if value >= 1e9 else f"{value / 1e6:.1f} million" if value >= 1e6 else f"{value:,.0f}"
