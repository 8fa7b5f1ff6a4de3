# shellcheck shell=bash disable=SC2034 # its names are for the files that source it
# What is built: one group is one module folder, because the dependencies of two groups
# do not agree on versions. A group's version stands in its go.mod and nowhere else.

# In this order: the cluster's own programs first, Helm last.
readonly GROUPS_IN_ORDER=(own etcd kubernetes coredns helm)

readonly KUBERNETES_PROGRAMS=(
  kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl kubelet
)

# The lines are "PROGRAM PACKAGE".
group_programs() {
  local program
  case $1 in
    own) printf '%s\n' 'door ./door' 'pause ./pause' ;;
    etcd) echo 'etcd go.etcd.io/etcd/server/v3' ;;
    kubernetes)
      for program in "${KUBERNETES_PROGRAMS[@]}"; do
        echo "$program k8s.io/kubernetes/cmd/$program"
      done
      ;;
    coredns) echo 'coredns .' ;;
    helm) echo 'helm helm.sh/helm/v4/cmd/helm' ;;
    *) fail "no such group of programs: $1" ;;
  esac
}

# The version of a module that a group asks for, such as v1.35.4.
group_version() {
  local group=$1 module=$2
  awk -v module="$module" '
    $1 == "require" { $1 = ""; $0 = $0 }
    $1 == module && $2 ~ /^v/ { print $2; exit }
  ' "$CLUSTER_HOME/modules/$group/go.mod"
}

group_linker_flags() {
  local flags='-s -w'
  case $1 in
    kubernetes) flags+=$(kubernetes_version_flags) ;;
    helm) flags+=" -X helm.sh/helm/v4/internal/version.version=$(group_version helm helm.sh/helm/v4)" ;;
  esac
  echo "$flags"
}

# Without these the server calls itself v0.0.0 and clients misbehave.
kubernetes_version_flags() {
  local version major minor package
  version=$(group_version kubernetes k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s.gitVersion=%s -X %s.gitMajor=%s' "$package" "$version" "$package" "$major"
    printf ' -X %s.gitMinor=%s -X %s.gitTreeState=clean' "$package" "$minor" "$package"
    printf ' -X %s.gitCommit=' "$package"
  done
}
