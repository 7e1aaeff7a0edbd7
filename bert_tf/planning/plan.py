"""Plans a pre-training run: computes hours, gigabytes and records from settings.

docs/planning.md explains the formulas, and compares plans with published runs.
"""

import contextlib
import dataclasses
import math

from bert_tf.config import BertConfig
from bert_tf.planning.costs import Products, count_pretraining_parameters, count_products
from bert_tf.planning.hardware import HARDWARE, Hardware, Rate, find_hardware
from bert_tf.planning.memory import Memory, MemoryModel
from bert_tf.planning.records import Examples, estimate_examples
from bert_tf.released.find_model import find_config, find_model
from bert_tf.released.hub import PREFIX
from bert_tf.released.models import find_released_model
from bert_tf.settings import PlanningSettings
from bert_tf.settings.phases import Phase, parse_phases

# Attention's products are small, with softmax, mask and dropout between them. Derived from NVIDIA's
# 206.5 examples/s at 128 and 40.95 at 512 tokens: BERT-Large, one V100, float16.
ATTENTION_WEIGHT = 4.6
# Bytes per parameter: the gradient is written, summed over replicas (read and written), and read
# for its norm; then gradient, weight and both moments are read, and the latter three written.
OPTIMIZER_BYTES = 10 * 4


@dataclasses.dataclass(frozen=True)
class PhasePlan:
    """Holds the estimates for one phase."""

    max_seq_length: int
    steps: int
    batch_size: int  # Of all devices.
    max_predictions: int
    products: Products
    batch_per_replica: int
    accumulation_steps: int
    largest_batch: int  # The largest micro-batch that fits into a replica's memory.
    memory: Memory  # Of a replica, with these micro-batches.
    seconds_per_step: float
    examples_per_second: float  # Of all devices.
    hours: float
    examples: Examples
    tokens: float  # Word pieces seen, without padding.
    passes: float  # How often the run reads each record.


@dataclasses.dataclass(frozen=True)
class Plan:
    """Holds the estimates for a pre-training run."""

    settings: PlanningSettings
    config: BertConfig
    hardware: Hardware
    rate: Rate
    num_replicas: int
    device_memory: float  # Bytes that a replica may use.
    parameters: int
    phases: tuple[PhasePlan, ...] = ()

    @property
    def days(self) -> float:
        """Training time, without evaluations, checkpoints and interruptions."""
        return sum(phase.hours for phase in self.phases) / 24

    @property
    def flops(self) -> float:
        """FLOPs of all matrix products of the run."""
        return sum(p.steps * p.batch_size * p.products.total for p in self.phases)

    @property
    def epochs(self) -> float:
        """Tokens seen, divided by the tokens of the corpus."""
        tokens = self.settings.corpus_words * self.settings.tokens_per_word
        return sum(phase.tokens for phase in self.phases) / tokens


def make_plan(settings: PlanningSettings) -> Plan:
    """Plans a pre-training run.

    Raises a ValueError for an unknown model or hardware, for impossible phases, lengths or batch
    sizes, or if not even one example fits into memory (the message names remedies).
    """
    config = _read_config(settings)
    hardware = find_hardware(settings.hardware, settings.peak_flops or None)
    rate = hardware.rate(settings.mixed_precision)
    if settings.efficiency:
        rate = Rate(rate.peak, settings.efficiency, "as given by --efficiency")
    plan = Plan(
        *(settings, config, hardware, rate),
        num_replicas=settings.num_chips * hardware.devices_per_chip,
        device_memory=_usable_memory(hardware, settings.memory_margin),
        parameters=count_pretraining_parameters(config),
    )
    phases = parse_phases(",".join(settings.phases))
    if settings.phases == PlanningSettings.phases:  # A smaller model has fewer positions.
        longest = config.longest_sequence
        lengths = [min(phase.max_seq_length, longest) for phase in phases]
        pairs = zip(phases, lengths, strict=True)
        phases = [dataclasses.replace(phase, max_seq_length=length) for phase, length in pairs]
    return dataclasses.replace(plan, phases=tuple(_plan_phase(plan, phase) for phase in phases))


def _read_config(settings: PlanningSettings) -> BertConfig:
    path = settings.bert_config_file
    if not (path or settings.model.startswith(PREFIX)):  # A plan needs no weights.
        path = find_config(settings.model)
        if not path:
            with contextlib.suppress(ValueError):
                return find_released_model(settings.model).config
    return BertConfig.from_json_file(path or find_model(settings.model).bert_config_file)


def step_seconds(
    products: Products, num_examples: float, parameters: int, hardware: Hardware, rate: Rate
) -> float:
    """Returns the seconds that a replica takes for a step with `num_examples` examples."""
    share = 1.0 / hardware.devices_per_chip
    weighted = products.weights + ATTENTION_WEIGHT * products.attention
    computing = num_examples * weighted / (rate.efficiency * rate.peak * share)
    return computing + OPTIMIZER_BYTES * parameters / (hardware.bandwidth * share)


