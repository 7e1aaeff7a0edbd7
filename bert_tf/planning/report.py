"""Formats a plan as text or JSON, and the table of hardware as text."""

import dataclasses
from typing import Any

from bert_tf.planning.hardware import HARDWARE
from bert_tf.planning.plan import PhasePlan, Plan

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (0.0, ""))


def plan_lines(plan: Plan) -> list[str]:
    """Returns the lines of a plan."""
    config, settings, hardware = plan.config, plan.settings, plan.hardware
    memory = _bytes(hardware.memory_bytes / hardware.devices_per_chip)
    tokens = sum(phase.tokens for phase in plan.phases)
    disk = _bytes(sum(phase.examples.total_bytes for phase in plan.phases))
    lines = _rows(
        model=f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, vocabulary of "
        f"{config.vocab_size:,}; {plan.parameters:,} parameters",
        hardware=f"{settings.num_chips} x {hardware.description}; {plan.num_replicas} replicas "
        f"with {memory} each",
        rate=f"peak {_with_prefix(plan.rate.peak)}FLOP/s per chip in "
        f"{settings.mixed_precision or 'float32'}, {100 * plan.rate.efficiency:.3g} % reached\n"
        f"({plan.rate.source})",
    )
    for number, phase in enumerate(plan.phases, start=1):
        lines += ["", f"PHASE {number}: {phase.steps:,} steps of {phase.max_seq_length} tokens"]
        lines += _phase_lines(plan, phase)
    lines += ["", "TOTAL"]
    lines += _rows(
        time=f"{_duration(24 * plan.days)}, without evaluations and checkpoints",
        computation=f"{_with_prefix(plan.flops)}FLOPs in matrix products",
        tokens_seen=f"{_count(tokens)} without padding: {plan.epochs:.1f} epochs of a corpus of "
        f"{_count(settings.corpus_words)} words",
        records=f"{disk} ({settings.masking} masking)",
    )
    return lines


def _phase_lines(plan: Plan, phase: PhasePlan) -> list[str]:
    memory, examples, products = phase.memory, phase.examples, phase.products
    batch = f"{phase.batch_per_replica:,} per replica"
    if phase.accumulation_steps > 1:
        at_a_time = phase.batch_per_replica // phase.accumulation_steps
        batch += (
            f" in {phase.accumulation_steps} micro-batches of {at_a_time:,} "
            f"(--gradient_accumulation_steps={phase.accumulation_steps})"
        )
    return _rows(
        computation=f"{_with_prefix(products.total)}FLOPs per example, "
        f"{100 * products.attention / products.total:.0f} % in attention",
        speed=f"{phase.examples_per_second:,.5g} examples/s\n"
        f"{phase.seconds_per_step:.3g} s per step of {phase.batch_size:,} examples",
        time=_duration(phase.hours),
        memory=f"{_bytes(memory.total)} per replica, of {_bytes(plan.device_memory)} usable\n"
        f"weights {_bytes(memory.weights)}, optimizer {_bytes(memory.slots)}, gradients "
        f"{_bytes(memory.gradients + memory.sums)}, activations "
        f"{_bytes(memory.activations)}, logits {_bytes(memory.logits)}",
        batch=f"{batch}\nthe largest micro-batch that fits is {phase.largest_batch:,}",
        records=f"{_count(examples.number)} of {examples.bytes_each:,.0f} bytes: "
        f"{_bytes(examples.total_bytes)}; each is read {phase.passes:.2g} times",
    )


def hardware_lines() -> list[str]:
    """Returns the lines of the hardware table, with sources."""
    lines, indent = [], 9 * " "
    for hardware in HARDWARE:
        replicas = hardware.devices_per_chip
        lines += [
            f"{hardware.name:8} {hardware.description}",
            f"{indent}memory {hardware.memory_bytes / 1e9:.0f} GB at "
            f"{hardware.bandwidth / 1e9:,.0f} GB/s"
            + (f", for {replicas} replicas" if replicas > 1 else ""),
            f"{indent}({hardware.source})",
        ]
        for precision, rate in hardware.rates.items():
            lines += [
                f"{indent}{precision or 'float32':8} peak {rate.peak / 1e12:,.4g} TFLOP/s, "
                f"{100 * rate.efficiency:.3g} % reached",
                f"{2 * indent}({rate.source})",
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


def _rows(**texts: str) -> list[str]:
    """Returns a labelled row for each text; its further lines have no label."""
    lines = []
    for name, text in texts.items():
        label = name.replace("_", " ")
        for line in text.split("\n"):
            lines.append(f"  {label:12} {line}")
            label = ""
    return lines


def _with_prefix(value: float) -> str:
    """Returns 46e12 as `46 T`, for the unit that follows."""
    size, letter = next(prefix for prefix in _PREFIXES if value >= prefix[0])
    return f"{value / (size or 1.0):,.4g} {letter}"


def _count(value: float) -> str:
    """Returns 1.8e8 as `180 million`."""
    if value < 1e6:
        return f"{value:,.0f}"
    return f"{value / 1e9:,.3g} billion" if value >= 1e9 else f"{value / 1e6:,.3g} million"


def _bytes(num_bytes: float) -> str:
    if num_bytes >= 1e12:
        return f"{num_bytes / 1e12:,.3g} TB"
    return f"{num_bytes / 1e9:,.3g} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:,.3g} MB"


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.3g} days"
    return f"{hours:.3g} hours" if hours >= 1 else f"{60 * hours:.3g} minutes"
