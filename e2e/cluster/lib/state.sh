# shellcheck shell=bash
# The folders a cluster starts from. Every start begins with empty ones: nothing of an
# earlier cluster is ever read.

prepare_state() {
  rm -rf --one-file-system "$STATE_DIR" "$LOG_DIR"
  mkdir -p "$LOG_DIR"
  # The certificates' keys are in there.
  install --directory --mode 0700 "$RUN_DIR" "$STATE_DIR"
  mkdir -p "$STATE_DIR"/{bin,inside,config/cni,kubernetes,kubelet,containerd,etcd}
  cp "$CLUSTER_HOME"/lib/inside/*.sh "$STATE_DIR/inside/"
  render_config kubeadm.yaml kubelet.yaml kube-proxy.yaml containerd.toml audit-policy.yaml resolv.conf coredns.yaml
  cp "$CLUSTER_HOME/config/cni.conflist" "$STATE_DIR/config/cni/"
}

render_config() {
  local file
  for file in "$@"; do
    sed -e "s|@KUBERNETES_VERSION@|$(group_version kubernetes k8s.io/kubernetes)|" \
      -e "s|@CGROUP_ROOT@|/$CGROUP_NAME|" \
      -e "s|@CNI_BIN_DIR@|$(cni_bin_dir)|" \
      -e "s|@PAUSE_IMAGE@|$PAUSE_IMAGE|" \
      -e "s|@COREDNS_IMAGE@|$COREDNS_IMAGE|" \
      "$CLUSTER_HOME/config/$file" >"$STATE_DIR/config/$file"
    ! grep --quiet '@[A-Z_]*@' "$STATE_DIR/config/$file" || fail "config/$file names a value that nobody gives"
  done
}
