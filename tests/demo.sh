#!/bin/bash
# The main job, to look at: two single-node Ceph clusters, libvirt and a writing guest, all on
# loopback; its disk moves from the old cluster to the new one; every write is accounted for.
# Installs what it needs (as root, by apt-get), builds, and cleans up afterwards.
set -euo pipefail
checkout=$(dirname "$(dirname "$(realpath "$0")")")
lab=$checkout/tests/lab/lab
build=$checkout/build-release
export VP_LAB_DIR=${VP_LAB_DIR:-${TMPDIR:-/tmp}/vp-demo-$$}

step() {
    printf '\n\033[1m# %s\033[0m\n' "$*"
}

show() {
    printf '\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

virt-pivot() {
    "$lab" as-user "$VP_LAB_DIR/virt-pivot" -c "$VP_LAB_URI" --policy "$VP_LAB_DIR/policy.yaml" \
        --state "$VP_LAB_HOME/state/demo" "$@"
}

virsh() {
    "$lab" virsh "$@"
}

step "Packages, and the build"
"$checkout/tests/install-deps.sh"
(cd "$checkout" && cmake --preset release && cmake --build --preset release -j "$(nproc)") \
    >"${TMPDIR:-/tmp}/vp-demo-build.log" 2>&1 || { tail -n 30 "${TMPDIR:-/tmp}/vp-demo-build.log"; exit 1; }
rm -f "${TMPDIR:-/tmp}/vp-demo-build.log"

step "The lab: clusters 'old' and 'flash', libvirt, an unprivileged user"
trap '"$lab" down' EXIT
"$lab" up
eval "$("$lab" env)"
cp "$build/helper/virt-pivot" "$VP_LAB_DIR/virt-pivot"
cat >"$VP_LAB_DIR/policy.yaml" <<EOF
version: 1
clusters:
  old:
    mons: ["127.0.0.1:$VP_LAB_PORT_old"]
    user: libvirt
    secret: $VP_LAB_SECRET_old
  flash:
    mons: ["127.0.0.1:$VP_LAB_PORT_flash"]
    user: libvirt
    secret: client.libvirt flash
tiers:
  gold:
    pool: flash/fast
    qos: {iops: 5000}
    copy: {bandwidth: 60MiB}
rules:
  - name: databases
    match: {cluster: old, pool: "vms*", domain: "db*"}
    tier: gold
EOF
cat "$VP_LAB_DIR/policy.yaml"

step "A guest that writes without pause, and logs every write it was promised"
"$lab" guest define db1 --disk rbd:old/vms/db1-root:2G:fill=300:features=layering,exclusive-lock
"$lab" guest start db1
"$lab" guest wait-writes db1 30

step "Is all well?"
show virt-pivot check || true

step "Before"
show virsh domblklist db1
step "What would be done, and why"
show virt-pivot plan db1 --diff
step "The move, while the guest writes"
show virt-pivot move db1
step "After"
show virsh domblklist db1
show virsh domblklist db1 --inactive
show virt-pivot history

step "Proof: every acknowledged write is on the new cluster"
"$lab" guest wait-writes db1 30
show "$lab" verify-writes --snapshot db1
