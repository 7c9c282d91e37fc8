#!/usr/bin/env bash
# Installs what is needed, builds everything and runs every test that needs no GPU, on a bare Debian 12 machine.
#   tests/run.sh [unit|sanitizers]   only that part; without an argument, all of it
# LECTERN_CONFORMANCE_DIR  a whole conformance set instead of the subset in tests/testdata
# LECTERN_TEST_JOBS        parallel compilers and tests (default: the cores)
# Ends with CTest's summaries, a table of what ran, and one line "N passed, N failed, N skipped" that counts test cases.
# Exit code 0 only where everything was built and nothing failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
jobs=${LECTERN_TEST_JOBS:-$(nproc)}
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
part=${1:-all}
broken=0                            # parts that could not be built, or whose ctest failed
counts=$root/build/test-counts.txt  # "part passed failed skipped" a line

say() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

# build PRESET DIR TARGET... ; quiet unless it fails. Line tables alone as debug information: a quarter of the compile time
# less, and stacks still name lines.
build() {
  local preset=$1 dir=$2
  shift 2
  mkdir -p "$dir"
  if cmake --preset "$preset" -B "$dir" -DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-g1 -DCMAKE_CXX_FLAGS_DEBUG=-g1 >"$dir/build.log" 2>&1 &&
     ninja -C "$dir" -j "$jobs" "$@" >>"$dir/build.log" 2>&1; then
    return 0
  fi
  grep -nE 'error|FAILED|Error' "$dir/build.log" | head -40
  tail -40 "$dir/build.log"
  echo "build failed: $dir ($*)"
  broken=$((broken + 1))
  return 1
}

# run_ctest NAME DIR ARGUMENT... ; output of what fails, then CTest's summary. Counts GoogleTest cases; a test program
# without a report counts as one case, a failed one as at least one failure.
run_ctest() {
  local name=$1 dir=$2
  shift 2
  local reports=$root/$dir/reports  # absolute: tests run elsewhere
  rm -rf "$reports" && mkdir -p "$reports/cases"
  GTEST_OUTPUT="xml:$reports/cases/" ctest --test-dir "$dir" -j "$jobs" --output-on-failure \
    --no-tests=error --output-junit "$reports/ctest.xml" "$@" || broken=$((broken + 1))
  count_cases "$name" "$reports" >>"$counts"
}

count_cases() {
  local name=$1 reports=$2 passed=0 failed=0 skipped=0 test status
  while read -r test status; do
    local xml=$reports/cases/$test.xml total=0 bad=0 left_out=0
    if [ -s "$xml" ]; then
      total=$(grep -cE '<testcase [^>]*status="run"' "$xml")
      left_out=$(grep -c '<skipped' "$xml")
      bad=$(grep -o '<testsuites [^>]*' "$xml" | sed -E 's/.* failures="([0-9]+)".*/\1/')
      total=$((total + $(grep -cE '<testcase [^>]*status="notrun"' "$xml")))
      left_out=$((left_out + $(grep -cE '<testcase [^>]*status="notrun"' "$xml")))
    fi
    [ "$total" -gt 0 ] || total=1
    case $status in
      fail) [ "$bad" -gt 0 ] || bad=1 ;;
      notrun | disabled) [ -s "$xml" ] || left_out=1 ;;
    esac
    passed=$((passed + total - bad - left_out))
    failed=$((failed + bad))
    skipped=$((skipped + left_out))
  done < <(sed -nE 's/.*<testcase name="([^"]+)".* status="([^"]+)".*/\1 \2/p' "$reports/ctest.xml" 2>/dev/null)
  echo "$name $passed $failed $skipped"
}

# Every library, program and test, and every test but the GPU's.
all_tests() {
  say "building everything into build/tests"
  build dev build/tests all || return
  say "tests"
  run_ctest tests build/tests -LE 'gpu|multi_gpu'
}

# Parsers of outside bytes under AddressSanitizer and UBSan.
parsers_under_asan() {
  local folders=() targets=() folder
  for folder in engine/config engine/tokenizer engine/weights engine/cache services/documents; do
    [ -f "tests/$folder/CMakeLists.txt" ] || continue
    folders+=("$folder")
    targets+=("tests/$folder/all")
  done
  say "building the parsers' tests with AddressSanitizer and UBSan"
  build asan build/asan "${targets[@]}" || return
  for folder in "${folders[@]}"; do
    say "asan: $folder"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
      run_ctest "asan:$folder" "build/asan/tests/$folder" -L unit
  done
}

# What stands on the standard library alone, under ThreadSanitizer. Not the tiers: RocksDB is not instrumented, and what
# silences its false reports would silence ours too.
threads_under_tsan() {
  say "building the cache's and the scheduler's tests with ThreadSanitizer"
  build tsan build/tsan engine_cache_test engine_scheduler_test || return
  say "tsan"
  TSAN_OPTIONS=halt_on_error=1 run_ctest tsan build/tsan -R '^engine_(cache|scheduler)_test$'
}

summary() {
  local passed=0 failed=0 skipped=0 name p f s
  printf '\n%-28s %8s %8s %8s\n' part passed failed skipped
  while read -r name p f s; do
    printf '%-28s %8d %8d %8d\n' "$name" "$p" "$f" "$s"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  done <"$counts"
  [ "$broken" -eq 0 ] || [ "$failed" -gt 0 ] || failed=$broken
  [ "$passed" -gt 0 ] || broken=$((broken + 1))
  echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s on $(nproc) cores"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$broken" -eq 0 ] && [ "$failed" -eq 0 ]
}

case $part in all | unit | sanitizers) ;; *) echo "usage: tests/run.sh [unit|sanitizers]" >&2; exit 2 ;; esac
deploy/install-packages.sh || exit 1
mkdir -p build
: >"$counts"
[ "$part" = unit ] || { parsers_under_asan; threads_under_tsan; }
[ "$part" = sanitizers ] || all_tests
say "done"
summary
