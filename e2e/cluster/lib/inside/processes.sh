#!/usr/bin/env bash
# Runs as process 1 of the cluster, after mounts.sh, in the cluster's own network: starts
# every component in order and then only watches. When one ends, process 1 says which
# and ends too, and with it the kernel ends everything else.
set -euo pipefail

export PATH=/var/lib/bin:$PATH
export HOME=/root
# A proxy of the host's is of no use without the host's network.
unset http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY KUBECONFIG

readonly NODE_ADDRESS=10.200.0.2
readonly CONFIG=/var/lib/config
readonly KUBERNETES=/var/lib/kubernetes
readonly PKI=$KUBERNETES/pki
readonly COMPONENT_READY_SECONDS=60

declare -A component_of

# The listener of the door (descriptor 8) goes to the door alone.
start() {
  local component=$1
  shift
  "$@" >"/var/log/$component.log" 2>&1 </dev/null 8<&- &
  component_of[$!]=$component
}

# Waits for a component to answer, or ends the cluster in that component's name.
await_component() {
  local component=$1 deadline=$((SECONDS + COMPONENT_READY_SECONDS))
  shift
  until "$@" >/dev/null 2>&1 8<&-; do
    if ((SECONDS >= deadline)); then
      end_for "$component" "did not get ready in $COMPONENT_READY_SECONDS s"
    fi
    end_if_any_ended
    sleep 0.05
  done
}

end_if_any_ended() {
  local pid
  for pid in "${!component_of[@]}"; do
    if [[ ! -d /proc/$pid ]]; then
      end_for "${component_of[$pid]}" 'ended'
    fi
  done
}

# `up` reads the name to show the right log.
end_for() {
  echo "$1" >/var/lib/guilty
  echo "$1 $2" >&2
  exit 1
}

# There is no link to the host's network: a packet for an address in here cannot leave
# the machine. The bridge has no ports; it only carries the node's address.
make_network() {
  ip link set lo up
  ip link add node0 type bridge
  ip address add "$NODE_ADDRESS/24" dev node0
  ip link set node0 up
  ip route add default dev node0
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
}

make_certificates() {
  {
    kubeadm init phase certs all --config "$CONFIG/kubeadm.yaml" &&
      kubeadm init phase kubeconfig all --config "$CONFIG/kubeadm.yaml" --kubeconfig-dir "$KUBERNETES" &&
      kubeadm kubeconfig user --config "$CONFIG/kubeadm.yaml" --client-name system:kube-proxy \
        >"$KUBERNETES/kube-proxy.conf"
  } 8<&- >/var/log/kubeadm.log 2>&1 || end_for kubeadm 'failed'
}

start_etcd() {
  # Nothing here outlives a crash, so nothing needs to reach the disk.
  start etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \
    --client-cert-auth --trusted-ca-file "$PKI/etcd/ca.crt" \
    --cert-file "$PKI/etcd/server.crt" --key-file "$PKI/etcd/server.key" \
    --watch-progress-notify-interval 5s
}

# Opened before the server is there: `up` asks through it until it answers.
start_door() {
  door serve "$NODE_ADDRESS:6443" >/var/log/door.log 2>&1 </dev/null &
  component_of[$!]=door
}

# The flags that kubeadm gives its static pod, and an audit log.
start_api_server() {
  start kube-apiserver kube-apiserver \
    --advertise-address "$NODE_ADDRESS" --secure-port 6443 \
    --etcd-servers https://127.0.0.1:2379 --etcd-cafile "$PKI/etcd/ca.crt" \
    --etcd-certfile "$PKI/apiserver-etcd-client.crt" --etcd-keyfile "$PKI/apiserver-etcd-client.key" \
    --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
    --client-ca-file "$PKI/ca.crt" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
    --kubelet-client-certificate "$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key "$PKI/apiserver-kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-cluster-ip-range 10.96.0.0/16 \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
    --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" \
    --requestheader-allowed-names front-proxy-client \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/front-proxy-client.crt" \
    --proxy-client-key-file "$PKI/front-proxy-client.key" \
    --audit-policy-file "$CONFIG/audit-policy.yaml" --audit-log-path /var/log/audit.log \
    --audit-log-maxsize 100 --audit-log-maxbackup 1
}

# One replica has nobody to elect a leader from. Its controllers use their own accounts,
# or mistakes in RBAC would stay hidden. Making those accounts at the default rate would
# be half of the whole start.
start_controllers() {
  start kube-controller-manager kube-controller-manager --leader-elect=false \
    --kube-api-qps 500 --kube-api-burst 1000 \
    --kubeconfig "$KUBERNETES/controller-manager.conf" \
    --authentication-kubeconfig "$KUBERNETES/controller-manager.conf" \
    --authorization-kubeconfig "$KUBERNETES/controller-manager.conf" \
    --bind-address 127.0.0.1 --client-ca-file "$PKI/ca.crt" --root-ca-file "$PKI/ca.crt" \
    --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" \
    --service-account-private-key-file "$PKI/sa.key" --use-service-account-credentials \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --allocate-node-cidrs --cluster-cidr 10.244.0.0/16 --service-cluster-ip-range 10.96.0.0/16
  start kube-scheduler kube-scheduler --leader-elect=false \
    --kubeconfig "$KUBERNETES/scheduler.conf" \
    --authentication-kubeconfig "$KUBERNETES/scheduler.conf" \
    --authorization-kubeconfig "$KUBERNETES/scheduler.conf" --bind-address 127.0.0.1
}

start_node() {
  start kubelet kubelet --config "$CONFIG/kubelet.yaml" --kubeconfig "$KUBERNETES/kubelet.conf" \
    --hostname-override node --node-ip "$NODE_ADDRESS"
  start kube-proxy kube-proxy --config "$CONFIG/kube-proxy.yaml"
}

as_root_of_cluster() {
  kubectl --kubeconfig "$KUBERNETES/super-admin.conf" "$@" 8<&-
}

# Neither the administrator's kubeconfig nor the API server's own client of the kubelet
# (logs, exec) has any right before this.
grant_administrator() {
  as_root_of_cluster create clusterrolebinding kubeadm:cluster-admins \
    --clusterrole cluster-admin --group kubeadm:cluster-admins
}

main() {
  make_network
  start containerd containerd --config "$CONFIG/containerd.toml"
  make_certificates
  start_etcd
  start_api_server
  start_door
  await_component kube-apiserver as_root_of_cluster get --raw /readyz
  grant_administrator
  start_controllers
  start_node
  as_root_of_cluster apply --filename "$CONFIG/coredns.yaml"
  watch_components
}

watch_components() {
  local ended
  exec 8<&-
  wait -n -p ended || true
  end_for "${component_of[${ended:-}]:-init}" 'ended'
}

main
