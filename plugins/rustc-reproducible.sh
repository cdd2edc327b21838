#!/bin/sh
# cargo's RUSTC_WRAPPER: makes a guest's bytes independent of where the source tree lies.
#
# cargo hashes a crate's place into `-C metadata`, which gets into symbol names and from there into
# the .wasm: our crates' own names stand in for it. Paths in panic messages are cut short.
set -eu

rustc=$1
shift
manifest=${CARGO_MANIFEST_DIR-}
if [ "${manifest#"$VNET_ROOT"/}" != "$manifest" ]; then
  for argument; do
    shift
    case $argument in
      metadata=*) argument=metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION ;;
    esac
    set -- "$@" "$argument"
  done
fi
exec "$rustc" "$@" \
  --remap-path-prefix="$VNET_ROOT=vnet" \
  --remap-path-prefix="${CARGO_HOME:-$HOME/.cargo}=cargo"
