"""microsoft_attention.py - the cases of microsoft.py for attention: Attention, QAttention, MultiHeadAttention, their decoder forms, GroupQueryAttention."""
import math

import numpy as np

from microsoft_cases import *


def masks(batch, rows, past):
    total = rows + past
    yield None
    yield np.array([total - 1 - i for i in range(batch)], np.int32)
    yield np.concatenate([np.array([total - i for i in range(batch)]), np.array([1 - i for i in range(batch)])]).astype(np.int32)
    yield (np.arange(total)[None, :] < np.array([[total - 2], [total]])[:batch]).astype(np.int32)
    m = RNG.integers(0, 2, (batch, rows, total)).astype(np.int32)
    m[..., 0] = 1
    yield m


def plain(q, k, v):
    """softmax(q k' / sqrt(d)) v of [batch, rows, heads, size], heads joined."""
    q, k, v = (a.transpose(0, 2, 1, 3).astype(np.float64) for a in (q, k, v))
    e = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]))
    y = (e / e.sum(-1, keepdims=True)) @ v
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1).astype(np.float32)


def attention():
    b, s, n, d = 2, 5, 2, 4
    for causal in (0, 1):
        for past in (0, 3):
            for k, mask in enumerate(masks(b, s, past)):
                for bias in (False, True):
                    attrs = {"num_heads": n, "unidirectional": causal}
                    history = f32(2, b, n, past, d) if past else None
                    both = past and bias  # not in the peer's Attention
                    extra = f32(1, n, s, s + past) if bias else None
                    suite = "attention" if k in (1, 3, 4) and past and bias else None
                    case("Attention", [f32(b, s, 6), f32(6, 3 * n * d), f32(3 * n * d), mask, history] + ([extra] if bias and not both else []), attrs, "ff" if past else "f", const=(1,), tol=(1e-3, 1e-4), suite=suite)
                    q, key, v = f32(b, s, n * d), f32(b, s, n * d), f32(b, s, n * d)
                    pasts = [f32(b, n, past, d), f32(b, n, past, d)] if past else []
                    if not (k == 2):
                        case("MultiHeadAttention", [q, key, v, f32(3 * n * d) if bias else None, mask, extra] + pasts, {"num_heads": n, "unidirectional": causal}, "fff" if past else "f", tol=(1e-3, 1e-4),
                             suite="multi_head" if suite else None)
                if k != 2:
                    case("QAttention", [u8(b, s, 6), narrow(i8)(6, 3 * n * d), f32(3 * n * d), one(0.01), one(0.02), mask, one(120, np.uint8), one(3, np.int8), history],
                         {"num_heads": n, "unidirectional": causal}, "ff" if past else "f", const=(1,), tol=(1e-3, 1e-3), suite="q_attention" if k == 1 and past else None)
    case("Attention", [f32(b, s, 6), f32(6, 8 + 8 + 12), f32(28)], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 12], "scale": 0.3}, const=(1,), tol=(1e-3, 1e-4))
    case("Attention", [f32(b, s, 6), f32(6, 24), f32(24)], {"num_heads": 2, "mask_filter_value": -100.0}, const=(1,), tol=(1e-3, 1e-4))
    for bias in (False, True):
        case("MultiHeadAttention", [f32(b, s, 8), f32(b, 7, 8), f32(b, 7, 12), *([f32(28)] if bias else [])], {"num_heads": n, "scale": 0.4}, tol=(1e-3, 1e-4), suite="multi_head" if bias else None)
    case("MultiHeadAttention", [f32(b, s, 8), f32(b, n, 7, d), f32(b, n, 7, d)], {"num_heads": n}, tol=(1e-3, 1e-4), suite="multi_head")
    x, y = f32(b, s, n, 3, d), f32(b, 7, n, 2, d)
    case("MultiHeadAttention", [x], {"num_heads": n}, want=[plain(x[..., 0, :], x[..., 1, :], x[..., 2, :])], tol=(1e-3, 1e-4))
    q = f32(b, s, n, d)
    case("MultiHeadAttention", [q.reshape(b, s, -1), y], {"num_heads": n}, want=[plain(q, y[..., 0, :], y[..., 1, :])], tol=(1e-3, 1e-4))
    for interleaved in (0, 1):
        cos, sin = f32(16, 4), f32(16, 4)
        grid = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
        for place in (np.array([2]), grid):
            case("RotaryEmbedding", [f32(b, s, 24), place, cos, sin], {"interleaved": interleaved}, suite="rotary")
            case("RotaryEmbedding", [f32(b, 3, s, 8), place, cos, sin], {"interleaved": interleaved})
            case("RotaryEmbedding", [f32(b, s, 36), place, cos, sin], {"interleaved": interleaved, "num_heads": 3, "rotary_embedding_dim": 8})
    grouped()


