#!/bin/sh
# Makes sure that what the given job needs is here, says what it fetches, and
# does nothing the second time. Usage: loadtest/setup.sh demo|test|load|kube
set -eu
job=${1:?usage: loadtest/setup.sh demo|test|load|kube}

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

# Debian's package etcd-server starts a service, too: only its program is taken.
fetch_etcd() {
  if command -v etcd >/dev/null 2>&1; then
    ln -sf "$(command -v etcd)" "$kube/etcd"
    return 0
  fi
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  temporary=$(mktemp -d "$work/etcd.XXXXXX")
  chmod 755 "$temporary" # apt-get downloads as a user of its own
  say "fetching etcd with apt-get"
  (
    cd "$temporary"
    apt-get download -q etcd-server >/dev/null 2>&1 && dpkg-deb -x etcd-server_*.deb tree
  ) && mv "$temporary/tree/usr/bin/etcd" "$kube/etcd"
}

# What the tests of agent/kube run on; the version is in the tools module's go.mod.
# Programs appear whole or not at all: what is unfinished lies in a folder of this
# process, which goes with it. One that was killed leaves it to the next.
setup_kube() {
  kube=$cache/kube
  module=agent/kube/kubetest/apiserver
  mkdir -p "$kube"
  kube=$(cd "$kube" && pwd) # go build runs in another folder
  wanted=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$module/go.mod")
  built=$(go version -m "$kube/kube-apiserver" 2>/dev/null | awk '$1 == "mod" && $2 == "k8s.io/kubernetes" { print $3 }')
  [ -x "$kube/etcd" ] && [ "$built" = "$wanted" ] && return 0

  for left in "$kube"/unfinished.*; do
    [ -d "$left" ] && ! kill -0 "${left##*.}" 2>/dev/null && rm -rf "$left"
  done
  work=$kube/unfinished.$$
  working=
  mkdir "$work"
  trap 'unfinished' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP

  if ! [ -x "$kube/etcd" ] && ! fetch_etcd; then
    say "the package lists may be missing: updating them"
    update || true
    fetch_etcd || { say "the tests need etcd (Debian: the package etcd-server)"; exit 1; }
  fi
  [ "$built" = "$wanted" ] && return 0
  say "building kube-apiserver $wanted into $kube: once, takes 7 to 11 minutes on two cores"
  GOTMPDIR=$work CGO_ENABLED=0 go build -C "$module" -trimpath -ldflags '-s -w' -o "$work/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver &
  working=$!
  # A line now and then, so that nobody takes it for stuck.
  (
    for minute in $(seq 60); do
      sleep 60 >/dev/null 2>&1 # it may outlive the rest: nobody waits for what it could write
      say "building kube-apiserver, minute $minute"
    done
  ) &
  working="$working $!"
  # In the background, since a shell hears of a signal only between commands and in wait.
  wait "${working%% *}" || { say "kube-apiserver cannot be built"; exit 1; }
  mv "$work/kube-apiserver" "$kube/kube-apiserver"
}

# unfinished ends what setup_kube runs and removes what it did not finish.
unfinished() {
  # shellcheck disable=SC2086 # a list of numbers
  [ -z "$working" ] || kill $working 2>/dev/null || true
  rm -rf "$work" 2>/dev/null || true # compilers may still be writing: the next run removes it
}

if [ "$job" = kube ]; then
  setup_kube
  exit 0
fi

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
