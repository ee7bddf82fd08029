/*
 * test_tactic_attention.c - lathe.PackedAttention in all its forms through the tactics for it, against the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static void text(tc_case *c, const char *name, const char *value)
{
    lathe_attr *attr = &c->attrs[c->problem.n_attrs++];
    *attr = (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { value, strlen(value) } };
}

/* Sizes of one problem. */
typedef struct sizes {
    int64_t batch, heads, kv, rows, keys, head, v_head;
} sizes;

static sizes draw(tc_random *r, uint64_t seed)
{
    static const int64_t heads[] = { 1, 2, 3, 4, 8, 32, 33, 64, 5 };
    sizes s = {
        .batch = tc_range(r, 1, 3), .kv = tc_range(r, 1, 2), .rows = tc_range(r, 1, 70), .keys = tc_range(r, 1, 70)
    };
    s.heads = s.kv * tc_range(r, 1, 2);
    s.head = heads[tc_draw(r, 9)];
    s.v_head = tc_chance(r, 2) ? s.head : heads[tc_draw(r, 9)];
    if (seed % 8 == 0) { /* several blocks of keys, of rows */
        s.batch = 1;
        s.keys = tc_range(r, 500, 1100);
        s.rows = tc_range(r, 1, 130);
        s.head = s.v_head = 8;
    }
    return s;
}

/* An operand in one of its forms; the width of "bsw" and "sbw" may be larger than the heads. */
static void operand(tc_case *c, const char *name, int64_t batch, int64_t heads, int64_t rows, int64_t head,
                    int64_t *offset, int64_t *step)
{
    tc_random *r = &c->random;
    uint32_t form = tc_draw(r, name[0] == 'k' ? 4 : 3);
    static const char *const names[] = { "bsw", "sbw", "bhsd", "bhds" };
    *step = head;
    *offset = 0;
    text(c, name, names[form]);
    if (form < 2) {
        *offset = tc_range(r, 0, 3);
        *step += tc_chance(r, 2) ? tc_range(r, 0, 5) : 0;
        int64_t width = *offset + heads * *step + tc_range(r, 0, 2);
        tc_root(c, tc_input(c, LATHE_DTYPE_F32, 3,
                            form ? (int64_t[]){ rows, batch, width } : (int64_t[]){ batch, rows, width },
                            LATHE_OPERAND_CONSTANT));
    } else {
        tc_root(c,
                tc_input(c, LATHE_DTYPE_F32, 4,
                         form == 2 ? (int64_t[]){ batch, heads, rows, head } : (int64_t[]){ batch, heads, head, rows },
                         LATHE_OPERAND_CONSTANT));
    }
}

/* Numbers, some of them -inf, or bytes; rows that see nothing come by chance. */
static void addend(tc_case *c, const sizes *s)
{
    tc_random *r = &c->random;
    int64_t all[] = { s->batch, s->heads, s->rows, s->keys }, dims[4];
    int rank = (int)tc_range(r, 0, 4);
    for (int i = 0; i < rank; i++) {
        dims[i] = tc_chance(r, 3) ? 1 : all[4 - rank + i];
    }
    bool bytes = tc_chance(r, 3);
    uint16_t at = tc_input(c, bytes ? LATHE_DTYPE_BOOL : LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT);
    int64_t count = lt_tensor_count(&c->in_data[at]);
    for (int64_t i = 0; i < count; i++) {
        if (bytes) {
            ((uint8_t *)c->in_data[at].data)[i] = !tc_chance(r, 4);
        } else if (tc_chance(r, 7)) {
            ((float *)c->in_data[at].data)[i] = -INFINITY;
        }
    }
    tc_root(c, at);
}

static void one(uint64_t seed)
{
    static tc_case c;
    static const char *const empties[] = { "nan", "masked", "zero" };
    tc_begin(&c, seed, "PackedAttention", "lathe");
    tc_random *r = &c.random;
    sizes s = draw(r, seed);
    int64_t offsets[3], steps[3];
    tc_int(&c, "q_num_heads", s.heads);
    tc_int(&c, "kv_num_heads", s.kv);
    tc_int(&c, "head_size", s.head);
    tc_int(&c, "v_head_size", s.v_head);
    tc_float(&c, "scale", (float)(1 / sqrt((double)s.head)));
    operand(&c, "q", s.batch, s.heads, s.rows, s.head, &offsets[0], &steps[0]);
    operand(&c, "k", s.batch, s.kv, s.keys, s.head, &offsets[1], &steps[1]);
    operand(&c, "v", s.batch, s.kv, s.keys, s.v_head, &offsets[2], &steps[2]);
    tc_ints(&c, "offsets", 3, offsets);
    tc_ints(&c, "steps", 3, steps);
    if (tc_chance(r, 3)) {
        tc_int(&c, "is_causal", tc_range(r, 1, 2));
    }
    if (tc_chance(r, 5)) {
        tc_float(&c, "softcap", 2.0f);
    }
    text(&c, "empty", empties[tc_draw(r, 3)]);
    for (uint32_t n = tc_draw(r, 3); n > 0; n--) {
        addend(&c, &s);
    }
    uint32_t form = tc_draw(r, 3);
    int64_t width = s.heads * s.v_head;
    text(&c, "y", form == 0 ? "bsw" : form == 1 ? "sbw" : "bhsd");
    (void)tc_output(&c, LATHE_DTYPE_F32, form == 2 ? 4 : 3,
                    form == 0   ? (int64_t[]){ s.batch, s.rows, width }
                    : form == 1 ? (int64_t[]){ s.rows, s.batch, width }
                                : (int64_t[]){ s.batch, s.heads, s.rows, s.v_head });
    c.root_tolerance = 4e-6;
    tc_check_all(&c);
    tc_end(&c);
}

static void packed_attention(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(80); seed++) {
        one(seed);
    }
    tc_all_fitted("PackedAttention", "lathe");
    tc_must_take_rows("attention.f32.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
