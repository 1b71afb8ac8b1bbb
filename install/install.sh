#!/bin/sh
# Installs the version of Isthmus in whose folder this file lies; goes back to the version before; uninstalls. It needs
# a shell, coreutils, and nothing from the network. `isthmus host`, which has all but the first checks, does the work.
set -eu

usage() {
  cat <<'END'
usage: install.sh [--trust FILE] [--root DIR]       installs this version and makes it the current one
       install.sh --go-back [--root DIR]            makes the version before the current one
       install.sh --uninstall [--delete-data] [--yes] [--root DIR]

  --trust FILE    trusts the builder's public key (isthmus-release.pub): this host takes
                  upgrades through the mesh that are signed with it, and none without;
                  `isthmus host trust FILE` does it later
  --delete-data   also deletes the data of all services, the trusted keys and the accounts
  --yes           does not ask
  --root DIR      works on the file system below DIR, for images
END
}

fail() {
  echo "install.sh: $1" >&2
  echo "  what to do: $2" >&2
  exit 9
}

tree=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
action=install root=/ trust='' data='' yes=''
while [ $# -gt 0 ]; do
  case $1 in
    --go-back | --uninstall) action=${1#--} ;;
    --delete-data) data=$1 ;;
    --yes) yes=$1 ;;
    --trust | --root)
      [ -n "${2:-}" ] || { usage >&2; exit 2; }
      if [ "$1" = --root ]; then root=$2; else trust=$2; fi
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
if [ "$action" != uninstall ] && [ -n "$data$yes" ]; then usage >&2; exit 2; fi
if [ "$action" != install ] && [ -n "$trust" ]; then usage >&2; exit 2; fi

[ "$(uname -s)" = Linux ] || fail "Isthmus runs on Linux, and this is $(uname -s)" 'Install it on a Linux machine.'
if [ "$root" = / ] && [ "$(id -u)" != 0 ]; then fail 'only root may change what is installed' 'Run it as root, or by sudo.'; fi

machine=$(uname -m)
case $machine in
  x86_64 | amd64) machine=x64 ;;
  aarch64 | arm64) machine=arm64 ;;
esac
grep -q "\"architecture\": *\"$machine\"" "$tree/version.json" ||
  fail "this version is for another architecture than $machine, which this machine has (SOFTWARE_ARCHITECTURE)" \
    'Take the tarball for the architecture of this machine.'

command -v sha256sum >/dev/null || fail 'there is no sha256sum on this machine' 'Install coreutils.'
changed=$(cd "$tree" && sha256sum -c SHA256SUMS 2>/dev/null | grep -v ': OK$' | head -n 1) || true
(cd "$tree" && sha256sum -c SHA256SUMS) >/dev/null 2>&1 ||
  fail "a file is not as it was built: ${changed:-SHA256SUMS} (SOFTWARE_DAMAGED)" \
    'Copy the tarball again, from where it was built, and unpack it anew.'

"$tree/bin/node" --version >/dev/null 2>&1 ||
  fail 'this machine cannot run Node.js' \
    'Isthmus needs glibc 2.28 or newer, and a folder that is not mounted with noexec; bin/node --version says more.'

case $action in
  install) set -- install "$tree" ${trust:+--trust "$trust"} ;;
  go-back) set -- go-back ;;
  uninstall) set -- uninstall ${data:+"$data"} ${yes:+"$yes"} ;;
esac
exec "$tree/bin/isthmus" host "$@" --root "$root"
