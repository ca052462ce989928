#!/bin/bash
# A live move from cluster to cluster, beside what an operator would type: virsh blockcopy into an
# image made with rbd create. In turn, in one run, on the same kind of guest; seconds, the median
# ratio, and the space used on the target. For people to read: it passes no judgement.
# usage: tests/bench/move.sh [ROUNDS]    (3 if not given; uses build-release or VP_BUILD)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(realpath "$0")")/lab.sh"

# A thin disk without fast-diff, as old clusters have them.
new_guest() {
    "$lab" guest define "$1" --cmdline vp.window=4 \
        --disk "rbd:old/vms/$1-src:4G:fill=300:features=layering,exclusive-lock" >/dev/null
    "$lab" guest start "$1" >/dev/null
    "$lab" guest wait-writes "$1" 10 >/dev/null
}

by_virsh() {
    "$lab" rbd flash create --size 4G "fast/$1-vda"
    cat >"$VP_LAB_DIR/target.xml" <<EOF
<disk type='network' device='disk'>
  <driver name='qemu' type='raw'/>
  <source protocol='rbd' name='fast/$1-vda'>
    <host name='127.0.0.1' port='$VP_LAB_PORT_flash'/>
    <auth username='libvirt'><secret type='ceph' usage='client.libvirt flash'/></auth>
  </source>
  <target dev='vda' bus='virtio'/>
</disk>
EOF
    "$lab" virsh blockcopy "$1" vda --xml "$VP_LAB_DIR/target.xml" --reuse-external \
        --transient-job --wait --pivot
}

up 'tiers: {gold: {pool: flash/fast}}'

printf '%-6s %14s %14s %7s %18s %18s\n' round virt-pivot 'virsh' ratio 'used, virt-pivot' 'used, virsh'
ratios=()
for ((round = 1; round <= ${1:-3}; round++)); do
    new_guest "a$round"
    ours=$(seconds_of by_virt_pivot "a$round")
    our_use=$(used "fast/a$round-vda")
    "$lab" guest remove "a$round" >/dev/null
    new_guest "b$round"
    theirs=$(seconds_of by_virsh "b$round")
    their_use=$(used "fast/b$round-vda")
    "$lab" guest remove "b$round" >/dev/null
    ratios+=("$(ratio "$ours" "$theirs")")
    printf '%-6s %12s s %12s s %7s %14s MiB %14s MiB\n' "$round" "$ours" "$theirs" "${ratios[-1]}" \
        "$our_use" "$their_use"
done
echo "median ratio, virt-pivot to virsh: $(median "${ratios[@]}")"
