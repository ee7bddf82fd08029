/*
 * microsoft_attend.h - what com.microsoft's attention operators share on their way to ONNX's Attention and RotaryEmbedding. Private to src/onnx.
 */
#ifndef LT_MICROSOFT_ATTEND_H
#define LT_MICROSOFT_ATTEND_H

#include "onnx/microsoft.h"

/* Which scores ONNX's Attention gives as its fourth output. */
enum { LT_MS_NO_SCORES = -1, LT_MS_SCORES_MASKED = 2, LT_MS_WEIGHTS = 3 };

typedef struct lt_ms_attend {
    lt_value_id q, k, v, mask, past_k, past_v; /* mask and pasts may be none */
    int64_t heads, kv_heads;
    bool causal;
    float softcap;
    int scores;                          /* one of the above */
    lt_value_id y, present_k, present_v; /* results */
    lt_value_id qk;                      /* none without scores */
} lt_ms_attend;

/* ONNX's Attention, with the node's `scale`. */
void lt_ms_run_attention(lt_ms *m, lt_ms_attend *a);

/* 0, 1, ..., count - 1 of an i64[1]. */
lt_value_id lt_ms_count_up(lt_ms *m, lt_value_id count);
void lt_ms_split(lt_ms *m, lt_value_id a, int64_t axis, const int64_t *sizes, size_t count, lt_value_id *out);
/* [batch, rows, heads * size] as [batch, heads, rows, size]. */
lt_value_id lt_ms_heads_second(lt_ms *m, lt_value_id a, int64_t heads);
/* Writes entries into a cache [batch, heads, places, size] from place `at` (i64[batch]) on. */
lt_value_id lt_ms_write_cache(lt_ms *m, lt_value_id cache, lt_value_id entries, lt_value_id at);
/*
 * Of [batch, heads, places, size]: for each batch element those at the places that index (i64[batch, n]) names. With `turned`, for each of the n
 * first places the batch element whose number index (i64[n, batch]) holds.
 */
lt_value_id lt_ms_pick_places(lt_ms *m, lt_value_id a, lt_value_id index, bool turned);
/* ONNX's RotaryEmbedding; size 0: the whole head; positions may be none where the tables are [batch, rows, size / 2]. */
lt_value_id lt_ms_rotate(lt_ms *m, lt_value_id x, const lt_value_id tables[2], lt_value_id positions, int64_t heads,
                         int64_t size, bool interleaved);

#endif
