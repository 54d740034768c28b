#!/usr/bin/env bash
# Builds the fuzz targets as cargo-fuzz does, where cargo-fuzz is not installed.
set -euo pipefail
cd "$(dirname "$0")"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS="--cfg fuzzing $coverage -Zsanitizer=address -Ccodegen-units=1"
cargo +nightly build --release --target x86_64-unknown-linux-gnu "$@"
