#!/usr/bin/env bash
# Builds every shipped and example plugin from its source.
#
#   plugins/build.sh             writes shipped/*.wasm and examples/*.wasm
#   plugins/build.sh --check     builds aside and fails where a committed file differs; says so and
#                                succeeds where it cannot be compared: no compiler, or another one
#   plugins/build.sh --install   first installs what is missing (Debian, as root), then builds
#
# Rust's wasm32-unknown-unknown target comes from rustup (`rustup target add wasm32-unknown-unknown`)
# or, where that cannot be had, from Debian's rustc-web and rust-web-src: the standard library is then
# built from source once, into the target directory. C takes clang and lld.
#
# The same compilers give the same bytes anywhere: see rustc-reproducible.sh. shipped/BUILT_WITH names
# those that made the committed files.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=wasm32-unknown-unknown
cargo_target=${CARGO_TARGET_DIR:-$here/target}/guests

# package:file it becomes
rust_plugins=(
  acl:shipped/acl.wasm
  arp_guard:shipped/arp_guard.wasm
  count:shipped/count.wasm
  dns_block:shipped/dns_block.wasm
  drop_bcast:shipped/drop_bcast.wasm
  filter:shipped/filter.wasm
  icmp_echo:shipped/icmp_echo.wasm
  learning_switch:shipped/learning_switch.wasm
  load_balancer:shipped/load_balancer.wasm
  mirror:shipped/mirror.wasm
  mss_clamp:shipped/mss_clamp.wasm
  nat:shipped/nat.wasm
  rate_limit:shipped/rate_limit.wasm
  record:shipped/record.wasm
  router:shipped/router.wasm
  stateful_firewall:shipped/stateful_firewall.wasm
  tunnel:shipped/tunnel.wasm
  vlan:shipped/vlan.wasm
  drop_bcast_minimal:examples/drop_bcast_rust.wasm
)
# source:file it becomes
c_plugins=(
  drop_bcast/drop_bcast.c:examples/drop_bcast_c.wasm
  examples/first.c:examples/first.wasm
  examples/keepalive.c:examples/keepalive.wasm
  examples/vlan_pop.c:examples/vlan_pop.wasm
  examples/vlan_push.c:examples/vlan_push.wasm
)