def grouped():
    n, kv, d = 4, 2, 16
    tables = [f32(32, d // 2), f32(32, d // 2)]
    for packed in (False, True):
        for rope in (0, 1, 2):
            for extra in ({}, {"local_window_size": 3}, {"softcap": 2.0}, {"smooth_softmax": 1}, {"scale": 0.2}):
                for rows, past in ((4, 0), (1, 6), (3, 5)):
                    batch = 2 if rows != 3 else 1
                    q = f32(batch, rows, (n + 2 * kv) * d) if packed else f32(batch, rows, n * d)
                    key, v = (None, None) if packed else (f32(batch, rows, kv * d), f32(batch, rows, kv * d))
                    lengths = np.full(batch, past + rows - 1, np.int32)
                    if rows == 1:
                        lengths[1] -= 2
                    pasts = [f32(batch, kv, past, d), f32(batch, kv, past, d)]
                    attrs = {"num_heads": n, "kv_num_heads": kv, "do_rotary": int(rope > 0), "rotary_interleaved": int(rope > 1), **extra}
                    case("GroupQueryAttention", [q, key, v, *pasts, lengths, one(past + rows, np.int32)] + (tables if rope else []), attrs, "fff" if rows != 1 else "f--", const=(7, 8), tol=(1e-3, 1e-4),
                         suite="group_query" if rope == 1 and rows != 4 else None)
    q, key, v = f32(1, 4, n * d), f32(1, 4, kv * d), f32(1, 4, kv * d)
    base = [q, key, v, f32(1, kv, 0, d), f32(1, kv, 0, d), one([3], np.int32), one(4, np.int32), None, None, None]
    case("GroupQueryAttention", [*base, f32(1, n, 4, 4)], {"num_heads": n, "kv_num_heads": kv}, "fff", tol=(1e-3, 1e-4), suite="group_query")
    case("GroupQueryAttention", [*base, None, f32(n)], {"num_heads": n, "kv_num_heads": kv}, "fff", tol=(1e-3, 1e-4), suite="group_query")


def heads_of(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(0, 2, 1, 3).astype(np.float64)


def attended(q, k, v, add=0.0, scale=None):
    """[batch, heads, rows, size] each; add: what is added to the scores. Heads of the result are joined."""
    e = np.matmul(q, k.swapaxes(2, 3)) * (scale or 1 / math.sqrt(q.shape[-1])) + add
    e = np.exp(e - e.max(-1, keepdims=True))
    y = np.matmul(e / e.sum(-1, keepdims=True), v)
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1).astype(np.float32)


def projected(x, w, bias, n):
    return [heads_of(a, n) for a in np.split(np.matmul(x.astype(np.float64), w) + bias, 3, -1)]


def turned(x, first, size):
    """Rotary embedding of [batch, heads, rows, width], halves of the first `size` lanes together, by places from `first` on."""
    angle = (np.arange(x.shape[2]) + first)[:, None] * 10000.0 ** (-2 * np.arange(size // 2) / size)
    a, b, rest = x[..., :size // 2], x[..., size // 2:size], x[..., size:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle), rest], -1)


def attention_forms():
    """What the plain attention cases leave out; the peer's CPU provider does not run masks of four axes, shared buffers and do_rotary of Attention."""
    b, s, n, d, tol = 2, 3, 2, 32, (1e-3, 1e-4)
    x, w, bias, past = f32(b, s, 6), f32(6, 3 * n * d), f32(3 * n * d), f32(2, b, n, 4, d)
    for causal in (0, 1):
        q, k, v = projected(x, w, 0, n)  # without a bias the peer crashes
        later = np.where(np.arange(s) <= np.arange(s)[:, None], 0, -1e30) if causal else 0
        case("Attention", [x, w, None], {"num_heads": n, "unidirectional": causal}, "ff", want=[attended(q, k, v, later), np.stack([k, v]).astype(np.float32)], tol=tol)
        case("Attention", [x, w, bias], {"num_heads": n, "unidirectional": causal}, "ff", tol=tol)
        case("Attention", [x, w, bias, None, past, None, one(2, np.int32)], {"num_heads": n, "unidirectional": causal, "past_present_share_buffer": 0}, "ff", tol=tol)
        case("Attention", [x, w, bias, one([2, 3], np.int32)], {"num_heads": n, "unidirectional": causal, "mask_filter_value": -5.0, "scale": 0.2}, tol=tol)
        q, k, v = projected(x, w, bias, n)
        for extra in (0, 4):
            mask = RNG.integers(0, 2, (b, 1, 9, 9)).astype(np.int32)
            mask[..., 0] = 1
            later = np.where(np.arange(s + extra) <= np.arange(s)[:, None] + extra, 0, -1e30) if causal else 0
            kk, vv = (np.concatenate([past[i], a], 2) if extra else a for i, a in ((0, k), (1, v)))
            case("Attention", [x, w, bias, mask] + ([past] if extra else []), {"num_heads": n, "unidirectional": causal}, "f",
                 want=[attended(q, kk, vv, (1 - mask[:, :, extra:extra + s, :extra + s]) * -10000.0 + later)], tol=tol, suite="attention_square" if extra else None)
            for size in (0, 16):
                for y_type in (0, 1):
                    qq, kk = (turned(a, extra, size or d) for a in (q, k))
                    both = [np.concatenate([past[0], kk], 2), np.concatenate([past[1], v], 2)] if extra else [kk, v]
                    case("Attention", [x, w, bias] + ([None, past] if extra else []), {"num_heads": n, "unidirectional": causal, "do_rotary": 1, **({"rotary_embedding_dim": size} if size else {})},
                         "ff" if y_type else "f", want=[attended(qq, *both, later)] + ([np.stack(both).astype(np.float32)] if y_type else []), tol=tol,
                         suite="attention_rotary" if size and extra and y_type else None)
        room = f32(2, b, n, 8, d)
        for at in (0, 2):
            for masked in (False, True):
                both = room.copy()
                both[0, :, :, at:at + s], both[1, :, :, at:at + s] = k, v
                mask = RNG.integers(0, 2, (b, at + s)).astype(np.int32)
                mask[:, 0] = 1
                later = np.where(np.arange(s + at) <= np.arange(s)[:, None] + at, 0, -1e30) if causal else 0
                hidden = (1 - mask[:, None, None]) * -10000.0 if masked else 0
                case("Attention", [x, w, bias, mask if masked else None, room, None, one([at], np.int32)], {"num_heads": n, "unidirectional": causal, "past_present_share_buffer": 1}, "ff",
                     want=[attended(q, *both[:, :, :, :at + s].astype(np.float64), hidden + later), both], tol=tol, suite="attention_shared" if masked and at else None)
    for make, dt in ((narrow(i8), np.int8), (narrow(u8), np.uint8)):
        for wide in (False, True):
            for zeros in (False, True):
                for attrs in ({}, {"scale": 0.2}, {"mask_filter_value": -3.0}, {"unidirectional": 1, "past_present_share_buffer": 0, "do_rotary": 0}):
                    scale = np.full(3 * n * d, 0.02, np.float32) if wide else one(0.02)
                    zp = [one(120, np.uint8), np.full(3 * n * d, 3, dt) if wide else one(3, dt)] if zeros else [None, None]
                    case("QAttention", [u8(b, s, 6), make(6, 3 * n * d), bias, one(0.01), scale, one([2, 3], np.int32), *zp], {"num_heads": n, **attrs}, "ff", const=(1, 4, 7), tol=(1e-3, 1e-3))
    multi_head_forms()
    decoder_forms()


def multi_head_forms():
    b, s, n, d, tol = 2, 3, 2, 8, (1e-3, 1e-4)
    new = lambda rows, size=8: f32(b, rows, n * size)
    lengths, full = one([2, 3], np.int32), np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    for causal in (0, 1):
        for mask in (None, lengths, one([3, 2, 0, 3, 5, 0, 3, 5], np.int32), full):
            for extra in (None, f32(1, n, s, s), f32(b, 1, s, s), f32(1, 1, s, s), f32(b, n, s, s)):
                for out in ("f", "ffff"):
                    if out == "f" and extra is None:
                        continue
                    attrs = {"num_heads": n, "unidirectional": causal, "mask_filter_value": -8.0}
                    case("MultiHeadAttention", [new(s), new(s), new(s), None, mask, extra], attrs, out, tol=tol, suite="multi_head_scores" if mask is full and extra is not None else None)
        for rows in (1, 3):
            for at in (0, 4):
                for masked in (False, True):
                    for bias in (False, True):
                        mask = RNG.integers(0, 2, (b, at + rows)).astype(np.int32)
                        mask[:, 0] = 1
                        case("MultiHeadAttention", [new(rows), new(rows), new(rows), f32(3 * n * d) if bias else None, mask if masked else None, f32(1, n, rows, at + rows) if bias else None,
                                                    f32(b, n, 8, d), f32(b, n, 8, d), one([at], np.int32)], {"num_heads": n, "unidirectional": causal}, "ffff" if masked else "fff", tol=tol,
                             suite="multi_head_shared" if at and masked and bias else None)
    for batches, beams in ((1, 3), (2, 2)):
        for masked in (False, True):
            for extra in (False, True):
                b, at = batches * beams, 5
                came = RNG.integers(0, beams, (batches, beams, 8)).astype(np.int32)
                mask = np.ones((b, at + 1), np.int32)
                mask[0, 1] = 0
                case("MultiHeadAttention", [f32(b, 1, n * d), f32(b, 1, n * d), f32(b, 1, n * d), None, mask if masked else None, f32(1, n, 1, at + 1) if extra else None, f32(b, n, 8, d),
                                            f32(b, n, 8, d), one([at], np.int32), came], {"num_heads": n}, "fff", tol=tol, suite="multi_head_beams" if masked and extra else None)
                case("DecoderMaskedMultiHeadAttention", [f32(b, 1, n * d), f32(b, 1, n * d), f32(b, 1, n * d), mask if masked else None, f32(1, n, 1, at + 1) if extra else None, f32(b, n, 8, d),
                                                         f32(b, n, 8, d), one([at], np.int32), one([beams], np.int32), came], {"num_heads": n, "past_present_share_buffer": 1}, "fff", tol=tol,
                     suite="decoder_beams" if masked and extra else None)
    b = 2
    case("MultiHeadAttention", [new(s), f32(b, n, 7, d), f32(b, n, 7, d), f32(3 * n * d)], {"num_heads": n}, tol=tol)
    case("MultiHeadAttention", [new(s), new(5), new(5, 12), f32(2 * n * d + n * 12), one([4, 5], np.int32)], {"num_heads": n}, tol=tol)
    q, k, v, past_k, past_v = new(s), new(s), new(s, 12), f32(b, n, 4, d), f32(b, n, 4, 12)  # of other sizes than keys: not in the peer's caches
    both = [np.concatenate([a, heads_of(z, n)], 2) for a, z in ((past_k, k), (past_v, v))]
    case("MultiHeadAttention", [q, k, v, None, None, None, past_k, past_v], {"num_heads": n, "scale": 0.3}, "fff",
         want=[attended(heads_of(q, n), *both, scale=0.3)] + [a.astype(np.float32) for a in both], tol=tol)


def decoder_forms():
    b, n, d, tol = 2, 2, 8, (1e-3, 1e-4)
    row = lambda: f32(b, 1, n * d)
    for at in (0, 4):
        for bias in (False, True):
            for masked in (False, True):
                for attrs in ({}, {"scale": 0.3}, {"mask_filter_value": -6.0}, {"output_qk": 1}):
                    mask = np.ones((b, at + 1), np.int32)
                    mask[1, at // 2] = 1 - min(at, 1)
                    case("DecoderMaskedMultiHeadAttention", [row(), row(), row(), mask if masked else None, f32(1, n, 1, at + 1) if bias else None, f32(b, n, 8, d), f32(b, n, 8, d),
                                                             one([at], np.int32), one([1], np.int32) if masked else None, None] + ([f32(3 * n * d)] if bias else []),
                         {"num_heads": n, "past_present_share_buffer": 1, **attrs}, "ffff" if attrs.get("output_qk") else "fff", tol=tol)
    for masked in (False, True):  # keys and values of an encoder
        case("DecoderMaskedMultiHeadAttention", [row(), f32(b, n, 5, d), f32(b, n, 5, d), np.array([[1, 1, 1, 1, 0], [1, 0, 1, 0, 0]], np.int32) if masked else None], {"num_heads": n}, tol=tol)
    x, room, at = f32(b, 1, 3 * n * d), f32(2, b, n, 8, d), 3  # packed, which the peer's CPU provider does not run
    q, k, v = (heads_of(a, n) for a in np.split(x, 3, -1))
    both = room.copy()
    both[0, :, :, at:at + 1], both[1, :, :, at:at + 1] = k, v
    case("DecoderMaskedMultiHeadAttention", [x, None, None, None, None, room[0], room[1], one([at], np.int32)], {"num_heads": n, "past_present_share_buffer": 1}, "fff",
         want=[attended(q, *both[:, :, :, :at + 1].astype(np.float64)), both[0], both[1]], tol=tol, suite="decoder_packed")


def grouped_forms():
    """Scores, caches of few bits, caches as short as the window, all keys at once, f16; normalized heads by a formula (the peer's CPU provider refuses them)."""
    n, kv, d, tol, half = 4, 2, 16, (1e-3, 1e-4), (5e-3, 5e-3)
    tables = [f32(32, d // 2), f32(32, d // 2)]
    base = {"num_heads": n, "kv_num_heads": kv}

    def call(rows, past, attrs, more=(), out="fff", cache=None, batch=None, dtype=np.float32, lengths=None, total=None, want=None, tol=tol, suite=None, const=()):
        batch = batch or (1 if past and rows > 1 else 2)
        make = lambda *shape: f32(*shape).astype(dtype)
        lengths = [past + rows - 1] * batch if lengths is None else lengths
        cache = [make(batch, kv, past, d), make(batch, kv, past, d)] if cache is None else cache
        case("GroupQueryAttention", [make(batch, rows, n * d), make(batch, rows, kv * d), make(batch, rows, kv * d), *cache, one(lengths, np.int32), one(total or past + rows, np.int32), *more],
             {**base, **attrs}, out, want=want, tol=tol, suite=suite, const=const)

    for rows, past in ((4, 0), (1, 6), (3, 5)):
        batch = 1 if past and rows > 1 else 2
        for stage in (1, 2):
            for extra in ({}, {"softcap": 2.0}, {"local_window_size": 3}, {"smooth_softmax": 1}, {"causal": 0}, {"scale": 0.2}, {"softcap": 1.5, "smooth_softmax": 1}):
                for bias in (False, True):
                    more = [None, None, None, f32(1, n, rows, past + rows)] if bias else []
                    call(rows, past, {"qk_output": stage, **extra}, more, "ffff", suite="group_scores" if bias and past and "softcap" in extra else None)
        for extra in ({"causal": 0}, {"causal": 0, "softcap": 2.0}, {"causal": 1, "local_window_size": -1}, {"causal": 0, "do_rotary": 1}):
            for shape in (None, (batch, n), (batch, 1), (1, 1)):
                more = tables if "do_rotary" in extra else [None, None]
                call(rows, past, extra, [*more, None, f32(*shape, rows, past + rows) if shape else None], suite="group_full" if past and shape and "do_rotary" in extra else None)
        for sink in (False, True):
            for dtype, letter, limit in ((np.float32, "f", tol), (np.float16, "h", half)):
                for extra in ({}, {"do_rotary": 1}, {"local_window_size": 2}, {"softcap": 2.0}, {"do_rotary": 1, "rotary_interleaved": 1}):
                    more = [t.astype(dtype) for t in tables] if "do_rotary" in extra else [None, None]
                    call(rows, past, extra, [*more, None, None, f32(n).astype(dtype) if sink else None], letter * 3, dtype=dtype, tol=limit)
        place = np.arange(past, past + rows)[None].repeat(batch, 0)
        call(rows, past, {"do_rotary": 1}, [*tables, place], suite="group_places" if past and rows > 1 else None)
        call(rows, past, {"do_rotary": 1}, [*tables, RNG.integers(0, 20, (batch, rows))])
        case("GroupQueryAttention", [f32(batch, rows, 128), f32(batch, rows, 64), f32(batch, rows, 64), f32(batch, 2, past, 32), f32(batch, 2, past, 32), one([past + rows - 1] * batch, np.int32),
                                     one(past + rows, np.int32), f32(32, 8), f32(32, 8)], {**base, "do_rotary": 1}, "fff", tol=tol, suite="group_part")
        with_room = {"lengths": [past + rows - 1] * batch, "total": past + rows, "batch": batch}
        call(rows, past + 4, {}, out="f--", **with_room)
        call(rows, past + 4, {"qk_output": 2}, [None, None, None, f32(1, n, rows, past + rows)], out="f--f", **with_room)
    for bits in (8, 4):
        for kinds in (("PER_TENSOR",) * 2, ("PER_CHANNEL",) * 2):
            for rows, past, batch in ((4, 0, 2), (1, 6, 2), (3, 5, 1)):
                for extra in ({}, {"do_rotary": 1}, {"smooth_softmax": 1, "softcap": 2.0}, {"local_window_size": 3}):
                    scales = [one([0.03]) if k == "PER_TENSOR" else (np.abs(f32(1, kv, 1, d)) / 40 + 0.01) for k in kinds]
                    scales = [(a * (1 if bits == 8 else 12)).astype(np.float32) for a in scales]
                    cache = [i8(batch, kv, past, d), i8(batch, kv, past, d)] if bits == 8 else [u8(batch, kv, past, d // 2), u8(batch, kv, past, d // 2)]
                    more = [*(tables if "do_rotary" in extra else (None, None)), None, None, None, *scales]
                    call(rows, past, {"k_quant_type": kinds[0], "v_quant_type": kinds[1], "kv_cache_bit_width": bits, **extra}, more, "fii" if bits == 8 else "fuu", cache, batch,
                         tol=(2e-2, 2e-2), suite="group_%d_bits" % bits if past and "do_rotary" in extra else None)
            call(1, 6, {"k_quant_type": kinds[0], "v_quant_type": kinds[1], "kv_cache_bit_width": bits}, [None] * 5 + scales, "hii" if bits == 8 else "huu",
                 [i8(2, kv, 6, d), i8(2, kv, 6, d)] if bits == 8 else [u8(2, kv, 6, d // 2), u8(2, kv, 6, d // 2)], dtype=np.float16, tol=(2e-2, 2e-2))
    for room in (4, 6):
        for rows, seen in ((3, 0), (6, 0), (1, 3), (1, 4), (1, 5), (1, 6), (1, 11), (3, 2), (3, 5), (9, 4)):
            for extra in ({}, {"do_rotary": 1}, {"softcap": 2.0, "smooth_softmax": 1}):
                for bias in (False, True):
                    more = [*(tables if "do_rotary" in extra else (None, None)), None, f32(1, n, rows, seen + rows) if bias else None]
                    batch = 1 if seen and rows > 1 else 2
                    held = min(room, seen + rows - (room - 3) * max(0, -(-(seen + rows - room) // (room - 3))))
                    call(rows, room, {"sliding_window_cache": 1, "local_window_size": 4, **extra}, more, "fff" if held == room else "f--", batch=batch, lengths=[seen + rows - 1] * batch,
                         total=seen + rows, suite="group_window" if bias and seen == 11 and "do_rotary" in extra else None)
        call(1, room, {"sliding_window_cache": 1, "local_window_size": 4}, [None, None, None, f32(2, 1, 1, 12)], "f--", lengths=[11, 3], total=12)
    b, rows, past = 1, 3, 5
    q, k, v, caches, weights = f32(b, rows, n * d), f32(b, rows, kv * d), f32(b, rows, kv * d), f32(2, b, kv, past, d), f32(2, d)
    for attrs in ({}, {"qk_norm_epsilon": 0.01}):
        q4, k4 = (a / np.sqrt((a * a).mean(-1, keepdims=True) + attrs.get("qk_norm_epsilon", 1e-6)) * w for a, w in ((heads_of(q, n), weights[0]), (heads_of(k, kv), weights[1])))
        both = [np.concatenate([caches[0], k4], 2), np.concatenate([caches[1], heads_of(v, kv)], 2)]
        later = np.where(np.arange(past + rows) <= np.arange(rows)[:, None] + past, 0, -1e30)
        case("GroupQueryAttention", [q, k, v, *caches, one([past + rows - 1], np.int32), one(past + rows, np.int32)] + [None] * 7 + [weights[0], weights[1]], {**base, **attrs}, "fff",
             want=[attended(q4, *(a.repeat(2, 1) for a in both), later)] + [a.astype(np.float32) for a in both], tol=tol, suite="group_norm_heads")
