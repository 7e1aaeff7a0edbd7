"""Exports a Hugging Face model to ONNX, if it is not there: as it is, optimized, and in int8."""

from pathlib import Path

from reporting import read_settings

settings = read_settings()
model_folder = Path(settings.work_dir) / settings.weights
folder = model_folder / "onnx"


def export(partial: Path) -> None:
    import onnx
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        model_folder / "huggingface", attn_implementation="eager"
    ).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    plain, optimized = str(partial / "plain.onnx"), str(partial / "optimized.onnx")
    torch.onnx.export(
        model,
        tuple(torch.ones([2, 8], dtype=torch.int64) for _ in names),
        plain,
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
        dynamo=False,
    )
    heads, width = model.config.num_attention_heads, model.config.hidden_size
    fused = optimize_model(plain, model_type="bert", num_heads=heads, hidden_size=width)
    fused.save_model_to_file(optimized)
    quantize_dynamic(
        plain,
        str(partial / "int8.onnx"),
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


if not folder.exists():
    partial = folder.with_name("onnx.partial")
    partial.mkdir(exist_ok=True)
    export(partial)
    partial.rename(folder)
