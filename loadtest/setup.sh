#!/bin/sh
# Makes sure that what the given job needs is here, says what it fetches, and
# does nothing the second time. Usage: loadtest/setup.sh demo|test
set -eu
job=${1:?usage: loadtest/setup.sh demo|test}

say() { printf '%s\n' "setup: $*"; }

command -v go >/dev/null 2>&1 || { say "Go 1.26 or newer is needed: https://go.dev/dl"; exit 1; }

cache=${ATLHYPER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/atlhyper-observe}
PATH=$cache/bin:$PATH

# install PACKAGE: with apt-get, as root or through a sudo that asks nothing.
install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    sudo="sudo -n"
  fi
  say "installing $1 with apt-get"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >/dev/null 2>&1 && return 0
  say "updating the package lists first"
  $sudo apt-get update -q >/dev/null 2>&1 || return 1
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >/dev/null
}

# Debian's package redis-server would start a service on the default port and at
# every boot. Its program is the one that redis-tools brings as redis-check-rdb;
# the name it is called by decides what it is.
install_redis() {
  [ -x /usr/bin/redis-check-rdb ] || install redis-tools || return 1
  [ -x /usr/bin/redis-check-rdb ] || return 1
  mkdir -p "$cache/bin"
  ln -sf /usr/bin/redis-check-rdb "$cache/bin/redis-server"
  redis-server --version >/dev/null
}

if ! command -v redis-server >/dev/null 2>&1 && ! install_redis; then
  if [ "$job" = demo ]; then
    say "no redis-server and no way to install one: the demo uses an embedded stand-in"
  else
    say "the tests need redis-server (Debian: apt-get install redis-server)"
    exit 1
  fi
fi

say "Go modules"
go mod download
go run ./cmd/chdb fetch >/dev/null
