"""Makes Hugging Face's Trainer train as BERT's authors did."""

import time

import finetuning
import torch
from reporting import num_threads
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

MANY_STEPS = 1e6  # After so many steps Adam's bias correction is none.


class Clock(TrainerCallback):
    """Measures the seconds of each group of steps."""

    def __init__(self):
        self.seconds: list[float] = []

    def on_train_begin(self, args, state, control, **kwargs):
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step % finetuning.GROUP == 0:
            now = time.perf_counter()
            self.seconds.append(now - self.start)
            self.start = now


def make_trainer(settings, model, tokenizer, features, collate, num_examples=0):
    """Returns a Trainer of `features`, and the clock that times it.

    `num_examples`, if they are not as many as the features, say how many steps an epoch has.
    """
    torch.set_num_threads(num_threads())
    num_steps = int((num_examples or len(features)) / settings.batch_size * settings.epochs)
    by_length = settings.variant == "by_length"
    arguments = TrainingArguments(
        output_dir=str(finetuning.output_folder(settings, "huggingface")),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        max_steps=num_steps,
        max_grad_norm=1.0,
        seed=finetuning.seed(settings),
        train_sampling_strategy="group_by_length" if by_length else "random",
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    optimizer = make_optimizer(model, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, Schedule(num_steps))
    clock = Clock()
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=features,
        processing_class=tokenizer,
        optimizers=(optimizer, schedule),
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)  # Figures are to be alone on the standard output.
    return trainer, clock


class Schedule:
    """The original's warm-up over a tenth of the steps, and linear decay from the first step on."""

    def __init__(self, num_steps: int):
        self.num_steps, self.warmup = num_steps, int(0.1 * num_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return step / self.warmup
        return 1 - min(step, self.num_steps) / self.num_steps


def make_optimizer(model: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    """Returns AdamW as in BERT: decay 0.01 but for LayerNorm and biases, no bias correction."""
    named = list(model.named_parameters())
    plain = [weight for name, weight in named if "LayerNorm" in name or name.endswith("bias")]
    decayed = [weight for name, weight in named if not any(weight is other for other in plain)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, eps=1e-6, fused=True)
    for _, weight in named:
        optimizer.state[weight] = {
            "step": torch.tensor(MANY_STEPS),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return optimizer
