#!/bin/sh
# The kernel (steps and losses), digests and half precision under sanitizers, on shapes, numbers and lengths that runs never have
# (native/check/): addresses and undefined behaviour first, then threads. For who changes native/; five minutes on an idle
# machine of two cores. CXX chooses the compiler.
set -eu
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
compiler=${CXX:-g++}
flags='-std=c++17 -O1 -g -ffp-contract=fast -fno-math-errno -fno-omit-frame-pointer'
avx512='-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma'

check() {
  sanitizers=$1
  rm -f "$build"/*.o
  # first, because it is over in seconds; they choose instructions themselves
  $compiler $flags $sanitizers check/conversions.cc digest.cc half.cc -o "$build/conversions" -lpthread
  "$build/conversions"
  # from few instructions to many, as setup/saeKernel.ts links them
  $compiler $flags $sanitizers -c check/main.cc -o "$build/0.o" &
  $compiler $flags $sanitizers -DSAE_ISA=portable -c step.cc -o "$build/1.o" &
  if [ "$(uname -m)" = x86_64 ]; then
    $compiler $flags $sanitizers -mavx2 -mfma -DSAE_ISA=avx2 -c step.cc -o "$build/2.o"
    $compiler $flags $sanitizers $avx512 -DSAE_ISA=avx512 -c step.cc -o "$build/3.o" &
    $compiler $flags $sanitizers $avx512 -mavx512bf16 -DSAE_ISA=avx512bf16 -c step.cc -o "$build/4.o"
  fi
  wait
  $compiler $sanitizers "$build"/*.o -o "$build/check" -lpthread
  "$build/check"
}

check '-fsanitize=address,undefined -fno-sanitize-recover=all'
check '-fsanitize=thread'
