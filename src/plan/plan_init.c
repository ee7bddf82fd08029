/*
 * plan_init.c - what refit and re-tuning stand on: which initializers are kept raw, the init function as a program, the graph's text.
 *
 * Asked for (--refit) are initializers by name or all that are used. Each recipe that one of them is part of needs its other initializers raw too. An
 * initializer that is stored raw for whatever reason may be refitted when everything made from it can be made again. The text shows recipes only where
 * their initializers are kept; other folded constants appear in it as initializers of their own, so that the plan can be re-tuned without the originals.
 */
#include "plan/plan_internal.h"
#include <string.h>

typedef struct leaf_list {
    uint32_t *items;
    uint32_t n;
} leaf_list;

static bool has_leaf(const leaf_list *l, uint32_t recipe)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->items[i] == recipe) {
            return true;
        }
    }
    return false;
}

static uint32_t raw_of(const lt_planner *p, uint32_t recipe)
{
    for (size_t i = 0; i < p->n_stored; i++) {
        if (p->stored[i].recipe == recipe && !p->stored[i].pack) {
            return (uint32_t)i;
        }
    }
    return LT_PLAN_NONE;
}

static lathe_status leaves_of_stored(lt_planner *p, leaf_list **out)
{
    *out = LT_ARENA_ARRAY(p->arena, leaf_list, p->n_stored + 1);
    if (!*out) {
        return LT_OOM(p->diag);
    }
    for (size_t i = 0; i < p->n_stored; i++) {
        LT_TRY(lt_recipe_leaves(p, p->stored[i].recipe, &(*out)[i].items, &(*out)[i].n));
    }
    return LATHE_OK;
}

/* ---- What is kept ---- */

static lathe_status find_named(lt_planner *p, const char *name, uint32_t *out)
{
    for (size_t i = 0; i < p->n_recipes; i++) {
        if (p->recipes[i].named && strcmp(p->recipes[i].name, name) == 0) {
            *out = (uint32_t)i;
            return LATHE_OK;
        }
    }
    return LT_FAIL(p->diag, LATHE_INVALID_ARGUMENT, name, "lathe inspect lists the initializers", "there is no initializer '%s' to keep for refit", name);
}

static lathe_status keep_one(lt_planner *p, const leaf_list *leaves, size_t n_before, uint32_t wanted)
{
    uint32_t ignored;
    LT_TRY(lt_store_constant(p, wanted, NULL, NULL, &ignored));
    for (size_t i = 0; i < n_before; i++) {
        for (uint32_t k = 0; has_leaf(&leaves[i], wanted) && k < leaves[i].n; k++) {
            LT_TRY(lt_store_constant(p, leaves[i].items[k], NULL, NULL, &ignored));
        }
    }
    return LATHE_OK;
}

static lathe_status keep_wanted(lt_planner *p)
{
    const lt_plan_request *r = p->request;
    size_t before = p->n_stored, n_recipes = p->n_recipes;
    leaf_list *leaves;
    LT_TRY(leaves_of_stored(p, &leaves));
    for (size_t i = 0; r->refit && i < n_recipes; i++) {
        bool used = false;
        for (size_t k = 0; p->recipes[i].named && k < before && !used; k++) {
            used = has_leaf(&leaves[k], (uint32_t)i);
        }
        LT_TRY(used ? keep_one(p, leaves, before, (uint32_t)i) : LATHE_OK);
    }
    for (uint32_t i = 0; !r->refit && i < r->n_refit_names; i++) {
        uint32_t recipe = 0;
        LT_TRY(find_named(p, r->refit_names[i], &recipe));
        LT_TRY(keep_one(p, leaves, before, recipe));
    }
    return LATHE_OK;
}

/* Can everything that is made from this initializer be made again from what is stored? */
static bool complete(const lt_planner *p, const leaf_list *leaves, uint32_t initializer)
{
    for (size_t i = 0; i < p->n_stored; i++) {
        if (!has_leaf(&leaves[i], initializer)) {
            continue;
        }
        if (!p->recipes[p->stored[i].recipe].computable) {
            return false;
        }
        for (uint32_t k = 0; k < leaves[i].n; k++) {
            if (raw_of(p, leaves[i].items[k]) == LT_PLAN_NONE) {
                return false;
            }
        }
    }
    return true;
}

lathe_status lt_keep_initializers(lt_planner *p)
{
    leaf_list *leaves;
    LT_TRY(keep_wanted(p));
    LT_TRY(leaves_of_stored(p, &leaves));
    for (size_t i = 0; i < p->n_stored; i++) {
        lt_stored *s = &p->stored[i];
        const lt_recipe *r = &p->recipes[s->recipe];
        s->flagged = !s->pack && !r->node && r->named && lt_blob_tensor(r->blob)->dtype != LATHE_DTYPE_STRING && complete(p, leaves, s->recipe);
    }
    return LATHE_OK;
}

