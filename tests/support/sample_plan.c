/*
 * sample_plan.c - see sample_plan.h.
 */
#include "support/sample_plan.h"
#include <string.h>

enum { N_BLOBS = 4, RAW = 0, DERIVED = 1, PACKED = 2, NAMES = 3 };

static uint32_t *list(lt_arena *arena, uint32_t n, const uint32_t *items)
{
    return lt_arena_copy(arena, items, n * sizeof *items, _Alignof(uint32_t));
}
#define LIST(arena, ...) list((arena), sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[]){__VA_ARGS__})

static lathe_format plain(lathe_dtype dtype, int rank, lathe_space space)
{
    lathe_format f = {.space = space, .storage = dtype, .rank = rank, .block_axis = -1};
    for (int i = 0; i < rank; i++) {
        f.order[i] = (int8_t)i;
    }
    return f;
}

static lt_plan_value value(const char *name, lathe_dtype dtype, int rank, uint32_t d0, uint32_t d1, lt_storage storage, uint32_t index)
{
    lt_plan_value v = {.name = name, .dtype = dtype, .rank = rank, .dims = {d0, d1}, .format = plain(dtype, rank, LATHE_SPACE_HOST), .storage = storage, .index = index};
    memcpy(v.bound, v.dims, sizeof v.bound);
    v.last = 15;
    return v;
}

static lt_plan_step step(lt_arena *a, const char *name, uint32_t n_in, const uint32_t *in, uint32_t n_out, const uint32_t *out)
{
    return (lt_plan_step){.name = name, .class_name = "reference", .tactic = "none.such", .tactic_version = 3, .config = 1,
                          .problem = "\"Relu\" \"\" 14 <>; in f32[1] plain; out f32[1] plain; root(0)->1; space[1]", .in = in, .n_in = n_in, .out = out, .n_out = n_out,
                          .scratch = 128, .serial = 1, .origins = LIST(a, 0, 1), .n_origins = 2, .cost_ns = 1234.5};
}

enum { E_N, E_3, E_2N, E_FLOATS, E_1, E_ELEM, E_SEL, E_MIN, E_BIND, E_FRESH = E_BIND, E_ALL };

static const lt_plan_expr *exprs(lt_arena *a, uint32_t floats, uint32_t fresh_of)
{
    const lt_plan_expr all[E_ALL] = {
        [E_N] = {.kind = LT_EXPR_INPUT_DIM, .a = 0, .b = 0},
        [E_3] = {.kind = LT_EXPR_CONST, .k = 3},
        [E_2N] = {.kind = LT_EXPR_OP, .op = LT_DIM_ADD, .a = E_N, .b = E_N, .c = LT_PLAN_NONE},
        [E_FLOATS] = {.kind = LT_EXPR_CONST, .k = floats},
        [E_1] = {.kind = LT_EXPR_CONST, .k = 1},
        [E_ELEM] = {.kind = LT_EXPR_VALUE_ELEM, .a = 0, .b = 1},
        [E_SEL] = {.kind = LT_EXPR_OP, .op = LT_DIM_SELECT, .a = E_ELEM, .b = E_N, .c = E_2N},
        [E_MIN] = {.kind = LT_EXPR_OP, .op = LT_DIM_MIN, .a = E_N, .b = E_3, .c = LT_PLAN_NONE},
        [E_FRESH] = {.kind = LT_EXPR_VALUE_DIM, .a = 0, .b = fresh_of},
    };
    return lt_arena_copy(a, all, sizeof all, _Alignof(lt_plan_expr));
}

enum { V_X, V_SIZE, V_W, V_PACKED, V_NAMES, V_A, V_VIEW, V_DEV, V_BOUNDED, V_COND, V_R, V_TRIP, V_I, V_S0, V_S1, V_S, V_ITEMS, V_Y, V_M, V_SUM, V_WHOLE, V_LEFT, V_RIGHT, V_SEEN, V_ALL };

