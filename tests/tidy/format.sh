#!/usr/bin/env bash
# Runs clang-format with the given arguments over every tracked source file of ours: format.sh CLANG_FORMAT ARGUMENT...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
git ls-files -z -- '*.h' '*.cc' '*.cu' '*.cuh' | xargs -0 -r "$@"
