#!/bin/sh
# Makes sure that promtool is here, says what it fetches, and does nothing the second
# time. Debian's package prometheus would start a service when it is installed: only its
# promtool is taken, which needs no root.
set -eu

say() { printf '%s\n' "setup: $*"; }

cache=${ATLHYPER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/atlhyper-observe}
PATH=$cache/bin:$PATH
command -v promtool >/dev/null 2>&1 && exit 0

fetch() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  say "fetching promtool with apt-get: once, 19 MB"
  (cd "$temporary" && apt-get download -q prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb tree) || return 1
  mkdir -p "$cache/bin"
  # Whole or not at all, also across file systems.
  cp "$temporary/tree/usr/bin/promtool" "$cache/bin/promtool.$$" && mv "$cache/bin/promtool.$$" "$cache/bin/promtool"
}

update() {
  say "the package lists may be missing: updating them"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -q >/dev/null 2>&1
  else
    sudo -n apt-get update -q >/dev/null 2>&1
  fi
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
chmod 755 "$temporary" # apt-get downloads as a user of its own
fetch || { update && fetch; } || { say "the alert rules are tested with promtool (Debian: in the package prometheus)"; exit 1; }
promtool --version >/dev/null 2>&1
