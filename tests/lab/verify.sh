# Compares what a guest was promised with what its disks hold.
# shellcheck shell=bash
#
# lab verify-writes [--snapshot] NAME [[DISK=]IMAGE]...
#   Each write that the guest's log says is acknowledged must be on IMAGE, or a later
#   one at its place. Without an IMAGE: every disk the guest writes to, where the
#   current definition says it is. IMAGE without DISK=: vda. A running guest is
#   suspended meanwhile; with --snapshot it runs on, and RBD images are read from a
#   snapshot made for that.
# lab compare IMAGE IMAGE       every byte
#
# IMAGE: rbd:CLUSTER/POOL/[NAMESPACE/]IMAGE[@SNAPSHOT], nbd URI, block device,
# or file (*.qcow2 is qcow2, all else raw).

# export_image IMAGE FILE: as a sparse raw file.
export_image() {
    local image=$1 place conf format=raw
    case $image in
    rbd:*)
        place=${image#rbd:}
        conf=$(cluster_folder "${place%%/*}")/ceph.conf
        rbd -c "$conf" export --no-progress "${place#*/}" "$2"
        ;;
    *)
        [[ $image != *.qcow2 ]] || format=qcow2
        qemu-img convert -U -f "$format" -O raw "$image" "$2"
        ;;
    esac
}

# Says what rbd says only if it fails: not every version can be told to show no progress.
snapshot_verb() {
    local verb=$1 place=${2#rbd:} talk
    talk=$(rbd -c "$(cluster_folder "${place%%/*}")/ceph.conf" snap "$verb" \
        "${place#*/}@vp-lab-verify" 2>&1) || die "$talk"
}

# Reads the variables of verify_writes.
verify_disk() {
    local disk=$1 image=$2 status=0
    if [[ $snapshot && $image == rbd:* ]]; then
        snapshot_verb create "$image"
        cp "$log" "$work/after.log"
        export_image "$image@vp-lab-verify" "$work/image" || status=1
        snapshot_verb remove "$image"
    else
        export_image "$image" "$work/image" || status=1
        cp "$log" "$work/after.log"
    fi
    ((status == 0)) && "$PYTHON" "$LAB_FOLDER/check.py" "$name" "$disk" "$image" \
        "$work/before.log" "$work/after.log" "$work/image" || status=1
    rm -f "$work/image"
    return $status
}

verify_writes() (
    snapshot='' suspended='' status=0
    if [[ $1 == --snapshot ]]; then
        snapshot=yes
        shift
    fi
    name=$1
    shift
    log=$(guest_folder "$name")/serial.log
    [[ -r $log ]] || die "guest $name has no log"
    work=$(mktemp -d "$VP_LAB_DIR/tmp/verify.XXXXXX")
    trap 'rm -rf "$work"; [[ ! $suspended ]] || guest_virsh resume "$name" >/dev/null' EXIT
    images=("$@")
    if ((${#images[@]} == 0)); then
        mapfile -t images < <(guest_virsh dumpxml "$name" |
            "$PYTHON" "$LAB_FOLDER/domain_xml.py" written-disks)
        ((${#images[@]})) || die "guest $name has no disks that it writes to"
    fi
    if [[ ! $snapshot && $(virsh -q -c "$VP_LAB_URI" domstate "$name" 2>&1) == running ]]; then
        guest_virsh suspend "$name" >/dev/null
        suspended=yes
    fi
    cp "$log" "$work/before.log"
    for image in "${images[@]}"; do
        [[ $image =~ ^vd[a-z]= ]] || image=vda=$image
        verify_disk "${image%%=*}" "${image#*=}" || status=1
    done
    exit $status
)

compare_images() (
    work=$(mktemp -d "$VP_LAB_DIR/tmp/compare.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export_image "$1" "$work/a"
    export_image "$2" "$work/b"
    if cmp "$work/a" "$work/b" >"$work/difference"; then
        echo "equal: $(stat -c %s "$work/a") bytes"
    else
        sed "s|$work/a|$1|; s|$work/b|$2|" "$work/difference"
        exit 1
    fi
)
