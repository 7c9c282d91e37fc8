#!/usr/bin/env bash
# Installs what the lists beside this script name (packages.txt unless others are given) and the machine lacks.
# Debian 12; root, or a user who may use sudo. Says nothing and touches no network where all is there.
#   deploy/install-packages.sh [LIST...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lists=("$@")
[ ${#lists[@]} -gt 0 ] || lists=("$here/packages.txt")

wanted=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "${lists[@]}")
missing=()
for package in $wanted; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-packages: not root and no sudo; missing: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 "$@"
}

echo "installing ${#missing[@]} Debian packages" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Quiet while it works; the whole log where it does not.
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "install-packages: apt-get failed" >&2
  exit 1
fi
