# shellcheck shell=bash disable=SC2034 # its names are for the files that source it
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

# The caller's own error output, wherever a function's is sent at the moment.
exec {error_output}>&2
readonly error_output

say() {
  printf '%s\n' "$*" >&"$error_output"
}

fail() {
  say "$(basename "$0"): $*"
  exit "$EXIT_BROKE"
}

cannot_be_used_here() {
  say "$(basename "$0"): no cluster can run here: $*"
  exit "$EXIT_CANNOT_BE_USED_HERE"
}

lock_descriptors=()

# Waits for a lock that ends with this process, and with all that it starts unless they
# release it.
take_lock() {
  local file=$1 descriptor
  mkdir -p "$(dirname "$file")"
  exec {descriptor}>"$file"
  lock_descriptors+=("$descriptor")
  if ! flock --nonblock "$descriptor"; then
    say "waiting for another command to release $file"
    flock "$descriptor"
  fi
}

# For a process that outlives the command, or before the command's end.
release_locks() {
  local descriptor
  for descriptor in "${lock_descriptors[@]}"; do
    exec {descriptor}>&-
  done
  lock_descriptors=()
}

show_tail() {
  local lines=$1 file=$2
  tail -n "$lines" "$file" >&"$error_output" || true
}

# Before becoming a process that outlives the command: whoever waits for the end of the
# command's output must not wait for that process.
leave_the_command() {
  release_locks
  exec {error_output}>&-
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
