# shellcheck shell=bash
# The cluster's own part of the cgroup tree, named for its folder: two clusters on one
# machine, or a kubelet of the host's, never share a cgroup.

readonly CGROUP_MOUNT=/sys/fs/cgroup

CGROUP_NAME=toolgate-$(printf '%s' "$RUN_DIR" | sha256sum | cut -c 1-12)
readonly CGROUP_NAME

has_unified_cgroups() {
  [[ -f $CGROUP_MOUNT/cgroup.controllers ]]
}

# The controllers that are there, one a line.
cgroup_controllers() {
  if has_unified_cgroups; then
    tr ' ' '\n' <"$CGROUP_MOUNT/cgroup.controllers"
  else
    awk '$3 == "cgroup" { print $2 }' /proc/mounts | sed 's|.*/||' | tr ',' '\n'
  fi
}

# The folders of every hierarchy the cluster has a part of.
cgroup_folders() {
  if has_unified_cgroups; then
    echo "$CGROUP_MOUNT/$CGROUP_NAME"
  else
    # The version 2 hierarchy without controllers is there too: the runtime uses it.
    awk -v name="$CGROUP_NAME" '$3 ~ /^cgroup2?$/ { print $2 "/" name }' /proc/mounts
  fi
}

make_cgroups() {
  local folder controller
  while read -r folder; do
    mkdir -p "$folder" || return 1
  done < <(cgroup_folders)
  if has_unified_cgroups; then
    for controller in cpu cpuset memory pids; do
      { echo "+$controller" >"$CGROUP_MOUNT/cgroup.subtree_control"; } 2>/dev/null || return 1
    done
  fi
}

# Where the cluster's processes that are in no container live, and so how they are found
# again whatever happened to the files that were written about them.
process_cgroup() {
  if has_unified_cgroups; then
    echo "$CGROUP_MOUNT/$CGROUP_NAME/system"
  else
    awk -v name="$CGROUP_NAME" '$3 == "cgroup" && $2 ~ /\/pids$/ { print $2 "/" name "/system" }' /proc/mounts
  fi
}

# Puts this shell, and so all it starts from now on, among the cluster's processes.
join_process_cgroup() {
  local folder
  folder=$(process_cgroup)
  mkdir -p "$folder"
  echo "$BASHPID" >"$folder/cgroup.procs"
}

# All of the cluster's processes, those in containers too.
cluster_processes() {
  local folder
  folder=$(dirname "$(process_cgroup)")
  [[ -d $folder ]] || return 0
  find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

# A cgroup goes only when nothing runs in it: what cannot be removed is still in use.
remove_cgroups() {
  local folder
  while read -r folder; do
    [[ -d $folder ]] || continue
    find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done < <(cgroup_folders)
}

cgroups_are_gone() {
  local folder
  while read -r folder; do
    [[ ! -e $folder ]] || return 1
  done < <(cgroup_folders)
}
