"""Sentences classified by Hugging Face transformers with PyTorch, in batches of similar length."""

from reporting import num_threads, read_settings, report_versions
from texts import in_batches, time_answers

settings = read_settings()


def load():
    import torch
    import transformers

    torch.set_num_threads(num_threads())
    folder = f"{settings.work_dir}/{settings.weights}/huggingface"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()

    @torch.inference_mode()
    def predict(texts):
        inputs = tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        return model(**inputs).logits.softmax(-1)[:, 1].tolist()

    return in_batches(predict, settings.batch_size)


time_answers(load, settings)
report_versions("torch", "transformers")