/* ---- The init program ---- */

typedef struct init_maker {
    lt_planner *p;
    lt_plan_program *out;
    uint32_t *value_of; /* recipe -> value */
    bool *needed;       /* recipes */
    lt_plan_value *values;
    lt_plan_expr *exprs;
    size_t n_exprs, cap_exprs, n_values, cap_values;
    lt_plan_step *steps;
    size_t n_steps, cap_steps;
    lt_plan_init *init;
    size_t n_init, cap_init;
} init_maker;

static lathe_status constant(init_maker *k, int64_t number, uint32_t *out)
{
    for (*out = 0; *out < k->n_exprs; ++*out) {
        if (k->exprs[*out].k == number) {
            return LATHE_OK;
        }
    }
    if (!lt_arena_grow(k->p->arena, (void **)&k->exprs, &k->cap_exprs, k->n_exprs + 1, sizeof *k->exprs)) {
        return LT_OOM(k->p->diag);
    }
    k->exprs[k->n_exprs++] = (lt_plan_expr){.kind = LT_EXPR_CONST, .k = number};
    return LATHE_OK;
}

static lathe_status add_value(init_maker *k, uint32_t recipe)
{
    const lt_recipe *r = &k->p->recipes[recipe];
    const lt_tensor *t = lt_blob_tensor(r->blob);
    uint32_t raw = r->node ? 0 : raw_of(k->p, recipe);
    lt_plan_value v = {.name = r->name, .dtype = t->dtype, .rank = t->rank, .format = lt_format_plain(t->dtype, t->rank, LATHE_SPACE_HOST),
                       .storage = r->node ? LT_STORE_MANAGED : LT_STORE_BLOB, .index = raw};
    LT_CHECK(k->p->diag, raw != LT_PLAN_NONE, r->name);
    for (int i = 0; i < t->rank; i++) {
        LT_TRY(constant(k, t->dims[i], &v.dims[i]));
        v.bound[i] = v.dims[i];
    }
    if (!lt_arena_grow(k->p->arena, (void **)&k->values, &k->cap_values, k->n_values + 1, sizeof v)) {
        return LT_OOM(k->p->diag);
    }
    k->value_of[recipe] = (uint32_t)k->n_values;
    k->values[k->n_values++] = v;
    return LATHE_OK;
}

/* Entries of the table, and what they need. */
static lathe_status add_entries(init_maker *k)
{
    lt_planner *p = k->p;
    leaf_list *leaves;
    LT_TRY(leaves_of_stored(p, &leaves));
    for (size_t i = 0; i < p->n_stored; i++) {
        const lt_stored *s = &p->stored[i];
        bool touched = false;
        for (uint32_t n = 0; n < leaves[i].n && !touched; n++) {
            uint32_t raw = raw_of(p, leaves[i].items[n]);
            touched = raw != LT_PLAN_NONE && p->stored[raw].flagged;
        }
        if (!touched || s->for_text || (!s->pack && !p->recipes[s->recipe].node)) {
            continue;
        }
        if (!lt_arena_grow(p->arena, (void **)&k->init, &k->cap_init, k->n_init + 1, sizeof *k->init)) {
            return LT_OOM(p->diag);
        }
        k->init[k->n_init++] = (lt_plan_init){.value = s->recipe, .blob = (uint32_t)i}; /* the recipe for now */
        k->needed[s->recipe] = true;
    }
    for (size_t i = p->n_recipes; i-- > 0;) {
        for (uint32_t n = 0; k->needed[i] && n < p->recipes[i].n_inputs; n++) {
            if (p->recipes[i].inputs[n] != LT_PLAN_NONE) {
                k->needed[p->recipes[i].inputs[n]] = true;
            }
        }
    }
    return LATHE_OK;
}

