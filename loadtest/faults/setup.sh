#!/bin/sh
# Fetches libfaketime, with which tests set the clock of a redis-server, unless it is
# here, without installing it. Where that cannot be, the faults that set Redis's clock
# use an embedded stand-in: so it never fails.
set -eu

say() { printf '%s\n' "setup: $*"; }

cache=${ATLHYPER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/atlhyper-observe}
for library in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib64/faketime/libfaketime.so.1 "$cache"/faketime/libfaketime.so.1; do
  [ -e "$library" ] && exit 0
done

fetch() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  say "fetching libfaketime with apt-get"
  (cd "$1" && apt-get download -q libfaketime >/dev/null 2>&1 && dpkg-deb -x libfaketime_*.deb tree) || return 1
  mkdir -p "$cache/faketime"
  cp "$1"/tree/usr/lib/*/faketime/libfaketime.so.1 "$cache/faketime/"
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
chmod 755 "$temporary" # apt-get downloads as a user of its own
fetch "$temporary" || say "no libfaketime: Redis's clock is set in an embedded stand-in"
