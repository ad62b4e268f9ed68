#!/bin/sh
# Installs the programs of PostgreSQL and Redis that `make run` and `make test`
# start as private servers. Installs only what is missing, starts no service,
# upgrades and removes nothing. Says nothing when nothing is missing.
set -eu

# have PATTERN...: is one of them an executable file, or a program on PATH?
have() {
	for candidate; do
		if [ -x "$candidate" ] || command -v "$candidate" >/dev/null 2>&1; then
			return 0
		fi
	done
	return 1
}

# The places are those of internal/stack/programs.go. Debian's redis-check-rdb
# is the server under another name.
missing=
have initdb /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb \
	/usr/local/opt/postgresql@*/bin/initdb /usr/pgsql-*/bin/initdb || missing="postgresql"
have redis-server redis-check-rdb || missing="${missing:+$missing }redis-tools"
[ -n "$missing" ] || exit 0

if [ "$(uname -s)" = Darwin ]; then
	echo "missing: PostgreSQL or Redis. Please run: brew install postgresql@17 redis" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
	cat >&2 <<-END
		missing (by Debian's names): $missing
		There is no apt-get here. Please install by hand, no service needs to run:
		  PostgreSQL 15 or later: initdb and postgres on PATH
		  Redis 7.0 or later: redis-server on PATH
	END
	exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	if ! command -v sudo >/dev/null 2>&1; then
		echo "missing: $missing. Without sudo, please run as root: sh scripts/deps.sh" >&2
		exit 1
	fi
fi

echo "installing with apt-get${as_root:+ and sudo}: $missing (up to 65 MB; no service is started)"

# A package made for a server would also make a database cluster and start it.
# Who has decided about that before keeps the decision.
clusters=/etc/postgresql-common/createcluster.conf
case $missing in *postgresql*)
	if ! grep -qs '^[[:space:]]*create_main_cluster' "$clusters"; then
		echo "writing create_main_cluster = false to $clusters"
		$as_root mkdir -p "${clusters%/*}"
		echo 'create_main_cluster = false' | $as_root tee -a "$clusters" >/dev/null
	fi
	;;
esac

# A source that cannot be reached need not be one of ours.
$as_root apt-get update -qq || echo "apt-get update did not finish; going on with the lists there are" >&2
# shellcheck disable=SC2086 # package names hold no spaces
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	--no-install-recommends --no-upgrade --no-remove \
	-o Dpkg::Options::=--force-confold $missing
