"""What the machine can do at most: the rate of matrix products, and how many of them a token needs."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from adhere.models.llama import load_llama

ROWS, WIDTH, DEPTH = 1024, 576, 3072  # the largest projection of SmolLM2-135M on 1,024 tokens


def product_rate(kind: torch.dtype) -> float:
    """FLOP per second of the model's largest matrix product, the best of several."""
    rows, matrix = torch.randn(ROWS, WIDTH).to(kind), torch.randn(DEPTH, WIDTH).to(kind)
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(5):
            rows @ matrix.T
        best = max(best, 5 * 2 * ROWS * WIDTH * DEPTH / (time.perf_counter() - start))
    return best


def parameters_of(folder: Path) -> int:
    """Parameters that take part in matrix products, the tied head counted once."""
    model = load_llama(folder, "fp32", "cpu")
    return model.head.numel() + sum(weight.numel() for layer in model.layers for weight in layer.weights.values())
