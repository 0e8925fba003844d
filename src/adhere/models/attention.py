"""Causal attention over a flat stream of segments: no padding, no token sees another segment.

The stream is `[tokens, heads * width]`; `Layout` says where each segment starts and ends. On a CPU the work
is done segment by segment in blocks of queries with batched matrix products, which on short segments was
two to four times as fast as the fused kernel of torch. Elsewhere segments are padded and given to that kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_BLOCK = 128  # queries at a time: scores of a block stay in the second-level cache


@dataclass(frozen=True)
class Heads:
    """How a fused projection is divided: query heads, key and value heads, width of each."""

    queries: int
    keys: int
    width: int

    @property
    def group(self) -> int:
        """Query heads per key head."""
        return self.queries // self.keys


@dataclass(frozen=True)
class Layout:
    """Segments of a flat stream of tokens.

    `bounds` are half-open `(start, end)` pairs that cover the stream; `cos` and `sin` are the rotary tables
    `[tokens, 1, width / 2]` in fp32, positions counted from the start of each segment; `mask` holds -inf above the
    diagonal of one block.
    """

    bounds: tuple[tuple[int, int], ...]
    cos: Tensor
    sin: Tensor
    mask: Tensor

    @property
    def tokens(self) -> int:
        """Length of the stream."""
        return self.bounds[-1][1] if self.bounds else 0


def lay_out(lengths: Sequence[int], frequencies: Tensor) -> Layout:
    """The layout of segments of these lengths; `frequencies` are the rotary frequencies `[width / 2]`."""
    bounds, start = [], 0
    for length in lengths:
        bounds.append((start, start + length))
        start += length
    device = frequencies.device
    table = torch.arange(max(lengths, default=0), device=device, dtype=torch.float32)[:, None] * frequencies[None, :]
    positions = (
        torch.cat([torch.arange(length, device=device) for length in lengths]) if lengths else table[:, 0].long()
    )
    angles = table[positions][:, None, :]
    mask = torch.full((_BLOCK, _BLOCK), float("-inf"), device=device).triu_(1)
    return Layout(tuple(bounds), angles.cos(), angles.sin(), mask)


def attend(qkv: Tensor, layout: Layout, heads: Heads) -> Tensor:
    """Attention of every token to itself and the earlier tokens of its segment.

    `qkv` is `[tokens, (queries + 2 keys) * width]`, not yet rotated; the result `[tokens, queries * width]`.
    """
    if qkv.device.type == "cpu":
        return _BlockAttention.apply(qkv, layout, heads)  # type: ignore[no-any-return, no-untyped-call]
    return attend_padded(qkv, layout, heads)


def attend_padded(qkv: Tensor, layout: Layout, heads: Heads) -> Tensor:
    """The same as `attend`, with segments padded to the longest and torch's own kernel."""
    tokens = qkv.shape[0]
    split = qkv.view(tokens, heads.queries + 2 * heads.keys, heads.width)
    turned = heads.queries + heads.keys
    first, second = split[:, :turned].float().chunk(2, dim=-1)
    rotated = torch.cat(
        (first * layout.cos - second * layout.sin, second * layout.cos + first * layout.sin), dim=-1
    ).to(qkv.dtype)
    longest = max(end - start for start, end in layout.bounds)
    place = torch.full((len(layout.bounds), longest), tokens, device=qkv.device)
    for row, (start, end) in enumerate(layout.bounds):
        place[row, : end - start] = torch.arange(start, end, device=qkv.device)

    def spread(part: Tensor) -> Tensor:
        blank = torch.cat((part, part.new_zeros(1, *part.shape[1:])))
        return blank[place].transpose(1, 2)

    mixed = functional.scaled_dot_product_attention(
        spread(rotated[:, : heads.queries]),
        spread(rotated[:, heads.queries :]).repeat_interleave(heads.group, dim=1),
        spread(split[:, turned:]).repeat_interleave(heads.group, dim=1),
        is_causal=True,
    )
    return mixed.transpose(1, 2)[place < tokens].reshape(tokens, heads.queries * heads.width)


