#!/bin/sh
# Boots a machine: `boot.sh NAME NETWORK BASE FOLDER CGROUP…`, as the first process of a namespace of processes and
# mounts, so that its end takes everything with it. The machine's disk is FOLDER/disk over BASE, which stays as it is.
set -eu
name=$1 network=$2 base=$3 folder=$4
shift 4

for cgroup in "$@"; do
  mkdir -p "$cgroup"
  echo 0 >"$cgroup/cgroup.procs"
done

# nspawn leaves its locks there. The disk needs no fsync: a machine's power is cut, never this one's.
mount -t tmpfs tmpfs /run/systemd
rm -rf "$folder/work"
mkdir -p "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/disk,workdir=$folder/work,volatile" "$folder/root"

exec systemd-nspawn --quiet --directory="$folder/root" --machine="$name" --network-namespace-path="$network" \
  --boot --register=no --keep-unit --console=read-only --link-journal=no --resolv-conf=off --timezone=off
