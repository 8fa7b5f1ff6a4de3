# shellcheck shell=bash
# The running cluster: starting its process 1, knowing it again, and ending it.

readonly START_SECONDS=20
readonly END_SECONDS=30
readonly LEAVE_SECONDS=5

# Process 1 as the host numbers it, then its network, mount and pid namespaces.
readonly INIT_FILE=$RUN_DIR/init

# A pid alone could by now be somebody else's: its pid namespace could not.
cluster_is_running() {
  local pid namespaces
  [[ -f $INIT_FILE ]] || return 1
  read -r pid namespaces <"$INIT_FILE"
  [[ -n $pid && $(namespaces_of "$pid") == "$namespaces" ]]
}

init_pid() {
  cut -d ' ' -f 1 "$INIT_FILE"
}

namespaces_of() {
  local pid=$1 kind names=()
  for kind in net mnt pid; do
    names+=("$(readlink "/proc/$pid/ns/$kind" 2>/dev/null || true)")
  done
  echo "${names[*]}"
}

require_running_cluster() {
  require_root
  cluster_is_running || fail "there is no cluster at $RUN_DIR: start it with $CLUSTER_HOME/up"
}

# Runs a command among the cluster's files: a mount namespace, and the socket in it.
with_cluster_files() {
  nsenter --target "$(init_pid)" --mount --net --wdns=/ -- "$@"
}

outside_kubectl() {
  "$BIN_DIR/kubectl" --kubeconfig "$OUTSIDE_KUBECONFIG" "$@"
}

start_init() {
  local keeper
  (
    join_process_cgroup
    leave_the_command
    exec setsid unshare --mount --pid --fork --mount-proc --kill-child \
      "$STATE_DIR/inside/mounts.sh" "$STATE_DIR" "$LOG_DIR" "$BIN_DIR"
  ) </dev/null >"$LOG_DIR/init.log" 2>&1 &
  keeper=$!
  # The shell has nothing to say about its end.
  disown "$keeper"
  await "$START_SECONDS" is_placed_or_ended "$keeper" || true
  [[ -s $INIT_FILE ]] || fail_for init 'process 1 did not get into a network of its own'
}

is_placed_or_ended() {
  write_init_file "$1" || ! kill -0 "$1"
}

# Fails while process 1 is still on the host's network.
write_init_file() {
  local keeper=$1 pid namespaces
  [[ -s $STATE_DIR/port ]] || return 1
  pid=$(child_of "$keeper")
  [[ -n $pid ]] || return 1
  namespaces=$(namespaces_of "$pid")
  [[ ${namespaces%% *} != "$(readlink /proc/self/ns/net)" ]] || return 1
  echo "$pid $namespaces" >"$INIT_FILE"
}

child_of() {
  { grep --files-with-matches --extended-regexp "^PPid:\s+$1$" /proc/[0-9]*/status 2>/dev/null || true; } |
    cut -d / -f 3 | tail -n 1
}

# Ends every process, then looks whether anything is left. Does nothing when nothing runs.
stop_cluster() {
  await "$END_SECONDS" end_processes ||
    fail "processes of the cluster do not end: $(cluster_processes | tr '\n' ' ')"
  await "$END_SECONDS" end_cgroups || fail "cgroups named $CGROUP_NAME cannot be removed"
  require_nothing_left
  rm -rf --one-file-system "$STATE_DIR"
  rm -f "$INIT_FILE" "$OUTSIDE_KUBECONFIG"
}

end_processes() {
  local pids
  mapfile -t pids < <(cluster_processes)
  ((${#pids[@]} > 0)) || return 0
  kill -KILL "${pids[@]}" 2>/dev/null || true
  return 1
}

end_cgroups() {
  remove_cgroups
  cgroups_are_gone
}

require_nothing_left() {
  local left
  left=$(awk -v folder="$RUN_DIR/" 'index($5 "/", folder) == 1 { print $5 }' /proc/self/mountinfo)
  [[ -z $left ]] || fail "mounts are left: $left"
  await "$LEAVE_SECONDS" namespaces_are_empty ||
    fail "processes that entered the cluster by themselves are left in it: $(processes_in_namespaces | tr '\n' ' ')"
  await "$LEAVE_SECONDS" door_is_shut || fail "something still answers at the door's port $(<"$STATE_DIR/port")"
}

namespaces_are_empty() {
  [[ -z $(processes_in_namespaces) ]]
}

# A namespace lives as long as a process is in it. The lines are /proc/PID/ns/KIND.
processes_in_namespaces() {
  local namespaces kind
  [[ -f $INIT_FILE ]] || return 0
  read -r _ namespaces <"$INIT_FILE"
  for kind in $namespaces; do
    # The name ends in brackets, which in a pattern would be a choice of letters.
    find /proc/[0-9]*/ns -maxdepth 1 -type l -lname "${kind//[/\\[}" 2>/dev/null || true
  done
}

door_is_shut() {
  local port
  [[ -s $STATE_DIR/port ]] || return 0
  port=$(<"$STATE_DIR/port")
  ! (exec 7<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}
