/*
 * plan_recipe.c - the constants of all parts' graphs as one table: which are the same, what each is made of. Used by plan_blob.c and plan_init.c.
 *
 * Two constants are one when they are made in the same way from the same named initializers; equal bytes alone do not count, because refit may change one
 * and not the other. Initializers that the graph above the border does not have (constants of passes) go by their contents.
 */
#include "plan/plan_internal.h"
#include <string.h>

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    return lt_hash64(data, size, hash);
}

/* Is there an initializer of this name and these contents above the border? */
static bool is_named(const lt_planner *p, const lt_value *v)
{
    const lt_graph *above = p->request->above;
    const lt_value *same = lt_value_get(above, lt_graph_find(above, v->name));
    return same && same->region == LT_INIT && same->kind == LT_VALUE_INPUT && same->blob && lt_blob_hash(same->blob) == lt_blob_hash(v->blob);
}

static lathe_status add_recipe(lt_planner *p, const lt_recipe *r, uint32_t *out)
{
    for (size_t i = 0; i < p->n_recipes; i++) {
        if (p->recipes[i].id == r->id) {
            *out = (uint32_t)i;
            return LATHE_OK;
        }
    }
    if (!lt_arena_grow(p->arena, (void **)&p->recipes, &p->cap_recipes, p->n_recipes + 1, sizeof *p->recipes)) {
        return LT_OOM(p->diag);
    }
    *out = (uint32_t)p->n_recipes;
    p->recipes[p->n_recipes++] = *r;
    return LATHE_OK;
}

static lathe_status add_initializer(lt_planner *p, const lt_value *v, uint32_t *out)
{
    uint64_t contents = lt_blob_hash(v->blob);
    lt_recipe r = {.id = contents, .blob = v->blob, .name = v->name, .named = is_named(p, v), .computable = true};
    if (r.named) {
        r.id = mix(contents, v->name, strlen(v->name));
    }
    return add_recipe(p, &r, out);
}

/* Hash of a node and the recipes that it reads; bodies of control flow are not looked into: such results go by their contents. */
static lathe_status node_hash(lt_planner *p, const lt_graph *graph, const lt_node *node, const uint32_t *inputs, uint64_t *out)
{
    lathe_problem *problem;
    const char *text;
    LT_TRY(lt_problem_of_node(graph, node, p->arena, &problem, p->diag));
    LT_TRY(lt_problem_text(problem, p->arena, &text, p->diag));
    *out = mix(0x7265636970650000u, text, strlen(text));
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        uint64_t id = inputs[i] == LT_PLAN_NONE ? 0 : p->recipes[inputs[i]].id;
        *out = mix(*out, &id, sizeof id);
    }
    return LATHE_OK;
}

static lathe_status add_results(lt_planner *p, const lt_graph *graph, const lt_node *node, lt_numbering *recipe_of)
{
    bool bodies = node->op->traits & LT_OP_REGIONS, computable = !bodies;
    uint32_t *inputs = LT_ARENA_ARRAY(p->arena, uint32_t, node->n_inputs + 1u);
    uint64_t hash = 0;
    if (!inputs) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *v = lt_node_in(graph, node, i);
        inputs[i] = v ? lt_numbering_get(recipe_of, v->id.index) : LT_PLAN_NONE;
        LT_CHECK(p->diag, !v || inputs[i] != LT_PLAN_NONE, v->name);
        computable = computable && (!v || (p->recipes[inputs[i]].computable && v->type.dtype != LATHE_DTYPE_STRING));
    }
    if (!bodies) {
        LT_TRY(node_hash(p, graph, node, inputs, &hash));
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *v = lt_node_out(graph, node, i);
        if (!v || !v->blob) {
            continue;
        }
        uint64_t part[2] = {bodies ? lt_blob_hash(v->blob) : i, bodies};
        lt_recipe r = {.id = mix(hash, part, sizeof part), .blob = v->blob, .name = v->name, .graph = graph, .node = node, .output = i, .inputs = inputs,
                       .n_inputs = node->n_inputs, .computable = computable && v->type.dtype != LATHE_DTYPE_STRING};
        uint32_t number;
        LT_TRY(add_recipe(p, &r, &number));
        LT_TRY(lt_numbering_put(recipe_of, p->arena, v->id.index, number, p->diag));
    }
    return LATHE_OK;
}

lathe_status lt_recipes_collect(lt_planner *p, const lt_graph *graph, lt_numbering *recipe_of)
{
    const lt_region *init = lt_region_get(graph, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        const lt_value *v = lt_value_get(graph, init->inputs[i]);
        uint32_t number;
        if (v && v->blob) {
            LT_TRY(add_initializer(p, v, &number));
            LT_TRY(lt_numbering_put(recipe_of, p->arena, v->id.index, number, p->diag));
        }
    }
    for (const lt_node *n = lt_region_first(graph, LT_INIT); n; n = lt_node_next(graph, n)) {
        LT_TRY(add_results(p, graph, n, recipe_of));
    }
    return LATHE_OK;
}

/* ---- What a recipe is made of ---- */

/* Inputs of a recipe have smaller numbers than it: one sweep downwards marks all it needs. */
static lathe_status mark(lt_planner *p, uint32_t recipe, bool **out)
{
    bool *needed = *out = LT_ARENA_ARRAY(p->arena, bool, (size_t)recipe + 1);
    if (!needed) {
        return LT_OOM(p->diag);
    }
    needed[recipe] = true;
    for (uint32_t i = recipe + 1; i-- > 0;) {
        const lt_recipe *r = &p->recipes[i];
        for (uint32_t k = 0; needed[i] && k < r->n_inputs; k++) {
            if (r->inputs[k] != LT_PLAN_NONE) {
                needed[r->inputs[k]] = true;
            }
        }
    }
    return LATHE_OK;
}

lathe_status lt_recipe_leaves(lt_planner *p, uint32_t recipe, uint32_t **out, uint32_t *n)
{
    if (!p->recipes[recipe].node) {
        *n = 1;
        *out = lt_arena_copy(p->arena, &recipe, sizeof recipe, _Alignof(uint32_t));
        return *out ? LATHE_OK : LT_OOM(p->diag);
    }
    bool *needed;
    *n = 0;
    LT_TRY(mark(p, recipe, &needed));
    *out = LT_ARENA_ARRAY(p->arena, uint32_t, (size_t)recipe + 1);
    if (!*out) {
        return LT_OOM(p->diag);
    }
    for (uint32_t i = 0; i <= recipe; i++) {
        if (needed[i] && !p->recipes[i].node) {
            (*out)[(*n)++] = i;
        }
    }
    return LATHE_OK;
}
