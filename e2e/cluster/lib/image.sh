# shellcheck shell=bash disable=SC2034 # its names are for the files that source it
# Makes an image tar in the docker-archive layout without an engine: one layer with the
# files that are named, the libraries they are linked with, and the few files that a
# program expects of any system. The same files give the same bytes.

readonly PROGRAM_DIR=/usr/local/bin
readonly NOBODY=65532
readonly HOST_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# What may stand in a name or path: it goes into JSON unquoted.
readonly PLAIN_TEXT='^[A-Za-z0-9._/:@+-]+$'

# make_image NAME:TAG OUT.tar ENTRYPOINT USER FILE[=PATH]...
make_image() {
  local name=$1 out=$2 entrypoint=$3 user=$4 work
  shift 4
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of this call
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/root" "$work/archive"
  add_system_files "$work/root" "$user"
  local item
  for item in "$@"; do
    add_file "$work/root" "${item%%=*}" "$(path_in_image "$item")"
  done
  [[ -n $entrypoint ]] || entrypoint=$(path_in_image "$1")
  [[ -x $work/root$entrypoint ]] || fail "the entrypoint $entrypoint is not a program in the image"
  write_archive "$work" "$name" "$entrypoint" "$user"
  mkdir -p "$(dirname "$out")"
  tar_of "$work/archive" "$out.partial"
  mv -f "$out.partial" "$out"
}

path_in_image() {
  case $1 in
    *=*) echo "${1#*=}" ;;
    *) echo "$PROGRAM_DIR/$(basename "$1")" ;;
  esac
}

add_system_files() {
  local root=$1 user=$2
  mkdir -p "$root"/{etc,tmp}
  chmod 1777 "$root/tmp"
  {
    echo 'root:x:0:0:root:/:/sbin/nologin'
    [[ ${user%%:*} == 0 ]] || echo "nonroot:x:${user%%:*}:${user##*:}:nonroot:/:/sbin/nologin"
  } >"$root/etc/passwd"
  {
    echo 'root:x:0:'
    [[ ${user##*:} == 0 ]] || echo "nonroot:x:${user##*:}:"
  } >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  if [[ -f $HOST_CERTIFICATES ]]; then
    install -D --mode 0644 "$HOST_CERTIFICATES" "$root$HOST_CERTIFICATES"
  fi
}

add_file() {
  local root=$1 file=$2 path=$3 mode=0644 library
  [[ -f $file ]] || fail "there is no file $file"
  [[ $path == /* && $path =~ $PLAIN_TEXT ]] || fail "not an absolute path of plain letters: $path"
  [[ ! -x $file ]] || mode=0755
  install -D --mode "$mode" "$file" "$root$path"
  is_elf "$file" || return 0
  strip_debug_sections "$root$path"
  while read -r library; do
    [[ -e $root$library ]] || install -D --mode 0755 "$library" "$root$library"
  done < <(libraries_of "$file")
}

is_elf() {
  [[ $(head --bytes 4 "$1" | tail --bytes 3) == ELF ]] 2>/dev/null
}

# Most of a program built for debugging is what only a debugger reads. Names of functions
# stay: a backtrace needs them.
strip_debug_sections() {
  command -v strip >/dev/null || return 0
  if grep --quiet --fixed-strings --binary-files=text '.debug_info' "$1"; then
    strip --strip-debug "$1"
  fi
}

# The loader and every library, also those of libraries. None for a static program.
libraries_of() {
  { ldd "$1" 2>/dev/null || true; } | sed -n -e 's/.* => \(\/[^ ]*\) (.*/\1/p' -e 's/^\s*\(\/[^ ]*\) (.*/\1/p'
}

write_archive() {
  local work=$1 name=$2 entrypoint=$3 user=$4 layer config
  tar_of "$work/root" "$work/archive/layer.tar"
  layer=$(sha256sum "$work/archive/layer.tar" | cut -d ' ' -f 1)
  image_config "$layer" "$entrypoint" "$user" >"$work/config.json"
  config=$(sha256sum "$work/config.json" | cut -d ' ' -f 1)
  mv "$work/config.json" "$work/archive/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]\n' "$config" "$name" \
    >"$work/archive/manifest.json"
}

image_config() {
  local layer=$1 entrypoint=$2 user=$3
  printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z",' "$(image_architecture)"
  printf '"config":{"User":"%s","Entrypoint":["%s"],"WorkingDir":"/",' "$user" "$entrypoint"
  printf '"Env":["PATH=/usr/local/bin:/usr/bin:/bin","SSL_CERT_FILE=%s"]},' "$HOST_CERTIFICATES"
  printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},' "$layer"
  printf '"history":[{"created":"1970-01-01T00:00:00Z"}]}\n'
}

image_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) fail "no name is known for the architecture $(uname -m)" ;;
  esac
}

# tar_of FOLDER OUT.tar: nothing of the time, the user or the order on disk gets into it.
tar_of() {
  local folder=$1 out=$2 entries
  entries=$(ls "$folder")
  # shellcheck disable=SC2086 # one plain name a word
  LC_ALL=C tar --create --file "$out" --directory "$folder" --format=gnu --sort=name \
    --mtime=@0 --owner=0 --group=0 --numeric-owner -- $entries
}
