/*
 * pipeline.c - the order of the passes, and nothing else. Read by pass_manager.c; lathe-opt --list prints it.
 *
 * Above the border a graph does not depend on the device: it is stored once in a plan. Below it live what is particular to a target.
 */
#include "passes/passes.h"

const char *const lt_pipeline[] = {
    "fold-constants",     /* whatever needs no input */
    "fold-shapes",        /* shape arithmetic becomes constants and host expressions, so that the rest sees numbers */
    "fold-constants",     /* what was waiting for those; branches of If that are decided now */
    "fold-shapes",        /* and the shape arithmetic in them */
    "drop-identity",
    "merge-common",       /* before raising, so that shared weights stay shared */
    "clip-tables",        /* while rows are still looked up in the tables themselves */
    "expand-einsum",      /* so that attention and weights are found in it */
    "raise-quantized",
    "pack-attention",
    "fuse-attention",     /* before anything moves the transposes and scales that it looks for */
    "mask-to-causal",
    "fuse-layer-norm",
    "fold-scale-into-norm",
    "fuse-group-norm",
    "sink-unsqueeze",     /* what stands between them comes to the convolution in front of it */
    "fuse-activations",   /* before constants behind convolutions disappear in their weights */
    "drop-expand",
    "compose-slices",
    "compose-moves",
    "sink-slices",        /* behind them, so that each table is cut once */
    "fold-pad",
    "sink-transposes",    /* what stands between two, and then what stands behind convolutions alone */
    "sink-views",
    "drop-identity",
    "fold-bn-into-conv",
    "fold-scale-into-conv", /* what no convolution stands before */
    "fold-bn-into-quantized",
    "move-quantized",     /* so that shuffles are of bytes */
    "compose-shuffle",    /* into weights that have their normalization */
    "conv-to-matmul",     /* with the weights that those left */
    "quantize-before-pool", /* so that convolutions quantize their own results */
    "gemm-to-matmul",     /* after normalizations went into Gemm */
    "fuse-block-weights", /* behind move-quantized, which shows whose rows are integers */
    "sink-transposes",
    "fold-scale-into-matmul", /* with what came next to products just now */
    "merge-matmuls",      /* with their weights as they stay */
    "drop-identity",      /* what raising and folding left */
    "merge-common",
    "dead-code",
    LT_BORDER,
    "widen-halves",       /* the casts go into groups */
    "split-batch-norm",   /* what went into no weights */
    "compose-pointwise",
    "copy-dequantize",    /* so that each reader can take its own along */
    "group-epilogues",    /* roots take what follows them first */
    "group-pointwise",    /* the rest */
    NULL,
};
