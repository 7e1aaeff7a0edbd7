"""Formats a plan as text or JSON, and the table of hardware as text."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from bert_tf.planning.hardware import HARDWARE, Hardware
from bert_tf.planning.plan import PhasePlan, Plan

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))
_NUMBERS = ((1e9, "billion"), (1e6, "million"))


def plan_lines(plan: Plan) -> list[str]:
    """Returns the lines of a plan, for people."""
    config, settings = plan.config, plan.settings
    lines = [
        _row(
            "model",
            f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, vocabulary of "
            f"{config.vocab_size:,}; {plan.parameters:,} parameters",
        ),
        _row(
            "hardware",
            f"{settings.num_chips} x {plan.hardware.description}; {plan.num_replicas} replicas "
            f"with {gigabytes(plan.hardware.memory_bytes / plan.hardware.devices_per_chip)} each",
        ),
        _row(
            "rate",
            f"peak {with_prefix(plan.rate.peak)}FLOP/s per chip in "
            f"{settings.mixed_precision or 'float32'}, {100 * plan.rate.efficiency:.3g} % reached",
        ),
        _row("", f"({plan.rate.source})"),
    ]
    for number, phase in enumerate(plan.phases, start=1):
        lines += ["", f"PHASE {number}: {phase.steps:,} steps of {phase.max_seq_length} tokens"]
        lines += _phase_lines(plan, phase)
    words = settings.corpus_words
    lines += [
        "",
        "TOTAL",
        _row("time", f"{duration(24 * plan.days)}, without evaluations and checkpoints"),
        _row("computation", f"{with_prefix(plan.flops)}FLOPs in matrix products"),
        _row(
            "tokens seen",
            f"{rounded(sum(phase.tokens for phase in plan.phases))} without padding: "
            f"{plan.epochs:.1f} epochs of a corpus of {rounded(words)} words",
        ),
        _row(
            "records",
            f"{gigabytes(sum(phase.examples.total_bytes for phase in plan.phases))} "
            f"({settings.masking} masking)",
        ),
    ]
    return lines


def _phase_lines(plan: Plan, phase: PhasePlan) -> Iterable[str]:
    memory, examples = phase.memory, phase.examples
    at_a_time = phase.batch_per_replica // phase.accumulation_steps
    yield _row(
        "computation",
        f"{with_prefix(phase.products.total)}FLOPs per example, "
        f"{100 * phase.products.attention / phase.products.total:.0f} % in attention",
    )
    yield _row("speed", f"{phase.examples_per_second:,.5g} examples/s")
    yield _row("", f"{phase.seconds_per_step:.3g} s per step of {phase.batch_size:,} examples")
    yield _row("time", duration(phase.hours))
    yield _row(
        "memory",
        f"{gigabytes(memory.total)} per replica, of {gigabytes(plan.device_memory)} usable",
    )
    yield _row(
        "",
        f"weights {gigabytes(memory.weights)}, optimizer {gigabytes(memory.slots)}, gradients "
        f"{gigabytes(memory.gradients + memory.sums)}, activations "
        f"{gigabytes(memory.activations)}, logits {gigabytes(memory.logits)}",
    )
    yield _row(
        "batch",
        f"{phase.batch_per_replica:,} per replica"
        + (
            f" in {phase.accumulation_steps} micro-batches of {at_a_time:,} "
            f"(--gradient_accumulation_steps={phase.accumulation_steps})"
            if phase.accumulation_steps > 1
            else ""
        ),
    )
    yield _row("", f"the largest micro-batch that fits is {phase.largest_batch:,}")
    yield _row(
        "records",
        f"{rounded(examples.number)} of {examples.bytes_each:,.0f} bytes: "
        f"{gigabytes(examples.total_bytes)}; each is read {phase.passes:.2g} times",
    )


def hardware_lines(table: Iterable[Hardware] = HARDWARE) -> list[str]:
    """Returns the lines of the hardware table, with sources."""
    lines = []
    for hardware in table:
        lines += [
            f"{hardware.name:8} {hardware.description}",
            f"         memory {hardware.memory_bytes / 1e9:.0f} GB at "
            f"{hardware.bandwidth / 1e9:,.0f} GB/s"
            + (
                f", for {hardware.devices_per_chip} replicas"
                if hardware.devices_per_chip > 1
                else ""
            ),
            f"         ({hardware.source})",
        ]
        for precision, rate in hardware.rates.items():
            lines += [
                f"         {precision or 'float32':8} peak {rate.peak / 1e12:,.4g} TFLOP/s, "
                f"{100 * rate.efficiency:.3g} % reached",
                f"                  ({rate.source})",
            ]
    return [*lines, "cpu      this machine's processor: measured when the plan is made"]


def plan_json(plan: Plan) -> dict[str, Any]:
    """Returns the plan as JSON values: all fields of its dataclasses, and the totals."""
    values = dataclasses.asdict(plan)
    for phase, of_phase in zip(plan.phases, values["phases"], strict=True):
        of_phase["products"]["total"] = phase.products.total
        of_phase["memory"]["total"] = phase.memory.total
        of_phase["examples"]["total_bytes"] = phase.examples.total_bytes
    return {**values, "days": plan.days, "flops": plan.flops, "epochs": plan.epochs}


def with_prefix(value: float) -> str:
    """46e12 -> `46 T`, for the unit that follows."""
    for size, letter in _PREFIXES:
        if value >= size:
            return f"{value / size:,.4g} {letter}"
    return f"{value:,.4g} "


def rounded(value: float) -> str:
    """1.8e8 -> `180 million`."""
    for size, word in _NUMBERS:
        if value >= size:
            return f"{value / size:,.3g} {word}"
    return f"{value:,.0f}"


def gigabytes(num_bytes: float) -> str:
    """2.5e9 -> `2.5 GB`."""
    if num_bytes >= 1e12:
        return f"{num_bytes / 1e12:,.3g} TB"
    return f"{num_bytes / 1e9:,.3g} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:,.3g} MB"


def duration(hours: float) -> str:
    """Hours as days, hours or minutes."""
    if hours >= 48:
        return f"{hours / 24:.3g} days"
    return f"{hours:.3g} hours" if hours >= 1 else f"{60 * hours:.3g} minutes"


def _row(label: str, text: str) -> str:
    return f"  {label:12} {text}"
