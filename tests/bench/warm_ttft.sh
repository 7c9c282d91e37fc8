#!/usr/bin/env bash
# Time to the first token over a long document: cold, warm in memory, warm after a restart from disk, and the last again
# with the operating system's page cache dropped (root only). Prints one JSON object and a table.
#   tests/bench/warm_ttft.sh [--binary build/release/bin/lectern] [--model DIR] [--words N] [--reps R]
# The document is the sample manual's text, repeated with other numbers until it has N words (default 11700, about 20K
# tokens); the question has about 30 tokens. Each figure is the median of R new questions (default 3).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
binary=$root/build/release/bin/lectern
model=() words=11700 reps=3
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$2; shift 2 ;;
    --model) model=(--model "$2"); shift 2 ;;
    --words) words=$2; shift 2 ;;
    --reps) reps=$2; shift 2 ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done
work=$(mktemp -d)
server_pid=
finish() {
  [ -z "$server_pid" ] || { kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT

"$binary" doc text "$root/deploy/sample/station-manual.pdf" >"$work/once"
once=$(wc -w <"$work/once")
for copy in $(seq $((words / once + 1))); do
  sed -E "s/\b(ten|twelve|twenty|thirty|forty)\b/\1-$copy/g" "$work/once"
done | awk -v words="$words" 'n < words { n += NF; print }' >"$work/document.txt"

start() {
  : >"$work/server.json"
  "$binary" serve --listen 127.0.0.1:0 --metrics none --data-dir "$work/data" --json --quiet "${model[@]}" \
    >"$work/server.json" 2>"$work/server.log" &
  server_pid=$!
  until [ -s "$work/server.json" ]; do kill -0 "$server_pid" || { cat "$work/server.log" >&2; exit 1; }; sleep 0.1; done
}
stop() { kill "$server_pid"; wait "$server_pid" || true; server_pid=; }
field() { sed -nE "s/.*\"$1\":([0-9.]+).*/\1/p"; }
number=0
# One new question of about 30 tokens; --whole, so that the model's reliable context does not shorten the document.
ask() {
  number=$((number + 1))
  "$binary" ask "$work/document.txt" --data-dir "$work/data" --json --whole --max-new-tokens 1 --evidence 0 \
    "Question $number: what must the watch leader do when the main pump fails during a storm and nobody can reach the boat house before noon?"
}
median() { sort -g | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

cold=() warm=() restarted=() dropped=()
mkdir -p "$work/data"
start
for _ in $(seq "$reps"); do
  "$binary" cache evict --data-dir "$work/data" >/dev/null
  answer=$(ask)
  cold+=("$(field ttft_s <<<"$answer")")
  tokens=$(field prompt_tokens <<<"$answer")
  answer=$(ask)
  warm+=("$(field ttft_s <<<"$answer")")
done
for _ in $(seq "$reps"); do
  stop; start
  answer=$(ask)
  restarted+=("$(field ttft_s <<<"$answer")")
  from_disk=$(field disk <<<"$answer")
  stop
  if [ "$(id -u)" -eq 0 ] && sync && echo 3 >/proc/sys/vm/drop_caches 2>/dev/null; then
    start
    dropped+=("$(field ttft_s <<<"$(ask)")")
  else
    start
  fi
done
stop
of() { [ $# -gt 0 ] && printf '%s\n' "$@" | median || echo null; }
cold_s=$(of "${cold[@]}") warm_s=$(of "${warm[@]}") restart_s=$(of "${restarted[@]}") dropped_s=$(of "${dropped[@]}")
printf '{"prompt_tokens":%s,"tokens_from_disk":%s,"cold_s":%s,"warm_s":%s,"restart_s":%s,"restart_dropped_cache_s":%s}\n' \
  "$tokens" "$from_disk" "$cold_s" "$warm_s" "$restart_s" "$dropped_s"
awk -v c="$cold_s" -v w="$warm_s" -v r="$restart_s" -v d="$dropped_s" 'BEGIN {
  printf "%-40s %8.3f s\n%-40s %8.3f s  %5.1f %% of cold\n%-40s %8.3f s  %5.1f %% of cold\n", "cold", c,
    "warm, in memory", w, 100 * w / c, "warm, after a restart", r, 100 * r / c
  if (d != "null") printf "%-40s %8.3f s  %5.1f %% of cold\n", "warm, after a restart, page cache dropped", d, 100 * d / c
}' >&2
