# shellcheck shell=bash
# Images without a registry: what the cluster itself needs, and getting tars into it.

readonly PAUSE_IMAGE=localhost/pause:1
COREDNS_IMAGE=localhost/coredns:$(group_version coredns github.com/coredns/coredns)
readonly COREDNS_IMAGE
readonly IMAGE_DIR=$CACHE_DIR/images
readonly IMAGE_KNOWN_SECONDS=20

# The tars are kept: they only change with the programs in them.
make_own_images() {
  mkdir -p "$IMAGE_DIR"
  make_own_image "$PAUSE_IMAGE" pause
  make_own_image "$COREDNS_IMAGE" coredns
}

make_own_image() {
  local name=$1 program=$2 tar=$IMAGE_DIR/$2.tar
  if [[ ! -f $tar || $BIN_DIR/$program -nt $tar || $CLUSTER_HOME/lib/image.sh -nt $tar ]]; then
    "$CLUSTER_HOME/image" "$name" "$tar" "$BIN_DIR/$program"
  fi
}

load_images() {
  local tar
  for tar in "$@"; do
    load_image "$tar"
  done
}

# Containers can only be made from it once the runtime has taken note, which it does a
# moment after the import.
load_image() {
  local tar=$1 name started=$SECONDS
  name=$(image_name "$tar")
  [[ -n $name ]] || fail "$tar is not an image made by $CLUSTER_HOME/image"
  with_cluster_files ctr --namespace k8s.io images import - <"$tar" >/dev/null ||
    fail "$tar cannot be imported"
  await "$IMAGE_KNOWN_SECONDS" runtime_knows "$name" || fail "the runtime takes no note of $name"
  say "loaded $name in $((SECONDS - started)) s"
}

image_name() {
  tar --extract --to-stdout --file "$1" manifest.json 2>/dev/null |
    sed -n 's/.*"RepoTags":\["\([^"]*\)"\].*/\1/p'
}

# A name without a registry is kept as docker.io's: so ask for both.
runtime_knows() {
  local known
  known=$(with_cluster_files ctr --namespace k8s.io images list 'labels."io.cri-containerd.image"==managed') || return 1
  grep --quiet --extended-regexp "^(docker\.io/(library/)?)?${1//./\\.} " <<<"$known"
}
