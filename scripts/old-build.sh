#!/bin/sh
# Builds the saver and the gateway of an older commit, to run them beside the present ones:
#
#	sh scripts/old-build.sh DIRECTORY [COMMIT]
#	make chaos OLD_BIN=DIRECTORY
#
# COMMIT defaults to the one 50 commits back on the main line, or the oldest
# where there are fewer. The work tree is left alone.
set -eu

[ $# -ge 1 ] || { sed -n '4,5s/^#//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
commit=${2:-}
if [ -z "$commit" ]; then
	commit=$(git rev-list --first-parent --max-count=51 HEAD | tail -n 1)
fi
commit=$(git rev-parse --verify --short "$commit^{commit}")

tree=$(mktemp -d)
trap 'git worktree remove --force "$tree" >/dev/null 2>&1; rm -rf "$tree"' EXIT
git worktree add --quiet --detach "$tree" "$commit"
(cd "$tree" && go build -o "$out/" ./cmd/saver ./cmd/gateway)
echo "saver and gateway of $commit are in $out"
