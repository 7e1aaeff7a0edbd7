"""Text to ids: tokenizers, vocabulary learning, packing."""
