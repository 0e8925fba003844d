"""Log-probabilities that vLLM gives to the tokens of given text; run by fidelity.py with a Python that has vLLM."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Read folder, rows.json, found.npz and how many tokens per place from the command line."""
    folder, given, taken, top = sys.argv[1:]
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm import LLM, SamplingParams

    rows = json.loads(Path(given).read_text(encoding="utf-8"))
    longest = max(len(prompt) + len(reply) for prompt, reply in rows)
    llm = LLM(folder, dtype="bfloat16", max_model_len=longest + 1, max_logprobs=int(top), enforce_eager=True,
              enable_prefix_caching=False, max_num_seqs=64)  # fmt: skip
    settings = SamplingParams(max_tokens=1, prompt_logprobs=int(top))
    found = llm.generate([{"prompt_token_ids": prompt + reply} for prompt, reply in rows], settings)
    values, ids = [], []
    for one, (prompt, _) in zip(found, rows, strict=True):
        for place in one.prompt_logprobs[len(prompt) :]:
            best = sorted(place.items(), key=lambda pair: -pair[1].logprob)[: int(top)]
            ids.append([token for token, _ in best])
            values.append([told.logprob for _, told in best])
    np.savez(taken, values=np.array(values, np.float32), ids=np.array(ids, np.int64))


if __name__ == "__main__":
    main()
