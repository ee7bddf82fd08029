#!/bin/sh
# one_file_additions.sh ROOT: an operator, a pass, a tactic: each is one new file and nothing else. The script copies the tree, adds one
# of each, builds, and asks the programs for their lists. It also checks that the new files keep the rules of docs/layers.txt.
set -eu
root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
for part in CMakeLists.txt cmake include src tools; do
    cp -r "$root/$part" "$work/tree/"
done
mkdir -p "$work/tree/docs" "$work/tree/tests"
cp "$root/docs/layers.txt" "$work/tree/docs/"
cp -r "$root/tests/tools" "$root/tests/CMakeLists.txt" "$root"/tests/*.sh "$work/tree/tests/"
[ ! -d "$root/tests/support" ] || cp -r "$root/tests/support" "$work/tree/tests/"
cd "$work/tree"

cat >src/ops/one_file_op.c <<'C'
/* one_file_op.c - an operator that a test adds. */
#include "ops/ops.h"

static lathe_status infer(lt_infer *c)
{
    return lt_infer_same(c, 0, 0);
}

static lathe_status eval(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    float *y = lt_out(c, 0)->data;
    int64_t count = lt_tensor_count(x);
    for (int64_t i = 0; i < count; i++)
        y[i] = 2.0f * ((const float *)x->data)[i];
    return LATHE_OK;
}

static const char *const samples[] = { "f32[3] x = iota | y = OneFileOp (x)", NULL };

LT_OPS(one_file_op) = {
    { .name = "OneFileOp", .domain = "lathe", .since = 1, .sig = "(f32 X) -> (f32 Y)", .infer = infer, .eval = eval,
      .samples = samples },
    { .name = NULL },
};
C
cat >src/passes/one_file_pass.c <<'C'
/* one_file_pass.c - a pass that a test adds. */
#include "passes/passes.h"

static const lt_rule rules[] = {
    { .name = "twice", .pattern = "Neg(Neg(x))", .replacement = "x" },
    { .name = NULL },
};

LT_PASS(one_file_pass) = { .name = "one-file-pass", .summary = "drops a double negation", .rules = rules };
C
cat >src/backend/cpu/one_file_tactic.c <<'C'
/* one_file_tactic.c - a tactic that a test adds; it always refuses. */
#include <stdio.h>

#include "backend/tactic.h"

static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)problem;
    (void)config;
    snprintf(fit->why, sizeof fit->why, "only a test");
    return 0;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    (void)gang;
    (void)call;
    (void)diag;
    return LATHE_UNSUPPORTED;
}

LT_TACTICS(one_file_tactic) = {
    { .struct_size = sizeof(lathe_tactic), .name = "test.one-file-tactic", .version = 1, .summary = "a test adds it", .ops = "-",
      .device = LATHE_SPACE_HOST, .configs = 1, .fits = fits, .run = run },
    { .name = NULL },
};
C

cmake -S . -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 >"$work/log" 2>&1 &&
    cmake --build "$work/build" --target lathe_cmd lathe-opt -j "${LATHE_JOBS:-1}" >>"$work/log" 2>&1 || {
    tail -n 40 "$work/log"
    echo "one_file_additions: the tree with three more files does not build"
    exit 1
}
failed=0
shows() {
    word=$1
    shift
    if "$@" >"$work/out" 2>&1 && grep -q -- "$word" "$work/out"; then
        echo "found: $* lists $word"
    else
        tail -n 5 "$work/out"
        echo "one_file_additions: $* does not list $word"
        failed=1
    fi
}
shows OneFileOp "$work/build/lathe" ops
shows one-file-pass "$work/build/lathe-opt" --list
shows test.one-file-tactic "$work/build/lathe" tactics
sh tests/check_layers.sh . || failed=1
exit $failed
