#!/bin/bash
# A domain that is off, its disk of 4 GiB with 1.25 GiB of data moved from cluster to cluster, beside
# what an operator would type: qemu-img convert, rbd export | rbd import; and within a cluster, from
# pool to pool, beside rbd deep cp. In turn, in one run, each into an image that is not there yet;
# seconds, the ratio to the fastest of the others, and the space used on the target. Of virt-pivot
# the whole command is measured, and what it says that the copy itself took. For people to read: it
# passes no judgement.
# usage: tests/bench/offline.sh [ROUNDS]    (3 if not given; uses build-release or VP_BUILD)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(realpath "$0")")/lab.sh"
rounds=${1:-3}

# 320 objects of 4 MiB, spread over 1024.
make_source() {
    python3 - "$VP_LAB_DIR/source.raw" <<'END'
import os, sys
with open(sys.argv[1], "wb") as file:
    file.truncate(4 << 30)
    for piece in range(320):
        file.seek((piece * 1024 // 320) << 22)
        file.write(os.urandom(4 << 20))
END
    "$lab" rbd old import --no-progress "$VP_LAB_DIR/source.raw" vms/source
    "$lab" rbd flash import --no-progress "$VP_LAB_DIR/source.raw" fast/source
    rm "$VP_LAB_DIR/source.raw"
}

conf() {
    echo "$VP_LAB_DIR/ceph/$1/ceph.conf"
}

define_domain() { # NAME CLUSTER IMAGE PORT SECRET
    cat >"$VP_LAB_DIR/domain.xml" <<END
<domain type='qemu'><name>$1</name><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>
<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='rbd' name='$2'><host name='127.0.0.1' port='$3'/></source>
<auth username='libvirt'><secret type='ceph' uuid='$4'/></auth>
<target dev='vda' bus='virtio'/></disk></devices></domain>
END
    "$lab" virsh -q define "$VP_LAB_DIR/domain.xml"
}

by_qemu_img() { # CLUSTER IMAGE, CLUSTER IMAGE
    rbd -c "$(conf "$3")" create --size 4G "$4"
    qemu-img convert -n -W -m 16 -f raw -O raw "rbd:$2:conf=$(conf "$1")" "rbd:$4:conf=$(conf "$3")"
}

by_export_import() {
    rbd -c "$(conf "$1")" export --no-progress "$2" - |
        rbd -c "$(conf "$3")" import --no-progress - "$4"
}

by_deep_cp() {
    rbd -c "$(conf "$1")" deep cp --no-progress "$2" "$4"
}

# From the journal: milliseconds between the phases in which the disks were copied.
copy_seconds() {
    sqlite3 "$VP_LAB_HOME/state/journal.db" "SELECT printf('%.2f',
        (max(CASE WHEN phase = 7 THEN at END) - max(CASE WHEN phase = 6 THEN at END)) / 1000.0)
        FROM steps WHERE event = 'done' AND move = (SELECT max(id) FROM moves)"
}

show() { # HOW SECONDS [TARGET]
    printf '%-10s %-40s %8s s %8s MiB\n' "$round" "$1" "$2" "${3:+$(used "$3")}"
}

between_clusters() {
    local ours copy theirs other
    define_domain bench vms/source "$VP_LAB_PORT_old" "$VP_LAB_SECRET_old"
    ours=$(seconds_of by_virt_pivot bench)
    copy=$(copy_seconds)
    show "virt-pivot move" "$ours" fast/bench-vda
    show "  of that, the copy" "$copy"
    "$lab" virsh -q undefine bench
    "$lab" rbd flash snap purge --no-progress fast/bench-vda 2>/dev/null || true
    "$lab" rbd flash rm --no-progress fast/bench-vda
    theirs=$(seconds_of by_qemu_img old vms/source flash fast/other)
    show "qemu-img convert -n -W -m 16" "$theirs" fast/other
    "$lab" rbd flash rm --no-progress fast/other
    other=$(seconds_of by_export_import old vms/source flash fast/other)
    show "rbd export - | rbd import -" "$other" fast/other
    "$lab" rbd flash rm --no-progress fast/other
    theirs=$(least "$theirs" "$other")
    whole+=("$(ratio "$ours" "$theirs")")
    copies+=("$(ratio "$copy" "$theirs")")
}

within_a_cluster() {
    local ours copy theirs
    define_domain bench fast/source "$VP_LAB_PORT_flash" "$VP_LAB_SECRET_flash"
    ours=$(seconds_of by_virt_pivot bench --tier silver)
    copy=$(copy_seconds)
    show "virt-pivot move, pool to pool" "$ours" bulk/bench-vda
    show "  of that, the copy" "$copy"
    "$lab" virsh -q undefine bench
    "$lab" rbd flash snap purge --no-progress bulk/bench-vda 2>/dev/null || true
    "$lab" rbd flash rm --no-progress bulk/bench-vda
    theirs=$(seconds_of by_deep_cp flash fast/source flash bulk/other)
    show "rbd deep cp" "$theirs" bulk/other
    "$lab" rbd flash rm --no-progress bulk/other
    whole_within+=("$(ratio "$ours" "$theirs")")
    copies_within+=("$(ratio "$copy" "$theirs")")
}

up 'tiers: {gold: {pool: flash/fast}, silver: {pool: flash/bulk}}' 'verify: none'
make_source

whole=() copies=() whole_within=() copies_within=()
printf '%-10s %-40s %10s %12s\n' round how time 'used there'
for ((round = 1; round <= rounds; round++)); do
    between_clusters
    within_a_cluster
done
cat <<EOF
median ratios to the fastest of the others (below 1: virt-pivot is faster)
  between clusters:  the copy $(median "${copies[@]}"), the whole command $(median "${whole[@]}")
  within a cluster:  the copy $(median "${copies_within[@]}"), the whole command $(median "${whole_within[@]}")
EOF