/* The node's step, at the first of its results that is needed; results that nobody needs are not asked for. */
static lathe_status add_step(init_maker *k, uint32_t recipe)
{
    lt_planner *p = k->p;
    const lt_recipe *r = &p->recipes[recipe];
    for (uint32_t i = 0; i < recipe; i++) {
        if (k->needed[i] && p->recipes[i].node == r->node) {
            return LATHE_OK;
        }
    }
    const lathe_tactic *tactic = lt_tactic_find("reference.eval");
    lathe_problem *problem;
    uint32_t *in = LT_ARENA_ARRAY(p->arena, uint32_t, r->n_inputs + 1u), *out = LT_ARENA_ARRAY(p->arena, uint32_t, r->node->n_outputs + 1u);
    LT_CHECK(p->diag, tactic != NULL, r->name);
    if (!in || !out) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        in[i] = r->inputs[i] == LT_PLAN_NONE ? LT_PLAN_NONE : k->value_of[r->inputs[i]];
    }
    for (uint32_t i = 0; i < r->node->n_outputs; i++) {
        out[i] = LT_PLAN_NONE;
    }
    for (size_t i = recipe; i < p->n_recipes; i++) {
        if (k->needed[i] && p->recipes[i].node == r->node) {
            out[p->recipes[i].output] = k->value_of[i];
        }
    }
    lt_plan_step s = {.name = r->node->label && r->node->label[0] ? r->node->label : r->node->op->name, .class_name = "reference", .tactic = tactic->name,
                      .tactic_version = tactic->version, .in = in, .n_in = r->n_inputs, .out = out, .n_out = r->node->n_outputs, .serial = 1};
    LT_TRY(lt_problem_of_node(r->graph, r->node, p->arena, &problem, p->diag));
    LT_TRY(lt_problem_text(problem, p->arena, &s.problem, p->diag));
    if (!lt_arena_grow(p->arena, (void **)&k->steps, &k->cap_steps, k->n_steps + 1, sizeof s)) {
        return LT_OOM(p->diag);
    }
    k->steps[k->n_steps++] = s;
    return LATHE_OK;
}

static lathe_status finish_init(init_maker *k)
{
    lt_planner *p = k->p;
    lt_plan_instr *instrs = LT_ARENA_ARRAY(p->arena, lt_plan_instr, k->n_steps + 1);
    lt_plan_lane *lane = LT_ARENA_NEW(p->arena, lt_plan_lane);
    uint64_t *offsets = LT_ARENA_ARRAY(p->arena, uint64_t, k->n_values + 1);
    if (!instrs || !lane || !offsets) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i < k->n_steps; i++) {
        instrs[i] = (lt_plan_instr){.op = LT_I_STEP, .a = i};
    }
    for (size_t i = 0; i < k->n_init; i++) {
        k->init[i].value = k->value_of[k->init[i].value];
    }
    *k->out = (lt_plan_program){.profile = LT_PLAN_NONE, .exprs = k->exprs, .n_exprs = (uint32_t)k->n_exprs, .bind_exprs = (uint32_t)k->n_exprs, .values = k->values,
                                .n_values = (uint32_t)k->n_values, .steps = k->steps, .n_steps = (uint32_t)k->n_steps, .instrs = instrs,
                                .n_instrs = (uint32_t)k->n_steps, .lanes = lane, .n_lanes = 1, .offsets = offsets, .async = 1, .async_step = ""};
    p->plan.init = k->init;
    p->plan.n_init = (uint32_t)k->n_init;
    return LATHE_OK;
}

lathe_status lt_make_init(lt_planner *p, lt_plan_program *out)
{
    init_maker k = {.p = p, .out = out};
    k.value_of = LT_ARENA_ARRAY(p->arena, uint32_t, p->n_recipes + 1);
    k.needed = LT_ARENA_ARRAY(p->arena, bool, p->n_recipes + 1);
    if (!k.value_of || !k.needed) {
        return LT_OOM(p->diag);
    }
    LT_TRY(add_entries(&k));
    p->plan.init_program = LT_PLAN_NONE;
    if (k.n_init == 0) {
        return LATHE_OK;
    }
    for (uint32_t i = 0; i < p->n_recipes; i++) {
        LT_TRY(k.needed[i] ? add_value(&k, i) : LATHE_OK);
    }
    for (uint32_t i = 0; i < p->n_recipes; i++) {
        LT_TRY(k.needed[i] && p->recipes[i].node ? add_step(&k, i) : LATHE_OK);
    }
    p->plan.init_program = p->request->n_parts;
    p->plan.n_programs = p->request->n_parts + 1;
    return finish_init(&k);
}

/* ---- The graph's text ---- */

/* Are all initializers of a folded constant stored raw? */
static lathe_status is_kept(lt_planner *p, const lt_numbering *recipe_of, const lt_value *v, bool *kept)
{
    uint32_t recipe = lt_numbering_get(recipe_of, v->id.index), *leaves, n;
    *kept = false;
    if (recipe == LT_PLAN_NONE) {
        return LATHE_OK;
    }
    LT_TRY(lt_recipe_leaves(p, recipe, &leaves, &n));
    *kept = true;
    for (uint32_t i = 0; i < n; i++) {
        *kept = *kept && raw_of(p, leaves[i]) != LT_PLAN_NONE;
    }
    return LATHE_OK;
}

