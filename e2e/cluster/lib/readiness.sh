# shellcheck shell=bash
# From process 1 to a cluster that can be used: what is awaited, in order, and whose log
# to show when it does not come.

readonly READY_SECONDS=90
readonly GUILTY_LOG_LINES=25

# The component whose log explains a failure, once there is one.
guilty=init

bring_to_ready() {
  await_of containerd 'the container runtime answers' with_cluster_files ctr version
  load_images "$IMAGE_DIR/pause.tar" "$IMAGE_DIR/coredns.tar"
  await_of kube-apiserver 'the API server is ready' api_server_is_ready
  await_of kubelet 'the node is ready' node_is_ready
  await_of kube-controller-manager 'the default ServiceAccount exists' default_account_exists
  await_of coredns 'cluster DNS is ready' dns_is_ready
}

cluster_is_healthy() {
  api_server_is_ready && node_is_ready && default_account_exists && dns_is_ready
} >/dev/null 2>&1

api_server_is_ready() {
  [[ -s $INSIDE_KUBECONFIG ]] || return 1
  [[ -s $OUTSIDE_KUBECONFIG ]] || write_outside_kubeconfig
  outside_kubectl auth can-i '*' '*'
}

# The same administrator, by the door.
write_outside_kubeconfig() {
  install --mode 0600 /dev/null "$OUTSIDE_KUBECONFIG"
  sed "s|server: https://.*|server: https://127.0.0.1:$(<"$STATE_DIR/port")|" \
    "$INSIDE_KUBECONFIG" >"$OUTSIDE_KUBECONFIG"
}

node_is_ready() {
  outside_kubectl wait --for condition=Ready --timeout 5s node/node
}

default_account_exists() {
  outside_kubectl --namespace default get serviceaccount default
}

dns_is_ready() {
  outside_kubectl --namespace kube-system wait --for condition=Available --timeout 5s deployment/coredns
}

# await_of COMPONENT WHAT COMMAND...
await_of() {
  local component=$1 what=$2 deadline=$((SECONDS + READY_SECONDS))
  shift 2
  guilty=$component
  until "$@" >/dev/null 2>&1; do
    cluster_is_running || fail_for "$(ended_component)" 'ended'
    ((SECONDS < deadline)) || fail_for "$component" "waited $READY_SECONDS s in vain until $what"
    sleep 0.1
  done
}

# Process 1 writes down whose end it followed.
ended_component() {
  cat "$STATE_DIR/guilty" 2>/dev/null || echo init
}

fail_for() {
  guilty=$1
  fail "$1: $2"
}

# What process 1 wrote down comes first: the rest may only have followed from it.
show_guilty_log() {
  if [[ -s $STATE_DIR/guilty ]]; then
    guilty=$(<"$STATE_DIR/guilty")
  fi
  say "--- the end of $LOG_DIR/$guilty.log"
  if [[ $guilty == coredns ]]; then
    outside_kubectl --namespace kube-system describe pods --selector k8s-app=kube-dns >"$LOG_DIR/coredns.log" 2>&1 || true
  fi
  show_tail "$GUILTY_LOG_LINES" "$LOG_DIR/$guilty.log"
  say '---'
}

# Milliseconds, for the sentence at the end.
now() {
  date +%s%3N
}

seconds_since() {
  local elapsed=$(($(now) - $1))
  printf '%d.%d' $((elapsed / 1000)) $((elapsed % 1000 / 100))
}
