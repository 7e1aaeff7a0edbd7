"""Sentences classified by ONNX Runtime, in batches of similar length."""

from reporting import num_threads, read_settings, report_versions
from texts import in_batches, time_answers

settings = read_settings()


def load():
    import numpy as np
    import onnxruntime
    import tokenizers

    folder = f"{settings.work_dir}/{settings.weights}"
    vocab = f"{folder}/huggingface/vocab.txt"
    tokenizer = tokenizers.BertWordPieceTokenizer(vocab, lowercase=True)
    tokenizer.enable_padding()
    tokenizer.enable_truncation(128)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    path = f"{folder}/onnx/{settings.variant or 'optimized'}.onnx"
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(texts):
        found = tokenizer.encode_batch(list(texts))
        inputs = {
            "input_ids": np.array([text.ids for text in found], np.int64),
            "attention_mask": np.array([text.attention_mask for text in found], np.int64),
            "token_type_ids": np.array([text.type_ids for text in found], np.int64),
        }
        (logits,) = session.run(None, inputs)
        return 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))

    return in_batches(predict, settings.batch_size)


time_answers(load, settings)
report_versions("onnxruntime", "tokenizers")
