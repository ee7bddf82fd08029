"""What peers.py prints: rows, tables with geometric means, and where a model that is behind loses its time."""
import math
import os
import platform
import statistics

CLASSES = {  # of operators of the peer, by the names of Lathe's classes of steps
    "convolution": "Conv FusedConv ConvTranspose QLinearConv ConvInteger NhwcFusedConv",
    "matmul": "MatMul Gemm FusedMatMul FusedGemm MatMulInteger QGemm QLinearMatMul Attention MultiHeadAttention DynamicQuantizeMatMul MatMulIntegerToFloat",
    "normalization": "LayerNormalization SkipLayerNormalization SimplifiedLayerNormalization SkipSimplifiedLayerNormalization EmbedLayerNormalization "
                     "BatchNormalization InstanceNormalization GroupNorm LRN",
    "softmax": "Softmax LogSoftmax",
    "pooling": "MaxPool AveragePool GlobalAveragePool GlobalMaxPool QLinearGlobalAveragePool QLinearAveragePool",
    "recurrent": "LSTM GRU RNN DynamicQuantizeLSTM",
    "resize": "Resize Upsample",
    "reformat": "ReorderInput ReorderOutput",
    "movement": "Concat Split Slice Transpose Gather Reshape Expand Pad Squeeze Unsqueeze Tile GatherND ScatterND DepthToSpace SpaceToDepth Flatten",
    "reduction": "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2 ArgMax ArgMin TopK",
}
CLASS_OF = {op: name for name, ops in CLASSES.items() for op in ops.split()}


def ratio(row, peer):
    theirs, ours = row["medians"].get(peer), row["medians"].get("lathe")
    return statistics.median(theirs) / statistics.median(ours) if theirs and ours else None


def spread(row, peer):
    """Least and largest ratio of a round."""
    rounds = [t / o for t, o in zip(row["medians"][peer], row["medians"]["lathe"])]
    return min(rounds), max(rounds)


def by_class(classes):
    return {c["name"]: c["ms"] for c in classes}


def by_peer_class(sums):
    out = {}
    for op, ms in sums.items():
        name = CLASS_OF.get(op, "pointwise")
        out[name] = out.get(name, 0) + ms
    return out


def losses(row):
    """Classes of steps in which the peer needs less time, most costly first."""
    ours, theirs = row.get("steps") or {}, row.get("peer_steps") or {}
    found = sorted(((ours.get(c, 0) - theirs.get(c, 0), c) for c in set(ours) | set(theirs)), reverse=True)
    text = ", ".join(f"{c} {ours.get(c, 0):.2f} against {theirs.get(c, 0):.2f} ms" for d, c in found[:3] if d > 0.02)
    most = ", ".join(f"{c} {ms:.2f} against {theirs.get(c, 0):.2f} ms" for c, ms in sorted(ours.items(), key=lambda x: -x[1])[:2])
    return text or f"no class by the engines' own profiles, which cost time themselves: {most}"


def line(row, peers):
    text = f"{row['model']:28s} {row['threads']} thread{'s' if row['threads'] > 1 else ' '}  lathe {statistics.median(row['medians']['lathe']):9.3f} ms"
    for peer in peers:
        if peer in row["medians"]:
            low, high = spread(row, peer)
            error = row["mean_rel"].get(peer)
            error = "-" if error is None else f"{error:.0e}"
            text += f"  {peer} {statistics.median(row['medians'][peer]):9.3f} ratio {ratio(row, peer):5.2f} ({low:.2f}..{high:.2f}) diff {error}"
        else:
            text += f"  {peer} failed"
    return text


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def machine():
    model = platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release().split('-')[0]}"


def table(rows, peers):
    if not rows:
        return "no rows"
    pins = rows[-1]["version"]["pins"]
    text = [f"Measured on {machine()}; {pins}; {max(r['date'] for r in rows)}. Batch 1, f32 inputs in turn; ratio = peer's median latency / Lathe's; "
            "in parentheses the least and largest ratio of a round; min: of the least times.", ""]
    for threads in sorted({r["threads"] for r in rows}):
        these = [r for r in rows if r["threads"] == threads]
        text += [f"### {threads} thread{'s' if threads > 1 else ''}", "",
                 "| model | Lathe ms (min) | " + " | ".join(f"{p} ms | ratio | min" for p in peers) + " |",
                 "|---|---|" + "---|---|---|" * len(peers)]
        for r in these:
            cells = [r["model"], f"{statistics.median(r['medians']['lathe']):.2f} ({r['least']['lathe']:.2f})"]
            for p in peers:
                if p in r["medians"]:
                    low, high = spread(r, p)
                    cells += [f"{statistics.median(r['medians'][p]):.2f}", f"{ratio(r, p):.2f} ({low:.2f}–{high:.2f})",
                              f"{r['least'][p] / r['least']['lathe']:.2f}"]
                else:
                    cells += ["failed", "–", "–"]
            text.append("| " + " | ".join(cells) + " |")
        means = " | ".join(f" | **{geomean([ratio(r, p) for r in these]):.3f}** | " for p in peers)
        text += [f"| **geometric mean** | | {means} |", ""]
    behind = [r for r in rows if r.get("steps") and (ratio(r, "onnxruntime") or 1) < 1]
    if behind:
        text += ["Models behind onnxruntime, and the classes of steps that lose the time:", ""]
        text += [f"- {r['model']}, {r['threads']} thread{'s' if r['threads'] > 1 else ''}, {ratio(r, 'onnxruntime'):.2f}: {losses(r)}" for r in behind]
    return "\n".join(text)


def into_docs(path, text, name="peers"):
    """Between the two markers of that name."""
    with open(path) as f:
        old = f.read()
    begin, end = (f"<!-- {name}: {place} -->" for place in ("begin", "end"))
    begin, end = old.index(begin) + len(begin), old.index(end)
    with open(path, "w") as f:
        f.write(old[:begin] + "\n" + text + "\n" + old[end:])