def _rotate(split: Tensor, layout: Layout, sign: float) -> Tensor:
    """Rotary positions on `[tokens, heads, width]` in fp32; `sign` -1 turns back."""
    half = split.shape[-1] // 2
    first, second = split[..., :half], split[..., half:]
    out = torch.empty(split.shape, dtype=torch.float32, device=split.device)
    torch.mul(first, layout.cos, out=out[..., :half]).addcmul_(second, layout.sin, value=-sign)
    torch.mul(second, layout.cos, out=out[..., half:]).addcmul_(first, layout.sin, value=sign)
    return out


class _BlockAttention(torch.autograd.Function):
    """Rotary positions and causal attention, segment by segment, with its gradient written out."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, layout: Layout, heads: Heads) -> Tensor:
        kind = qkv.dtype
        split = qkv.view(qkv.shape[0], heads.queries + 2 * heads.keys, heads.width)
        turned = heads.queries + heads.keys
        rotated = _rotate(split[:, :turned].float(), layout, 1.0)
        rotated[:, : heads.queries] *= heads.width**-0.5  # on the queries once, not on every score
        queries, keys = _by_head(rotated[:, : heads.queries].to(kind)), _by_head(rotated[:, heads.queries :].to(kind))
        values = _by_head(split[:, turned:])
        out = torch.empty_like(queries)
        shares: list[Tensor] = []
        for query, key, seen in _blocks(layout):
            rows = _grouped(queries[:, query], heads)
            scores = torch.bmm(rows, keys[:, seen].transpose(1, 2)).float()
            height = query.stop - query.start
            scores.view(heads.keys, heads.group, height, -1)[..., key:] += layout.mask[:height, :height]
            share = torch.softmax(scores, -1).to(kind)
            out[:, query] = torch.bmm(share, values[:, seen]).view(heads.queries, height, heads.width)
            shares.append(share)
        if ctx.needs_input_grad[0]:
            ctx.kept = (queries, keys, values, out, shares, layout, heads)
        return out.transpose(0, 1).reshape(qkv.shape[0], heads.queries * heads.width)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        queries, keys, values, out, shares, layout, heads = ctx.kept
        ctx.kept = None
        tokens = queries.shape[1]
        grad_out = _by_head(grads[0].view(tokens, heads.queries, heads.width))
        # sum over keys of share * d(share), from the outputs: one product per head and token
        inner = (grad_out.float() * out.float()).sum(-1, keepdim=True)
        turned = heads.queries + heads.keys
        grad = torch.zeros(turned + heads.keys, tokens, heads.width, dtype=torch.float32, device=out.device)
        grad_queries, grad_keys, grad_values = grad[: heads.queries], grad[heads.queries : turned], grad[turned:]
        for (query, _, seen), share in zip(_blocks(layout), shares, strict=True):
            rows = _grouped(queries[:, query], heads)
            above = _grouped(grad_out[:, query], heads)
            grad_values[:, seen] += torch.bmm(share.transpose(1, 2), above)
            slope = torch.bmm(above, values[:, seen].transpose(1, 2)).float()
            slope = slope.sub_(_grouped(inner[:, query], heads)).mul_(share).to(share.dtype)
            grad_queries[:, query] = torch.bmm(slope, keys[:, seen]).view(heads.queries, -1, heads.width)
            grad_keys[:, seen] += torch.bmm(slope.transpose(1, 2), rows)
        grad_queries *= heads.width**-0.5
        back = grad.transpose(0, 1)
        whole = torch.empty(tokens, turned + heads.keys, heads.width, dtype=queries.dtype, device=out.device)
        whole[:, :turned] = _rotate(back[:, :turned], layout, -1.0)
        whole[:, turned:] = back[:, turned:]
        return whole.view(tokens, -1), None, None


def _by_head(split: Tensor) -> Tensor:
    return split.transpose(0, 1).contiguous()


def _grouped(part: Tensor, heads: Heads) -> Tensor:
    """`[queries, tokens, ...]` as `[keys, group * tokens, ...]`, so that keys are shared without a copy of them."""
    return part.reshape(heads.keys, heads.group * part.shape[1], part.shape[2])


def _blocks(layout: Layout) -> list[tuple[slice, int, slice]]:
    """Per block of queries: its slice of the stream, its offset in the segment, the slice of keys it sees."""
    found = []
    for start, end in layout.bounds:
        for first in range(start, end, _BLOCK):
            last = min(first + _BLOCK, end)
            found.append((slice(first, last), first - start, slice(start, last)))
    return found
