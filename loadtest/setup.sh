#!/bin/sh
# Makes sure that what the given job needs is here, says what it fetches, and
# does nothing the second time. Usage: loadtest/setup.sh demo|test|load
set -eu
job=${1:?usage: loadtest/setup.sh demo|test|load}

say() { printf '%s\n' "setup: $*"; }

command -v go >/dev/null 2>&1 || { say "Go 1.26 or newer is needed: https://go.dev/dl"; exit 1; }

cache=${ATLHYPER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/atlhyper-observe}
PATH=$cache/bin:$PATH

# as_root COMMAND...: as root or through a sudo that asks nothing.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

update() { as_root apt-get update -q >/dev/null 2>&1; }

# install PACKAGE: with apt-get.
install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  as_root true 2>/dev/null || return 1
  say "installing $1 with apt-get"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >/dev/null 2>&1 && return 0
  say "updating the package lists first"
  update || return 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >/dev/null
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

# Debian's package haproxy starts a service when it is installed. So the package and
# those it lacks here are downloaded and unpacked into the cache, which needs no root
# either; a wrapper tells the program where its libraries are.
install_haproxy() {
  command -v apt-get >/dev/null 2>&1 || return 1
  root=$cache/haproxy
  rm -rf "$root.new" && mkdir -p "$root.new" "$cache/bin"
  packages=$(apt-get install -s --no-install-recommends haproxy 2>/dev/null | awk '$1 == "Inst" { print $2 }')
  [ -n "$packages" ] || return 1
  say "unpacking into $root: $(echo $packages)"
  (
    cd "$root.new"
    # shellcheck disable=SC2086 # a list of words
    apt-get download -q $packages >/dev/null 2>&1 || exit 1
    for package in *.deb; do
      dpkg-deb -x "$package" . || exit 1
      rm "$package"
    done
  ) || return 1
  rm -rf "$root" && mv "$root.new" "$root"
  libraries=$(find "$root" -name '*.so*' -exec dirname {} + | sort -u | paste -sd: -)
  cat >"$cache/bin/haproxy" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$root/usr/sbin/haproxy' "\$@"
END
  chmod +x "$cache/bin/haproxy"
  haproxy -v >/dev/null
}

if [ "$job" = load ] && ! command -v haproxy >/dev/null 2>&1; then
  if [ -x /usr/sbin/haproxy ]; then
    mkdir -p "$cache/bin"
    ln -sf /usr/sbin/haproxy "$cache/bin/haproxy"
  elif ! install_haproxy; then
    say "the package lists may be missing: updating them"
    update || true
    install_haproxy || { say "the load tests need haproxy (Debian: apt-get install haproxy)"; exit 1; }
  fi
fi

say "Go modules"
go mod download
[ "$job" = load ] || go run ./cmd/chdb fetch >/dev/null
