/*
 * upgrade.c - lifts a node from the opset of its model to the newest definition, by the rows of the upgrade_*.c tables.
 *
 * A node's definition changes at certain opsets; there is a row for each such change of each operator. Called by the
 * importer for every node.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

static bool row_fits(const lt_upgrade *row, const char *op, const char *domain)
{
    return row->op[0] == op[0] && strcmp(row->op, op) == 0 && strcmp(row->domain, domain) == 0;
}

/* The row with the smallest `before` above `version`; NULL: none. *any: is there a row for the operator at all? */
static const lt_upgrade *next_row(const char *op, const char *domain, int64_t version, bool *any)
{
    const lt_upgrade *best = NULL;
    *any = false;
    for (size_t t = 0; lt_upgrade_tables[t] != NULL; t++) {
        for (const lt_upgrade *row = lt_upgrade_tables[t]; row->op != NULL; row++) {
            if (row_fits(row, op, domain)) {
                *any = true;
                if (row->before > version && (best == NULL || row->before < best->before)) {
                    best = row;
                }
            }
        }
    }
    return best;
}

static const char *plain_domain(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

static lathe_status say(const char **reason, const char *text, lathe_diag *diag)
{
    *reason = text;
    return text != NULL ? LATHE_OK : LT_OOM(diag);
}

lathe_status lt_upgrade_known(lt_arena *arena, const char *op, const char *domain, int64_t opset, const char **reason,
                              lathe_diag *diag)
{
    bool any, known = lt_op_find(plain_domain(domain), op) != NULL;
    const lt_upgrade *row = next_row(op, plain_domain(domain), opset, &any);
    *reason = NULL;
    if (row != NULL && row->upgrade == lt_up_introduced) {
        return say(reason,
                   lt_arena_printf(arena, "the operator does not exist before opset %d, the model imports opset %lld",
                                   row->before, (long long)opset),
                   diag);
    }
    if (known) {
        return LATHE_OK;
    }
    for (int64_t version = opset; row != NULL; row = next_row(op, plain_domain(domain), version, &any)) {
        if (row->upgrade !=
            NULL) { /* may become another operator; what comes out is checked when it has been applied */
            return LATHE_OK;
        }
        version = row->before;
    }
    if (any) {
        return say(reason, "ONNX has or had the operator, this build does not", diag);
    }
    const char *near = lt_op_suggest(plain_domain(domain), op);
    return say(
        reason,
        lt_arena_printf(
            arena, near[0] != '\0' ? "the operator is unknown; did you mean '%s'?" : "the operator is unknown%s", near),
        diag);
}

/*
 * Attributes that older definitions had, and newer ones read as inputs or not at all: nobody would look at their kinds later. Each name had one kind wherever
 * it stood. (value, to and p changed theirs; their upgrades look.)
 */
static const lt_attr_spec old_attrs[] = {
    { "axes", LATHE_ATTR_INTS, false },
    { "axis", LATHE_ATTR_INT, false },
    { "broadcast", LATHE_ATTR_INT, false },
    { "classes_strings", LATHE_ATTR_STRINGS, false },
    { "consumed_inputs", LATHE_ATTR_INTS, false },
    { "directions", LATHE_ATTR_INTS, false },
    { "ends", LATHE_ATTR_INTS, false },
    { "height_scale", LATHE_ATTR_FLOAT, false },
    { "is_test", LATHE_ATTR_INT, false },
    { "k", LATHE_ATTR_INT, false },
    { "max", LATHE_ATTR_FLOAT, false },
    { "min", LATHE_ATTR_FLOAT, false },
    { "output_sequence", LATHE_ATTR_INT, false },
    { "paddings", LATHE_ATTR_INTS, false },
    { "pads", LATHE_ATTR_INTS, false },
    { "ratio", LATHE_ATTR_FLOAT, false },
    { "scales", LATHE_ATTR_FLOATS, false },
    { "shape", LATHE_ATTR_INTS, false },
    { "spatial", LATHE_ATTR_INT, false },
    { "split", LATHE_ATTR_INTS, false },
    { "starts", LATHE_ATTR_INTS, false },
    { "width_scale", LATHE_ATTR_FLOAT, false },
    { 0 },
};

static const lt_attr_spec *find_spec(const lt_attr_spec *specs, const char *name)
{
    while (specs != NULL && specs->name != NULL && strcmp(specs->name, name) != 0) {
        specs++;
    }
    return specs != NULL && specs->name != NULL ? specs : NULL;
}

/* An upgrade may drop all attributes that it does not know: what no definition has is refused before. */
static lathe_status check_old_attrs(const lt_upgrade_call *call, lathe_diag *diag)
{
    const lt_op *op = lt_op_find(call->domain, call->op);
    for (size_t i = 0; i < call->n_attrs; i++) {
        const lathe_attr *attr = &call->attrs[i];
        const lt_attr_spec *old = find_spec(old_attrs, attr->name);
        bool moved = strcmp(attr->name, "value") == 0 || strcmp(attr->name, "to") == 0 || strcmp(attr->name, "p") == 0;
        if (attr->kind == LATHE_ATTR_GRAPH || (old == NULL && (moved || op == NULL))) {
            continue; /* graphs where none may be are refused with them */
        }
        const lt_attr_spec *spec = old != NULL ? old : find_spec(op->attrs, attr->name);
        if (spec != NULL && attr->kind != spec->kind) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, "give it the kind that the definition says", "attribute '%s' has another kind than the operator's definition gives it", spec->name);
        }
        if (spec == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, "remove it", "%s has no attribute '%s'", op->name, attr->name);
        }
    }
    return LATHE_OK;
}

lathe_status lt_upgrade_apply(lt_upgrade_call *call, lathe_diag *diag)
{
    int64_t version = call->opset;
    bool any;
    if (next_row(call->op, call->domain, version, &any) != NULL) {
        LT_TRY(check_old_attrs(call, diag));
    }
    for (const lt_upgrade *row; (row = next_row(call->op, call->domain, version, &any)) != NULL;
         version = row->before) {
        if (row->upgrade != NULL) {
            LT_TRY(row->upgrade(call, diag));
        }
    }
    if (lt_op_find(call->domain, call->op) == NULL) {
        return lt_up_refuse(call, diag, "this build does not have the operator, whose newest form is '%s'", call->op);
    }
    return LATHE_OK;
}

size_t lt_onnx_versions(const char *op, const char *domain, int newest, int out[LT_ONNX_VERSIONS])
{
    size_t count = 0;
    bool any;
    const lt_upgrade *row = next_row(op, plain_domain(domain), 0, &any);
    if (row == NULL || row->upgrade != lt_up_introduced) {
        out[count++] = any ? 1 : newest;
    }
    for (; row != NULL && count < LT_ONNX_VERSIONS; row = next_row(op, plain_domain(domain), row->before, &any)) {
        out[count++] = row->before;
    }
    return count;
}

/* ---- Rows that many operators share ---- */

lathe_status lt_up_introduced(lt_upgrade_call *call, lathe_diag *diag)
{
    return lt_up_refuse(call, diag, "the operator does not exist in opset %lld", (long long)call->opset);
}

lathe_status lt_up_drop_consumed(lt_upgrade_call *call, lathe_diag *diag)
{
    (void)diag;
    lt_up_drop(call, "consumed_inputs");
    return LATHE_OK;
}
