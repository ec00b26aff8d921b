#!/usr/bin/env bash
# Builds the page, drives it in headless Chromium and looks at what is drawn. Debian's `chromium` is installed if there is none (it
# takes root). Needs Node 18 or later.
#
#   check.sh [SCREENSHOTS]   the folder that gets screenshots, wide and narrow, light and dark [default: none are made]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! command -v chromium >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
"$here/run.sh" --build-only
exec node "$here/check.mjs" "$here/../../runs/playground" "$@"
