#!/bin/sh
# Remove from the venv $1 what a job never reads: C++ headers, tests, TensorBoard, the debugger, Clang's parser (TensorFlow names it as a
# dependency and never imports it), LiteRT for GPUs, the maker of Vega's bundle (it is baked).
set -eu

packages=$1/lib/python3.11/site-packages
rm -rf "$packages/tensorflow/include" "$packages"/tensorboard "$packages"/tensorboard-* "$packages"/tensorboard_data_server* \
    "$packages"/debugpy "$packages"/clang "$packages"/vl_convert "$packages"/ai_edge_litert/tools
rm -f "$packages"/ai_edge_litert/libLiteRtWebGpuAccelerator.so
find "$packages" -type d \( -name tests -o -name test \) -path '*/site-packages/*' \
    \( -path '*/pandas/*' -o -path '*/numpy/*' -o -path '*/pyarrow/*' -o -path '*/h5py/*' -o -path '*/matplotlib/*' \) -prune -exec rm -rf {} +
rm -f "$1/.lock" # uv leaves it writable by everyone
find "$packages/pyarrow" -type d -name include -prune -exec rm -rf {} +