/* Gives the readers of a folded constant an initializer with its elements. */
static lathe_status bake_value(lt_planner *p, lt_graph *graph, lt_value *v)
{
    lt_value_id now;
    LT_TRY(lt_graph_add_initializer(graph, v->name, v->blob, &now, p->diag));
    if (!lt_graph_replaceable(graph, v->id, now)) { /* an output of the network: its recipe stays */
        return lt_graph_remove_input(graph, now, p->diag);
    }
    return lt_graph_replace_value(graph, v->id, now, p->diag);
}

static lathe_status bake(lt_planner *p, lt_graph *graph, const lt_numbering *recipe_of)
{
    lt_node *last = NULL;
    for (lt_node *n = lt_region_first(graph, LT_INIT); n; n = lt_node_next(graph, n)) {
        last = n;
        for (uint32_t i = 0; i < n->n_outputs; i++) {
            lt_value *v = lt_node_out(graph, n, i);
            bool kept = true;
            LT_TRY(v && v->blob ? is_kept(p, recipe_of, v, &kept) : LATHE_OK);
            LT_TRY(kept ? LATHE_OK : bake_value(p, graph, v));
        }
    }
    for (lt_node *n = last; n;) { /* from the end: readers go first */
        lt_node *before = lt_node_get(graph, n->prev);
        bool unused = true;
        for (uint32_t i = 0; i < n->n_outputs; i++) {
            const lt_value *v = lt_node_out(graph, n, i);
            unused = unused && (!v || v->n_uses + v->n_region_outputs == 0);
        }
        LT_TRY(unused ? lt_graph_remove_node(graph, n->id, p->diag) : LATHE_OK);
        n = before;
    }
    const lt_region *init = lt_region_get(graph, LT_INIT);
    for (uint32_t i = init->n_inputs; i-- > 0;) {
        const lt_value *v = lt_value_get(graph, init->inputs[i]);
        bool unused = v && v->n_uses + v->n_region_outputs == 0;
        LT_TRY(unused ? lt_graph_remove_input(graph, v->id, p->diag) : LATHE_OK);
    }
    return LATHE_OK;
}

/* Can the elements of this hash be read back from the plan? What is not there, or only in a pack that cannot be undone, is added as it is. */
static lathe_status resolve(lt_planner *p, uint64_t hash, bool *found)
{
    *found = false;
    for (size_t i = 0; i < p->n_stored && !*found; i++) {
        const lathe_pack *pack = p->stored[i].pack ? lt_pack_find(p->stored[i].pack) : NULL;
        *found = lt_blob_hash(p->recipes[p->stored[i].recipe].blob) == hash && (!p->stored[i].pack || (pack && pack->unpack));
    }
    for (size_t i = 0; i < p->n_recipes && !*found; i++) {
        uint32_t number;
        if (lt_blob_hash(p->recipes[i].blob) == hash) {
            LT_TRY(lt_store_constant(p, (uint32_t)i, NULL, NULL, &number));
            p->stored[number].for_text = true;
            *found = true;
        }
    }
    return LATHE_OK;
}

/* Every constant that the text names by hash. */
static lathe_status resolve_text(lt_planner *p, const char *text)
{
    static const char word[] = "blob(0x";
    p->plan.retunable = 1;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        uint64_t hash;
        bool found = true;
        const char *digits = at + strlen(word) - 2;
        if (lt_parse_u64(digits, strcspn(digits, ")"), &hash)) {
            LT_TRY(resolve(p, hash, &found));
        }
        p->plan.retunable = p->plan.retunable && found;
    }
    return LATHE_OK;
}

static lathe_status print_graph(lt_planner *p, lt_graph *graph)
{
    lt_buf text;
    lt_buf_init(&text, p->arena->allocator);
    lt_text_options options = lt_text_canonical;
    options.origins = true;  /* a re-tuned plan tells of the same nodes */
    options.contents = true; /* the same plan whichever way the network came */
    lathe_status status = lt_graph_print(graph, &options, &text, p->diag);
    p->plan.graph = status == LATHE_OK ? lt_arena_strn(p->arena, lt_buf_str(&text), text.length) : NULL;
    lt_buf_free(&text);
    LT_TRY(status);
    return p->plan.graph ? LATHE_OK : LT_OOM(p->diag);
}

lathe_status lt_store_graph(lt_planner *p)
{
    lt_graph *copy;
    lt_numbering recipe_of = {0};
    LT_TRY(lt_graph_clone(p->request->above, p->request->allocator, &copy, p->diag));
    lathe_status status = lt_recipes_collect(p, copy, &recipe_of);
    status = status == LATHE_OK ? bake(p, copy, &recipe_of) : status;
    status = status == LATHE_OK ? print_graph(p, copy) : status;
    p->stored_graph = copy; /* recipes may point into it until the file is written */
    return status == LATHE_OK ? resolve_text(p, p->plan.graph) : status;
}
