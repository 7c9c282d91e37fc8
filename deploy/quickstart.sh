#!/usr/bin/env bash
# From a bare Debian 12 machine to an answered question: installs packages, builds build/release/bin/lectern, starts a
# server, uploads a PDF and asks three questions, the last one after a restart of the server.
#   deploy/quickstart.sh [--data-dir DIR] [--model DIR] [--file FILE --question Q [--question Q [--question Q]]]
# Exit code 0 only where every answer carried a quote that stands in the document, byte for byte.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
data=$root/build/quickstart
file=$root/deploy/sample/station-manual.pdf
model=()
questions=()

usage() { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
while [ $# -gt 0 ]; do
  case $1 in
    --data-dir) data=${2:?--data-dir needs a directory}; shift 2 ;;
    --model) model=(--model "${2:?--model needs a directory}"); shift 2 ;;
    --file) file=${2:?--file needs a file}; shift 2 ;;
    --question) questions+=("${2:?--question needs a question}"); shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "quickstart: unknown argument $1" >&2; usage >&2; exit 2 ;;
  esac
done
if [ ${#questions[@]} -eq 0 ]; then
  if [ "$file" != "$root/deploy/sample/station-manual.pdf" ]; then
    echo "quickstart: --file needs at least one --question" >&2
    exit 2
  fi
  questions=("What must be done if the main pump fails?"
             "What happens if the lamp of the harbour light goes out?"
             "Where does the crew gather when the fire bell rings?")
fi
# The table has three rows; a question asked again is warm all the same.
while [ ${#questions[@]} -lt 3 ]; do questions+=("${questions[-1]}"); done
[ -r "$file" ] || { echo "quickstart: cannot read $file" >&2; exit 2; }
file=$(realpath "$file")
mkdir -p "$data"
data=$(realpath "$data")
lectern=$root/build/release/bin/lectern
answers=$data/answers
server_pid=

say() { printf '\n== %s\n' "$*"; }

stop_server() {
  [ -n "$server_pid" ] || return 0
  kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=
}
trap stop_server EXIT

build_lectern() {
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  mkdir -p "$root/build/release"
  local log=$root/build/release/build.log
  if ! { cmake -S "$root" --preset release && ninja -C "$root/build/release" lectern; } >"$log" 2>&1; then
    grep -nE 'error|FAILED' "$log" | head -20 >&2
    tail -20 "$log" >&2
    echo "quickstart: the build failed; see $log" >&2
    exit 1
  fi
}

# Starts the server on ports that the system picks; other commands find it through the data directory.
start_server() {
  : >"$data/server.json"
  "$lectern" serve --listen 127.0.0.1:0 --metrics 127.0.0.1:0 --data-dir "$data" --json \
    "${model[@]}" >"$data/server.json" 2>>"$data/server.log" &
  server_pid=$!
  for _ in $(seq 600); do
    [ -s "$data/server.json" ] && return 0
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "quickstart: the server did not start:" >&2
  tail -5 "$data/server.log" >&2
  exit 1
}

# ask NUMBER: streams the answer to the screen and keeps it.
ask() {
  local question=${questions[$1]}
  printf '\n? %s\n' "$question"
  "$lectern" ask "$file" "$question" --data-dir "$data" | tee "$answers/$1"
}

first_token() { sed -nE 's/^  first token after ([0-9.]+) s;.*/\1/p' "$answers/$1"; }
from_cache() { sed -nE 's/^  first token after .* ([0-9]+) prompt tokens, ([0-9]+) of them from cache.*/\2 of \1/p' "$answers/$1"; }

one_line() { tr '\n\f\r\t' '    ' | sed -E 's/ +/ /g; s/^ //; s/ $//'; }

# check_quotes NUMBER: every quote of the answer is what stands at its bytes of the extracted text; at least one.
check_quotes() {
  local place begin end quote found count=0
  while read -r place && read -r quote; do
    begin=${place##*bytes } end=${begin#*-} begin=${begin%-*}
    quote=${quote#\"} quote=${quote%\"}
    found=$(tail -c "+$((begin + 1))" "$data/text" | head -c "$((end - begin))" | one_line)
    if [ "$found" != "$quote" ]; then
      echo "quickstart: the quote does not resolve: $place: \"$quote\" is \"$found\"" >&2
      return 1
    fi
    count=$((count + 1))
  done < <(grep -A1 '^  quote ' "$answers/$1" | grep -v '^--$')
  [ "$count" -gt 0 ] || { echo "quickstart: answer $(($1 + 1)) has no quote" >&2; return 1; }
}

say "packages"
"$root/deploy/install-packages.sh"
say "building build/release/bin/lectern"
build_lectern
"$lectern" version
say "starting the server"
start_server
cat "$data/server.json"
mkdir -p "$answers"
say "uploading $file"
"$lectern" doc add "$file" --data-dir "$data"
"$lectern" doc text "$file" >"$data/text"
# An earlier run has left its pages: the first question is to be cold.
"$lectern" cache evict --data-dir "$data" >/dev/null

say "three questions"
ask 0
ask 1
say "restarting the server"
stop_server
start_server
ask 2

say "time to the first token"
printf '%-42s %10s   %s\n' "" seconds "prompt tokens from cache"
printf '%-42s %10s   %s\n' "cold" "$(first_token 0)" "$(from_cache 0)"
printf '%-42s %10s   %s\n' "warm, new question" "$(first_token 1)" "$(from_cache 1)"
printf '%-42s %10s   %s\n' "warm after a restart, new question" "$(first_token 2)" "$(from_cache 2)"

failed=0
for number in 0 1 2; do check_quotes "$number" || failed=1; done
echo
[ "$failed" -eq 0 ] || { echo "quickstart: failed after ${SECONDS} s"; exit 1; }
echo "quickstart: every quote stands in the document; took ${SECONDS} s"
