"""How the bundled models are made: generated notes in; a tokenizer, weights, GGUF, ONNX and an evaluation out."""