def _usable_memory(hardware: Hardware, margin: float) -> float:
    return (1.0 - margin) * hardware.memory_bytes / hardware.devices_per_chip


def _plan_phase(plan: Plan, phase: Phase) -> PhasePlan:
    settings, length = _settings_of(plan, phase), phase.max_seq_length
    masked = phase.max_predictions_per_seq or math.ceil(settings.masked_lm_prob * length)
    model = MemoryModel(
        *(plan.config, length, masked),
        is_half=bool(settings.mixed_precision),
        recomputes=settings.recompute_activations,
        is_compiled=settings.xla or plan.hardware.always_compiles,
    )
    products = count_products(plan.config, length, masked, settings.recompute_activations)
    examples = estimate_examples(settings, length, masked, plan.config.vocab_size)
    batch = settings.train_batch_size // plan.num_replicas
    parts = _count_parts(plan, settings, model, batch)
    seconds = step_seconds(products, batch, plan.parameters, plan.hardware, plan.rate)
    if plan.num_replicas > 1:
        seconds /= settings.scaling_efficiency
    num_seen = phase.num_steps * settings.train_batch_size
    return PhasePlan(
        *(length, phase.num_steps, settings.train_batch_size, masked, products, batch, parts),
        largest_batch=model.largest_batch(plan.device_memory, parts > 1),
        memory=model.of_batch(batch // parts, parts > 1),
        seconds_per_step=seconds,
        examples_per_second=settings.train_batch_size / seconds,
        hours=phase.num_steps * seconds / 3600,
        examples=examples,
        tokens=num_seen * examples.mean_tokens,
        passes=num_seen / examples.number,
    )


def _settings_of(plan: Plan, phase: Phase) -> PlanningSettings:
    """Returns the settings of a phase, which may have a batch size of its own."""
    longest = plan.config.longest_sequence
    if not 5 <= phase.max_seq_length <= longest:
        raise ValueError(
            f"--phases: a length must be from 5 to the model's max_position_embeddings, {longest}. "
            f"Received: {phase.max_seq_length} in {','.join(plan.settings.phases)!r}"
        )
    own = phase.own_values("train_batch_size", "gradient_accumulation_steps")
    settings = dataclasses.replace(plan.settings, **own)
    if settings.train_batch_size % plan.num_replicas:
        above = math.ceil(settings.train_batch_size / plan.num_replicas) * plan.num_replicas
        raise ValueError(
            "--train_batch_size must be a multiple of the number of replicas, "
            f"{plan.num_replicas}. Received: {settings.train_batch_size}; {above} would do."
        )
    return settings


def _count_parts(plan: Plan, settings: PlanningSettings, model: MemoryModel, batch: int) -> int:
    """Returns the number of micro-batches per step: the given one, or the fewest that fit."""
    given = settings.gradient_accumulation_steps
    if given and batch % given:
        raise ValueError(
            f"--gradient_accumulation_steps must divide the {batch} examples of a replica. "
            f"Received: {given}"
        )

    def fits(parts: int) -> bool:
        return model.of_batch(batch // parts, parts > 1).total <= plan.device_memory

    possible = (parts for parts in range(1, batch + 1) if batch % parts == 0)
    fewest = next(filter(fits, possible), None)
    if fewest is None:
        raise ValueError(_explain(plan, model, accumulates=batch > 1))
    if given and not fits(given):
        raise ValueError(
            f"A replica's {batch} examples do not fit into {plan.device_memory / 1e9:.1f} GB in "
            f"{given} micro-batches. --gradient_accumulation_steps={fewest} would do."
        )
    return given or fewest


def _explain(plan: Plan, model: MemoryModel, accumulates: bool) -> str:
    """Returns an error message: why no example fits, and which flags would help."""
    xla, recompute = {"is_compiled": True}, {"recomputes": True}
    tries = [
        ("--xla", xla),
        ("--recompute_activations", recompute),
        ("--xla --recompute_activations", xla | recompute),
    ]
    for precision in [precision for precision in plan.hardware.rates if precision][:1]:
        flag, half = f"--mixed_precision={precision}", {"is_half": True}
        tries += [(flag, half), (f"--recompute_activations {flag}", recompute | half)]
    remedies, tried = [], {model}
    for flags, changes in tries:
        changed = dataclasses.replace(model, **changes)
        if changed not in tried and changed.largest_batch(plan.device_memory, accumulates):
            remedies.append(flags)
        tried.add(changed)
    needed, idle = model.of_batch(1, accumulates).total, model.of_batch(0, accumulates).total
    margin = plan.settings.memory_margin
    larger = [other.name for other in HARDWARE if _usable_memory(other, margin) >= needed]
    if larger:
        remedies.append(f"--hardware={'|'.join(larger)}")
    return (
        f"One example of {model.max_seq_length} tokens needs {needed / 1e9:.1f} GB "
        f"({idle / 1e9:.1f} without activations); a replica has {plan.device_memory / 1e9:.1f} GB. "
        f"Would do: {'; or '.join(remedies) or 'a smaller model or a shorter length'}."
    )
