# shellcheck shell=bash
# Builds what is missing or outdated into BIN_DIR. A group's stamp is the digest of all
# that decides its programs; it is written last, so that a broken build leaves none.

readonly PROGRESS_SECONDS=15

require_go() {
  local wanted have
  command -v go >/dev/null || cannot_be_used_here "Go is not installed and the cluster's programs are built with it"
  wanted=$(sed -n 's/^go //p' "$CLUSTER_HOME"/modules/*/go.mod | sort -V | tail -n 1)
  have=$(cd / && go env GOVERSION)
  have=${have#go}
  [[ $(printf '%s\n' "$wanted" "${have%% *}" | sort -V | tail -n 1) == "${have%% *}" ]] ||
    cannot_be_used_here "Go $have is older than the $wanted that the cluster's programs need"
}

# In a shell of its own: the lock ends with the building, not with the command.
build_all() (
  take_lock "$CACHE_DIR/build.lock"
  mkdir -p "$BIN_DIR"
  for group in "${GROUPS_IN_ORDER[@]}"; do
    if group_is_built "$group"; then
      continue
    fi
    require_go
    build_group "$group"
  done
)

group_is_built() {
  local group=$1 program
  [[ -f $(stamp_file "$group") && $(<"$(stamp_file "$group")") == $(group_digest "$group") ]] || return 1
  while read -r program _; do
    [[ -x $BIN_DIR/$program ]] || return 1
  done < <(group_programs "$group")
}

stamp_file() {
  echo "$BIN_DIR/.$1.stamp"
}

group_digest() {
  local group=$1
  {
    group_programs "$group"
    group_linker_flags "$group"
    cd "$CLUSTER_HOME/modules/$group" &&
      find . -name go.mod -o -name go.sum -o -name '*.go' ! -name '*_test.go' | LC_ALL=C sort | xargs sha256sum
  } | sha256sum | cut -d ' ' -f 1
}

# Builds beside BIN_DIR and moves the result, so that a cluster that is running
# keeps its programs and a build that is interrupted leaves nothing half written.
build_group() {
  local group=$1 fresh started=$SECONDS log=$CACHE_DIR/logs/build-$1.log builder
  fresh=$CACHE_DIR/building/$group
  rm -rf "$fresh"
  mkdir -p "$fresh" "$CACHE_DIR/logs"
  say "building $group (log: $log)"
  compile_group "$group" "$fresh" >"$log" 2>&1 &
  builder=$!
  report_progress "$group" "$builder" "$started" &
  if ! wait "$builder"; then
    show_tail 30 "$log"
    fail "building $group failed after $((SECONDS - started)) s"
  fi
  mv -f "$fresh"/* "$BIN_DIR/"
  rm -rf "$fresh"
  group_digest "$group" >"$(stamp_file "$group")"
  say "built $group in $((SECONDS - started)) s"
}

compile_group() {
  local group=$1 fresh=$2 program package
  cd "$CLUSTER_HOME/modules/$group" || return 1
  # Nothing of the caller's environment may decide what is built.
  export CGO_ENABLED=0 GOWORK=off GOFLAGS='-mod=readonly -trimpath -buildvcs=false'
  while read -r program package; do
    echo "$program"
    go build -ldflags "$(group_linker_flags "$group")" -o "$fresh/$program" "$package" </dev/null
  done < <(group_programs "$group")
}

# Ends by itself at most one step after the builder, whatever ended that.
report_progress() {
  local group=$1 builder=$2 started=$3 step=0
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    step=$((step + 1))
    if ((step % PROGRESS_SECONDS == 0)) && kill -0 "$builder" 2>/dev/null; then
      say "building $group: $((SECONDS - started)) s, now $(tail -n 1 "$CACHE_DIR/logs/build-$group.log")"
    fi
  done
}
