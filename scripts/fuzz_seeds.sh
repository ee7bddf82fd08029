#!/bin/sh
# fuzz_seeds.sh FOLDER: small models and tensors of ONNX's test cases as seeds: FOLDER/onnx, FOLDER/infer and FOLDER/tensor. They come from LATHE_ONNX_TESTS (a folder),
# ../shared/onnx-tests, or Debian's libonnx-testdata; quietly nothing where none of these is there. Done once.
set -eu
folder=$1
[ ! -f "$folder/done" ] || exit 0
mkdir -p "$folder/onnx" "$folder/infer" "$folder/tensor"
from=${LATHE_ONNX_TESTS:-}
archive=../shared/onnx-tests/onnx-node-tests.tar.zst
if [ -z "$from" ] && [ -f "$archive" ] && command -v zstd >/dev/null 2>&1; then
    mkdir -p "$folder/archive"
    zstd -dcq "$archive" | tar -xf - -C "$folder/archive"
    from=$folder/archive
fi
if [ -z "$from" ] && command -v dpkg-query >/dev/null 2>&1; then
    from=$(dpkg-query -L libonnx-testdata 2>/dev/null | sed -n 's,/test_data_set_0/.*,,p' | xargs -r -n 1 dirname | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
fi
if [ -n "$from" ] && [ -d "$from" ]; then
    # One in ten of the cases: more only keeps libFuzzer from its work. The first byte of a seed for `tensor` says what is asked for; 0 is a tensor.
    find -L "$from" -name model.onnx -size -16k | sort | awk 'NR % 10 == 0' | while read -r model; do
        case=${model%/model.onnx}
        name=${case##*/}
        cp "$model" "$folder/onnx/$name"
        tensor=$case/test_data_set_0/output_0.pb
        [ ! -f "$tensor" ] || { printf '\0' && head -c 4096 "$tensor"; } >"$folder/tensor/$name"
    done
    cp "$folder"/onnx/* "$folder/infer/"
fi
rm -rf "$folder/archive"
: >"$folder/done"
