#!/usr/bin/env bash
# Makes station-manual.pdf from its source. Needs groff (deploy/packages-dev.txt); the PDF is tracked, so that the quickstart
# does not. Equal source gives equal bytes: groff's clock is replaced by a fixed date of the same length.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
groff -t -ms -Tpdf -P-pa5 -dpaper=a5 station-manual.ms |
  LC_ALL=C sed -E 's/(Creation|Mod)Date \(D:[0-9]{14}/\1Date (D:20260101000000/' >station-manual.pdf
