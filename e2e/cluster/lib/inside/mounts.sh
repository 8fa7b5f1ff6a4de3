#!/usr/bin/env bash
# Runs as process 1 of the cluster, in its own mount and pid namespaces but still on the
# host's network: gives the cluster its own folders, opens the door on the host's
# loopback, and becomes processes.sh in a network of its own.
#
#   mounts.sh STATE_DIR LOG_DIR BIN_DIR
set -euo pipefail

# What the kubelet insists on. It would set these for the whole machine, so it is shown a
# file that already says so: they are the host's business.
readonly KERNEL_SETTINGS=(
  vm/overcommit_memory=1
  vm/panic_on_oom=0
  kernel/panic=10
  kernel/panic_on_oops=1
  kernel/keys/root_maxkeys=1000000
  kernel/keys/root_maxbytes=25000000
)

# After this every program finds its folders at the usual places, and those places are
# the cluster's own.
take_own_folders() {
  local state=$1 logs=$2 programs=$3
  # The kubelet passes mounts on to containers, which takes shared propagation. The
  # namespace was made with private propagation: nothing gets back to the host.
  mount --make-rshared /
  mount --bind "$programs" "$state/bin"
  mount --bind "$logs" /var/log
  mount --rbind "$state" /var/lib
  mount -t tmpfs -o mode=0755 cluster /run
}

shield_kernel_settings() {
  local setting copy
  for setting in "${KERNEL_SETTINGS[@]}"; do
    copy=/run/settings/${setting%=*}
    mkdir -p "$(dirname "$copy")"
    echo "${setting#*=}" >"$copy"
    mount --bind "$copy" "/proc/sys/${setting%=*}"
  done
}

take_own_folders "$@"
shield_kernel_settings
cd /
exec /var/lib/bin/door listen /var/lib/port unshare --net /var/lib/inside/processes.sh