usage() {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# Sets rustc and build_std, or rust_missing to the reason why there is no compiler for guests.
find_rust() {
  rustc='' build_std=() rust_missing=''
  if ! command -v cargo >/dev/null; then
    rust_missing='no cargo: install Rust 1.95 or later (https://rustup.rs)'
    return
  fi
  local candidate libraries
  candidate=$(command -v rustc || true)
  if [[ -n $candidate ]]; then
    libraries=$("$candidate" --print target-libdir --target "$target" 2>/dev/null || true)
    if compgen -G "$libraries/libcore-*.rlib" >/dev/null; then
      rustc=$candidate
      return
    fi
  fi
  candidate=/usr/bin/rustc
  if [[ -x $candidate ]] && at_least 1 95 "$candidate" && [[ -f /usr/lib/rustlib/src/rust/library/Cargo.lock ]]; then
    rustc=$candidate
    build_std=(-Zbuild-std=std,panic_abort)
    find_linker
    return
  fi
  rust_missing="no Rust target $target: \`rustup target add $target\`, or on Debian \`apt-get install rustc-web rust-web-src\`"
}

at_least() {
  local version major minor
  version=$("$3" --version | cut -d' ' -f2)
  IFS=. read -r major minor _ <<<"$version"
  ((major > $1 || major == $1 && minor >= $2))
}

# Debian's rustc brings no linker for WebAssembly: rustup's or lld's serves.
find_linker() {
  local sysroot linker
  sysroot=$(env -u RUSTC rustc --print sysroot 2>/dev/null || true)
  for linker in "$sysroot"/lib/rustlib/*/bin/rust-lld "$(command -v wasm-ld || true)"; do
    if [[ -x $linker ]]; then
      export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
      return
    fi
  done
  rust_missing='no linker for WebAssembly: `apt-get install lld`'
}

find_c() {
  c_missing=''
  if ! command -v clang >/dev/null || ! command -v wasm-ld >/dev/null; then
    c_missing='no C compiler for WebAssembly: `apt-get install clang lld`'
  fi
}

install_missing() {
  local packages=()
  find_rust
  find_c
  [[ -z $rust_missing ]] || packages+=(rustc-web rust-web-src)
  [[ -z $rust_missing ]] || command -v cargo >/dev/null || packages+=(cargo-web)
  [[ -z $c_missing && -z $rust_missing ]] || packages+=(clang lld)
  if ((${#packages[@]})); then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"
  fi
}

# build_rust PACKAGE FILE
# Units of an incremental build are others, and so is what they build to.
build_rust() {
  CARGO_INCREMENTAL=0 RUSTC=$rustc RUSTC_WRAPPER=$here/rustc-reproducible.sh VNET_ROOT=$root CARGO_TARGET_DIR=$cargo_target \
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS ${build_std:+RUSTC_BOOTSTRAP=1} \
    cargo build --quiet --manifest-path "$here/Cargo.toml" --release --target "$target" "${build_std[@]}" --package "$1"
  cp "$cargo_target/$target/release/$1.wasm" "$2"
}

# build_c SOURCE FILE; from here, so that no path gets in
build_c() {
  (cd "$here" && clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wall -Wextra -Iinclude -o "$2" "$1")
}

rust_version() {
  local library='standard library as it came'
  ((${#build_std[@]} == 0)) || library='standard library built from source'
  "$rustc" --version --verbose |
    awk -v library="$library" '/^rustc/ {name = $0} /^LLVM/ {print name ", LLVM " $3 ", " library}'
}

c_version() {
  clang --version | head -n 1
}

built_with() {
  echo "rust: $(rust_version)"
  echo "c: $(c_version)"
}

build() {
  local item
  for item in "${rust_plugins[@]}"; do
    build_rust "${item%%:*}" "$here/${item#*:}"
    chmod 644 "$here/${item#*:}"
  done
  for item in "${c_plugins[@]}"; do
    build_c "${item%%:*}" "$here/${item#*:}"
    chmod 644 "$here/${item#*:}"
  done
  built_with >"$here/shipped/BUILT_WITH"
  (cd "$here" && ls -l "${rust_plugins[@]#*:}" "${c_plugins[@]#*:}" | awk '{print $5, $9}')
}

# compare LANGUAGE VERSION ITEM...
compare() {
  local language=$1 version=$2 recorded item fresh
  shift 2
  recorded=$(sed -n "s/^$language: //p" "$here/shipped/BUILT_WITH")
  for item in "$@"; do
    fresh=$scratch/$(basename "${item#*:}")
    "build_$language" "${item%%:*}" "$fresh"
    if cmp --silent "$fresh" "$here/${item#*:}"; then
      echo "same: plugins/${item#*:}"
    elif [[ $version == "$recorded" ]]; then
      echo "DIFFERS: plugins/${item#*:} is not what ${item%%:*} builds to: run plugins/build.sh and commit the result" >&2
      failed=1
    else
      echo "not compared: plugins/${item#*:} was built with $recorded, here is $version"
    fi
  done
}

# The header is for C++ too: every example in C is C++ as well.
check_cpp() {
  local item
  for item in "${c_plugins[@]}"; do
    (cd "$here" && clang -x c++ --target=wasm32 -fsyntax-only -Wall -Wextra -Werror -Iinclude "${item%%:*}") || failed=1
  done
}

# In CI the set-up has installed every compiler: what is not there is a fault of the set-up.
missing_in_ci() {
  [[ ${CI-} != true ]] || failed=1
}

check() {
  failed=0
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  if [[ -n $rust_missing ]]; then
    echo "not compared: plugins in Rust: $rust_missing"
    missing_in_ci
  else
    compare rust "$(rust_version)" "${rust_plugins[@]}"
  fi
  if [[ -n $c_missing ]]; then
    echo "not compared: plugins in C: $c_missing"
    missing_in_ci
  else
    compare c "$(c_version)" "${c_plugins[@]}"
    check_cpp
  fi
  return "$failed"
}

case ${1-} in
  --check)
    find_rust
    find_c
    check
    ;;
  '' | --install)
    [[ -z ${1-} ]] || install_missing
    find_rust
    find_c
    if [[ -n $rust_missing || -n $c_missing ]]; then
      printf 'error: %s\n' ${rust_missing:+"$rust_missing"} ${c_missing:+"$c_missing"} >&2
      exit 1
    fi
    build
    ;;
  --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
