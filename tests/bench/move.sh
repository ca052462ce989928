#!/bin/bash
# A live move from cluster to cluster, beside what an operator would type: virsh blockcopy into an
# image made with rbd create. In turn, in one run, on the same kind of guest; seconds, the median
# ratio, and the space used on the target. For people to read: it passes no judgement.
# usage: tests/bench/move.sh [ROUNDS]    (3 if not given; uses build-release or VP_BUILD)
set -euo pipefail
folder=$(dirname "$(realpath "$0")")
checkout=$(realpath "$folder/../..")
export VP_BUILD=${VP_BUILD:-$checkout/build-release}
export VP_LAB_DIR=${VP_LAB_DIR:-${TMPDIR:-/tmp}/vp-bench-$$}
lab=$checkout/tests/lab/lab

# A thin disk without fast-diff, as old clusters have them.
new_guest() {
    "$lab" guest define "$1" --cmdline vp.window=4 \
        --disk "rbd:old/vms/$1-src:4G:fill=300:features=layering,exclusive-lock" >/dev/null
    "$lab" guest start "$1" >/dev/null
    "$lab" guest wait-writes "$1" 10 >/dev/null
}

seconds_of() {
    local begin
    begin=$(date +%s%N)
    "$@" >"$VP_LAB_DIR/bench.log" 2>&1 || { tail -n 5 "$VP_LAB_DIR/bench.log" >&2; return 1; }
    awk -v ns="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.2f", ns / 1e9 }'
}

by_virt_pivot() {
    "$lab" as-user "$VP_LAB_DIR/virt-pivot" -c "$VP_LAB_URI" --policy "$VP_LAB_DIR/policy.yaml" \
        --state "$VP_LAB_HOME/state" move "$1"
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

used() {
    "$lab" rbd flash du --format json "fast/$1-vda" 2>/dev/null |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["images"][0]["used_size"] >> 20)'
}

[[ -x $VP_BUILD/helper/virt-pivot ]] || { echo "$VP_BUILD/helper/virt-pivot is not built" >&2; exit 1; }
trap '"$lab" down' EXIT
"$lab" up
eval "$("$lab" env)"
cp "$VP_BUILD/helper/virt-pivot" "$VP_LAB_DIR/virt-pivot"
cat >"$VP_LAB_DIR/policy.yaml" <<EOF
version: 1
clusters:
  old: {mons: ["127.0.0.1:$VP_LAB_PORT_old"], user: libvirt, secret: $VP_LAB_SECRET_old}
  flash: {mons: ["127.0.0.1:$VP_LAB_PORT_flash"], user: libvirt, secret: client.libvirt flash}
tiers: {gold: {pool: flash/fast}}
rules: [{match: {}, tier: gold}]
EOF

printf '%-6s %14s %14s %7s %18s %18s\n' round virt-pivot 'virsh' ratio 'used, virt-pivot' 'used, virsh'
ratios=()
for ((round = 1; round <= ${1:-3}; round++)); do
    new_guest "a$round"
    ours=$(seconds_of by_virt_pivot "a$round")
    our_use=$(used "a$round")
    "$lab" guest remove "a$round" >/dev/null
    new_guest "b$round"
    theirs=$(seconds_of by_virsh "b$round")
    their_use=$(used "b$round")
    "$lab" guest remove "b$round" >/dev/null
    ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')
    ratios+=("$ratio")
    printf '%-6s %12s s %12s s %7s %14s MiB %14s MiB\n' "$round" "$ours" "$theirs" "$ratio" \
        "$our_use" "$their_use"
done
printf 'median ratio, virt-pivot to virsh: %s\n' \
    "$(printf '%s\n' "${ratios[@]}" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')"
