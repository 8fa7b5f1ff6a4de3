# shellcheck shell=bash
# What every command of the cluster starts with: strictness, its folders, and how it
# speaks and fails. Exit codes: 1 something broke, 77 a cluster cannot be used here.

set -euo pipefail
umask 022

readonly EXIT_BROKE=1
readonly EXIT_CANNOT_BE_USED_HERE=77

CLUSTER_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly CLUSTER_HOME
readonly CACHE_DIR=$CLUSTER_HOME/.cache
readonly BIN_DIR=$CACHE_DIR/bin

# Where the running cluster keeps everything: one folder is one cluster.
RUN_DIR=$(realpath -m -- "${CLUSTER_DIR:-$CACHE_DIR/run}")
readonly RUN_DIR
readonly LOG_DIR=$RUN_DIR/logs
readonly STATE_DIR=$RUN_DIR/state
readonly OUTSIDE_KUBECONFIG=$RUN_DIR/kubeconfig
readonly INSIDE_KUBECONFIG=$STATE_DIR/kubernetes/admin.conf

say() {
  printf '%s\n' "$*" >&2
}

fail() {
  say "$(basename "$0"): $*"
  exit "$EXIT_BROKE"
}

cannot_be_used_here() {
  say "$(basename "$0"): no cluster can run here: $*"
  exit "$EXIT_CANNOT_BE_USED_HERE"
}

# Waits for a lock that ends with this process. Whatever is started in the background
# must close descriptor 9, or the lock outlives the command.
take_lock() {
  local file=$1
  mkdir -p "$(dirname "$file")"
  exec 9>"$file"
  if ! flock --nonblock 9; then
    say "waiting for another command to release $file"
    flock 9
  fi
}

# Runs a command until it succeeds. Fails when the seconds are over.
await() {
  local seconds=$1 deadline
  shift
  deadline=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}
