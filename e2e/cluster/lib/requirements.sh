# shellcheck shell=bash
# What the machine must have, asked before anything is changed on it, and the Debian
# packages that are installed when they are missing.

readonly CNI_BIN_DIRS=(/usr/lib/cni /opt/cni/bin)

require_root() {
  ((EUID == 0)) || cannot_be_used_here 'it makes namespaces and mounts, so it must be run as root'
}

require_usable_machine() {
  require_root
  [[ $(uname -s) == Linux ]] || cannot_be_used_here 'it needs Linux'
  ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || cannot_be_used_here "it needs bash 5.1 or newer, not $BASH_VERSION"
  require_cgroups
  unshare --net --mount --pid --fork --mount-proc --kill-child true 2>/dev/null ||
    cannot_be_used_here 'the kernel refuses new network, mount and pid namespaces'
  require_bridge_filter
}

# Without it an answer between two pods goes past the rules that made it a Service's.
# It is the one thing that a cluster leaves on the host, and many hosts have it.
require_bridge_filter() {
  [[ -e /proc/sys/net/bridge ]] || modprobe br_netfilter 2>/dev/null ||
    cannot_be_used_here 'the kernel module br_netfilter is neither there nor can it be loaded'
}

require_cgroups() {
  local controller offered
  offered=$(cgroup_controllers)
  for controller in cpu cpuset memory pids; do
    grep --quiet --line-regexp --fixed-strings "$controller" <<<"$offered" ||
      cannot_be_used_here "the kernel offers no cgroup controller \"$controller\" at /sys/fs/cgroup"
  done
  make_cgroups 2>/dev/null || cannot_be_used_here '/sys/fs/cgroup cannot be written to'
}

install_missing_packages() {
  local missing=()
  need missing containerd 'runs the containers' containerd
  need missing runc 'starts the processes of a container' runc
  need missing iptables 'carries the addresses of Services to pods' iptables iptables-restore
  need missing iproute2 "makes the cluster's network" ip
  if [[ -z $(cni_bin_dir) ]]; then
    say "missing: containernetworking-plugins, which gives a pod its network"
    missing+=(containernetworking-plugins)
  fi
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

# need ARRAY PACKAGE REASON COMMAND...
need() {
  local -n packages=$1
  local package=$2 reason=$3 program
  shift 3
  for program in "$@"; do
    if ! command -v "$program" >/dev/null; then
      say "missing: $package, which $reason"
      packages+=("$package")
      return
    fi
  done
}

install_packages() {
  local log=$CACHE_DIR/logs/packages.log started=$SECONDS
  command -v apt-get >/dev/null ||
    cannot_be_used_here "install the programs of these Debian packages first: $*"
  say "installing from Debian: $* (log: $log)"
  mkdir -p "$(dirname "$log")"
  if ! (release_locks && DEBIAN_FRONTEND=noninteractive try_install "$@") >"$log" 2>&1; then
    show_tail 20 "$log"
    fail "installing $* failed"
  fi
  say "installed in $((SECONDS - started)) s"
}

# The list of packages is only fetched when the one that is there is of no use.
try_install() {
  apt-get install --yes --no-install-recommends "$@" ||
    { apt-get update && apt-get install --yes --no-install-recommends "$@"; }
}

cni_bin_dir() {
  local directory
  for directory in "${CNI_BIN_DIRS[@]}"; do
    if [[ -x $directory/bridge && -x $directory/host-local && -x $directory/portmap && -x $directory/loopback ]]; then
      echo "$directory"
      return
    fi
  done
}
