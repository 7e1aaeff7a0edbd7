"""Pre-training steps by Hugging Face transformers with PyTorch."""

import contextlib

import torch
import transformers
from reporting import num_threads, read_settings, report_versions
from training_batch import make_batch, time_steps

settings = read_settings()
torch.manual_seed(1)
torch.set_num_threads(num_threads())
config = transformers.BertConfig(
    vocab_size=settings.vocab_size,
    hidden_size=settings.hidden_size,
    num_hidden_layers=settings.num_hidden_layers,
    num_attention_heads=settings.num_attention_heads,
    intermediate_size=4 * settings.hidden_size,
    hidden_act="gelu_new",
    hidden_dropout_prob=settings.dropout,
    attention_probs_dropout_prob=settings.dropout,
)
if settings.weights:
    folder = f"{settings.work_dir}/{settings.weights}/huggingface"
    model = transformers.BertForPreTraining.from_pretrained(folder, config=config)
else:
    model = transformers.BertForPreTraining(config)
model.train()

batch = {name: torch.from_numpy(array).long() for name, array in make_batch(settings).items()}
labels = torch.full_like(batch["input_ids"], -100)  # Only masked positions count.
labels.scatter_(1, batch["masked_lm_positions"], batch["masked_lm_ids"])
inputs = {
    "input_ids": batch["input_ids"],
    "attention_mask": batch["input_mask"],
    "token_type_ids": batch["segment_ids"],
    "labels": labels,
    "next_sentence_label": batch["next_sentence_labels"].reshape(-1),
}

named = list(model.named_parameters())
is_exempt = ["LayerNorm" in name or name.endswith("bias") for name, _ in named]
groups = [
    {"params": [p for (_, p), no in zip(named, is_exempt, strict=True) if no], "weight_decay": 0.0},
    {"params": [p for (_, p), no in zip(named, is_exempt, strict=True) if not no]},
]
optimizer = torch.optim.AdamW(groups, lr=1e-4, eps=1e-6, weight_decay=0.01)
schedule = transformers.get_linear_schedule_with_warmup(optimizer, 10, 1000)


def step() -> float:
    in_bfloat16 = torch.autocast("cpu", torch.bfloat16)
    with in_bfloat16 if settings.precision else contextlib.nullcontext():
        loss = model(**inputs).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    return loss.item()


time_steps(step, settings)
report_versions("torch", "transformers")