static void fill_values(lt_plan_value *v)
{
    v[V_X] = value("x", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_INPUT, 0);
    v[V_SIZE] = value("size", LATHE_DTYPE_I64, 1, E_1, 0, LT_STORE_INPUT, 1);
    v[V_W] = value("w", LATHE_DTYPE_F32, 1, E_FLOATS, 0, LT_STORE_BLOB, RAW);
    v[V_PACKED] = value("w", LATHE_DTYPE_F32, 1, E_FLOATS, 0, LT_STORE_BLOB, PACKED);
    v[V_NAMES] = value("names", LATHE_DTYPE_STRING, 1, E_3, 0, LT_STORE_BLOB, NAMES);
    v[V_A] = value("a", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_VIEW] = value("view", LATHE_DTYPE_F32, 2, E_3, E_N, LT_STORE_ALIAS, V_A);
    v[V_DEV] = value("a", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_DEV].format.space = LATHE_SPACE_TWIN;
    v[V_BOUNDED] = value("found", LATHE_DTYPE_I64, 1, E_FRESH, 0, LT_STORE_ARENA, 0);
    v[V_BOUNDED].bounded = 1;
    v[V_BOUNDED].bound[0] = E_2N;
    v[V_COND] = value("cond", LATHE_DTYPE_BOOL, 0, 0, 0, LT_STORE_ARENA, 0);
    v[V_R] = value("r", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_TRIP] = value("trip", LATHE_DTYPE_I64, 0, 0, 0, LT_STORE_ARENA, 0);
    v[V_I] = value("i", LATHE_DTYPE_I64, 0, 0, 0, LT_STORE_ARENA, 0);
    v[V_S0] = value("s", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_S1] = value("s.next", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_S] = value("s.last", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[V_ITEMS] = value("items", LATHE_DTYPE_F32, -1, 0, 0, LT_STORE_MANAGED, 0);
    v[V_Y] = value("y", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_OUTPUT, 0);
    v[V_M] = value("texts", LATHE_DTYPE_STRING, 1, E_3, 0, LT_STORE_MANAGED, 0);
    v[V_SUM] = value("sum", LATHE_DTYPE_F32, 1, E_3, 0, LT_STORE_ARENA, 0);
    v[V_WHOLE] = value("whole", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    for (int i = V_LEFT; i <= V_SEEN; i++) {
        v[i] = value(i == V_LEFT ? "left" : i == V_RIGHT ? "right" : "seen", LATHE_DTYPE_F32, 2, E_N, E_1, LT_STORE_ALIAS, V_WHOLE);
        v[i].format.strided = 1;
    }
}

static void fill_main(lt_arena *a, lt_plan_program *p, lt_plan_value *v, lt_plan_step *s, lt_plan_loop *l)
{
    static const lt_plan_instr instrs[] = {
        {LT_I_STEP, 0, 0, 0, 0},       {LT_I_COPY, 1, V_A, V_DEV, 0}, {LT_I_RECORD, 1, 0, 0, 0},       {LT_I_STEP, 0, 1, 0, 0},
        {LT_I_SHAPE, 0, E_FRESH, 1, 0}, {LT_I_IF, 0, V_COND, 1, 1},    {LT_I_COPY, 0, V_A, V_R, 0},     {LT_I_COPY, 0, V_X, V_R, 0},
        {LT_I_LOOP, 0, 0, 1, 0},       {LT_I_STEP, 0, 2, 0, 0},       {LT_I_WAIT, 2, 0, 0, 0},         {LT_I_HOSTSYNC, 2, 0, 0, 0},
        {LT_I_STEP, 0, 3, 0, 0},       {LT_I_STEP, 0, 4, 0, 0},       {LT_I_CALL, 0, 1, 0, 0},         {LT_I_STEP, 0, 5, 0, 0},
    };
    static const lt_plan_lane lanes[] = {{LATHE_SPACE_HOST, 0, 0}, {LATHE_SPACE_TWIN, 0, -1}, {LATHE_SPACE_TWIN, 0, 0}};
    static const lt_plan_cut cuts[] = {{V_LEFT, LT_CUT_MADE, 1, E_1}, {V_RIGHT, LT_CUT_MADE, 1, E_3}, {V_SEEN, LT_CUT_SEEN, 1, E_1}};
    static const lt_plan_range ranges[] = {{E_N, 1, 4, 16}, {E_ELEM, 0, 1, 1}};
    uint64_t *offsets = LT_ARENA_ARRAY(a, uint64_t, V_ALL);
    fill_values(v);
    s[0] = step(a, "first \"quoted\" \xc3\xa9", 2, LIST(a, V_X, V_PACKED), 1, LIST(a, V_A));
    s[1] = step(a, "find", 3, LIST(a, V_VIEW, LT_PLAN_NONE, V_SIZE), 3, LIST(a, V_BOUNDED, V_COND, V_TRIP));
    s[2] = step(a, "body", 2, LIST(a, V_S0, V_I), 1, LIST(a, V_S1));
    s[3] = step(a, "last", 2, LIST(a, V_S, V_ITEMS), 1, LIST(a, V_Y));
    s[4] = step(a, "texts", 1, LIST(a, V_NAMES), 3, LIST(a, V_M, V_LEFT, V_RIGHT));
    s[5] = step(a, "sum", 3, LIST(a, V_W, V_WHOLE, V_SEEN), 1, LIST(a, V_SUM));
    *l = (lt_plan_loop){.trip = V_TRIP, .cond = LT_PLAN_NONE, .iteration = V_I, .cond_in = LT_PLAN_NONE, .cond_out = V_COND, .n_carried = 1, .init = LIST(a, V_R),
                        .body_in = LIST(a, V_S0), .body_out = LIST(a, V_S1), .result = LIST(a, V_S), .n_scan = 1, .scan_out = LIST(a, V_S1), .scan_result = LIST(a, V_ITEMS)};
    for (uint32_t i = 0, at = 0; offsets && i < V_ALL; i++) {
        offsets[i] = v[i].storage == LT_STORE_ARENA && v[i].format.space == LATHE_SPACE_HOST ? 64 * at++ : 0;
    }
    *p = (lt_plan_program){.profile = 0, .n_exprs = E_ALL, .bind_exprs = E_BIND, .values = v, .n_values = V_ALL, .cuts = cuts, .n_cuts = LT_COUNT(cuts), .steps = s, .n_steps = 6, .instrs = instrs,
                           .n_instrs = LT_COUNT(instrs), .loops = l, .n_loops = 1, .lanes = lanes, .n_lanes = 3, .n_events = 1, .inputs = LIST(a, V_X, V_SIZE), .n_inputs = 2,
                           .outputs = LIST(a, V_Y), .n_outputs = 1, .ranges = ranges, .n_ranges = 2, .arena = {4096, 4096, 0}, .offsets = offsets,
                           .scratch_bytes = {128, 0, 0}, .async = 0, .async_step = "find"};
}

/* For any shape: one step. */
static void fill_any(lt_arena *a, lt_plan_program *p, lt_plan_value *v, lt_plan_step *s)
{
    static const lt_plan_instr instrs[] = {{LT_I_STEP, 0, 0, 0, 0}, {LT_I_COPY, 0, 2, 3, 0}};
    static const lt_plan_lane lanes[] = {{LATHE_SPACE_HOST, 0, 0}};
    uint64_t *offsets = LT_ARENA_ARRAY(a, uint64_t, 4);
    v[0] = value("x", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_INPUT, 0);
    v[1] = value("size", LATHE_DTYPE_I64, 1, E_1, 0, LT_STORE_INPUT, 1);
    v[2] = value("a", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_ARENA, 0);
    v[3] = value("y", LATHE_DTYPE_F32, 2, E_N, E_3, LT_STORE_OUTPUT, 0);
    for (int i = 0; i < 4; i++) {
        v[i].last = 1;
    }
    s[0] = step(a, "only", 1, LIST(a, 0), 1, LIST(a, 2));
    if (offsets) {
        offsets[2] = UINT64_MAX;
    }
    *p = (lt_plan_program){.profile = LT_PLAN_NONE, .n_exprs = E_BIND, .bind_exprs = E_BIND, .values = v, .n_values = 4, .steps = s, .n_steps = 1, .instrs = instrs,
                           .n_instrs = 2, .lanes = lanes, .n_lanes = 1, .inputs = LIST(a, 0, 1), .n_inputs = 2, .outputs = LIST(a, 3), .n_outputs = 1,
                           .offsets = offsets, .async = 1, .async_step = ""};
}

static void fill_init(lt_arena *a, lt_plan_program *p, lt_plan_value *v, lt_plan_step *s, uint32_t floats)
{
    static const lt_plan_instr instrs[] = {{LT_I_STEP, 0, 0, 0, 0}};
    static const lt_plan_lane lanes[] = {{LATHE_SPACE_HOST, 0, 0}};
    lt_plan_expr *e = LT_ARENA_NEW(a, lt_plan_expr);
    if (e) {
        e->k = floats;
    }
    v[0] = value("w", LATHE_DTYPE_F32, 1, 0, 0, LT_STORE_BLOB, RAW);
    v[1] = value("w2", LATHE_DTYPE_F32, 1, 0, 0, LT_STORE_MANAGED, 0);
    v[0].last = v[1].last = 0;
    s[0] = step(a, "double", 1, LIST(a, 0), 1, LIST(a, 1));
    *p = (lt_plan_program){.profile = LT_PLAN_NONE, .exprs = e, .n_exprs = 1, .bind_exprs = 1, .values = v, .n_values = 2, .steps = s, .n_steps = 1, .instrs = instrs,
                           .n_instrs = 1, .lanes = lanes, .n_lanes = 1, .offsets = LT_ARENA_ARRAY(a, uint64_t, 2), .async = 1, .async_step = ""};
}

static void fill_blobs(lt_plan *plan, lt_plan_blob *b, uint32_t floats)
{
    b[RAW] = (lt_plan_blob){.key = 11, .name = "w", .pack = "", .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = {floats}, .bytes = 4ull * floats, .flags = LT_BLOB_INITIALIZER};
    b[DERIVED] = (lt_plan_blob){.key = 12, .name = "w2", .pack = "", .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = {floats}, .bytes = 4ull * floats};
    b[PACKED] = (lt_plan_blob){.key = 11, .name = "w", .pack = "none.pack", .pack_version = 2, .param = {1, -2, 3, 4}, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = {floats},
                               .bytes = 4ull * floats + 4};
    b[NAMES] = (lt_plan_blob){.key = 13, .name = "names", .pack = "", .dtype = LATHE_DTYPE_STRING, .rank = 1, .dims = {3}, .bytes = 8 * 5 + 7, .flags = LT_BLOB_STRINGS};
    plan->blobs = b;
    plan->n_blobs = N_BLOBS;
}

lathe_status sample_plan_data(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    (void)user;
    (void)diag;
    if (blob == NAMES) {
        const uint64_t head[] = {3, 0, 3, 3, 7};
        memcpy(dst, head, sizeof head);
        memcpy((char *)dst + sizeof head, "onefour", 7);
        return LATHE_OK;
    }
    for (uint64_t i = 0; i < plan->blobs[blob].bytes; i++) {
        ((unsigned char *)dst)[i] = (unsigned char)(i * 37 + blob + 1);
    }
    return LATHE_OK;
}

static void fill_story(lt_plan *plan)
{
    static const lt_plan_io inputs[] = {{.name = "x", .dtype = LATHE_DTYPE_F32, .rank = 2, .dims = {"N", "3"}, .fixed = {-1, 3}},
                                        {.name = "size", .dtype = LATHE_DTYPE_I64, .rank = 1, .dims = {"1"}, .fixed = {1}, .host = 1}};
    static const lt_plan_io outputs[] = {{.name = "y", .dtype = LATHE_DTYPE_F32, .rank = 2, .dims = {"N", "3"}, .fixed = {-1, 3}}};
    static const lt_plan_profile_input profile[] = {{.min = {1, 3}, .opt = {4, 3}, .max = {16, 3}}, {.min = {0}, .opt = {1}, .max = {1}}};
    static const lt_plan_init init[] = {{1, DERIVED}, {0, PACKED}};
    static const lt_plan_assumption assumptions[] = {{"w", "drop-identity", 1, 0.5, 77}};
    static const lt_plan_equal equals[] = {{"batch=N", "batch", 0, 0}};
    static const lt_plan_origin origins[] = {{"conv1", "Conv", "", "", 0, ""}, {"bn1", "BatchNormalization", "", "if1/then_branch", 2, "fold-bn-into-conv"}};
    static const lt_plan_refusal refusals[] = {{"a", "conv1", "relu1", "two uses"}};
    static const char *const features[] = {"avx2", "fma"};
    static const uint32_t programs[] = {0, 1};
    static const lt_plan_variant variants[] = {{.device = "cpu", .features = features, .n_features = 2, .threads = 2, .sources = "lathe 0.1.0", .programs = programs, .n_programs = 2}};
    plan->inputs = inputs;
    plan->n_inputs = 2;
    plan->outputs = outputs;
    plan->n_outputs = 1;
    plan->profiles = profile;
    plan->n_profiles = 1;
    plan->init = init;
    plan->n_init = 2;
    plan->assumptions = assumptions;
    plan->n_assumptions = 1;
    plan->equals = equals;
    plan->n_equals = 1;
    plan->origins = origins;
    plan->n_origins = 2;
    plan->refusals = refusals;
    plan->n_refusals = 1;
    plan->variants = variants;
    plan->n_variants = 1;
}

lt_plan *sample_plan_make(lt_arena *arena, uint32_t floats)
{
    lt_plan *plan = LT_ARENA_NEW(arena, lt_plan);
    lt_plan_program *p = LT_ARENA_ARRAY(arena, lt_plan_program, 3);
    lt_plan_value *v = LT_ARENA_ARRAY(arena, lt_plan_value, V_ALL + 6);
    lt_plan_step *s = LT_ARENA_ARRAY(arena, lt_plan_step, 8);
    lt_plan_loop *l = LT_ARENA_NEW(arena, lt_plan_loop);
    lt_plan_blob *b = LT_ARENA_ARRAY(arena, lt_plan_blob, N_BLOBS);
    if (!plan || !p || !v || !s || !l || !b) {
        return NULL;
    }
    *plan = (lt_plan){.version = LT_PLAN_VERSION, .lathe_version = LATHE_VERSION_STRING, .model_name = "sample", .options = "--device cpu", .graph = "sample () => ()\n{\n}\n",
                      .programs = p, .n_programs = 3, .init_program = 2, .retunable = 1};
    fill_story(plan);
    fill_blobs(plan, b, floats);
    fill_main(arena, &p[0], v, s, l);
    p[0].exprs = exprs(arena, floats, V_BOUNDED);
    fill_any(arena, &p[1], v + V_ALL, s + 6);
    p[1].exprs = exprs(arena, floats, 0);
    fill_init(arena, &p[2], v + V_ALL + 4, s + 7, floats);
    return lt_plan_layout(plan, b, NULL) == LATHE_OK ? plan : NULL;
}

bool sample_plan_encode(uint32_t floats, lt_buf *out)
{
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    const lt_plan *plan = sample_plan_make(&arena, floats);
    bool good = plan && lt_plan_encode(plan, sample_plan_data, NULL, NULL, NULL, out, NULL) == LATHE_OK;
    lt_arena_destroy(&arena);
    return good;
}
