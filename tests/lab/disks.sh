# Disks of guests, made from a SPEC: KIND:SIZE[:OPTION[=VALUE]]...
# shellcheck shell=bash disable=SC2154,SC2016
#
#   raw:SIZE                    a file in the guest's folder
#   qcow2:SIZE:depth=N          N files, each the backing file of the next; 1 if not given
#   block:SIZE                  a loop device (not possible everywhere: exit 77)
#   volume:SIZE                 a volume of the libvirt storage pool `lab`
#   nbd:SIZE[:tcp]              an export of qemu-nbd, on a Unix socket or a loopback port
#   rbd:CLUSTER/POOL/NAME:SIZE  an image, made with client.admin, used as client.libvirt
#   cdrom:SIZE  floppy          not written to by the guest
#
# Options: fill=MIB            random data, spread over the disk, that a copy has to move
#          readonly shareable transient    (readonly and shareable: not written to)
#          discard             discard='unmap'
#          cache=MODE          cache='MODE'
#          target=vdX          else the next free one
#          features=LIST       of an rbd image, as rbd create has it
#          order=N             of an rbd image's objects: 2^N bytes
#
# Every disk has the serial number NAME-TARGET, cut to the 20 characters it may have.

# bytes SIZE: 64M -> 67108864
bytes() {
    numfmt --from=iec "$1"
}

# filled_file PATH BYTES MIB: sparse, with random data in MIB pieces of 1 MiB.
filled_file() {
    "$PYTHON" - "$@" <<'EOF'
import os, sys
path, size, fill = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "wb") as file:
    file.truncate(size)
    fill = min(fill, size >> 20)
    for piece in range(fill):
        file.seek((piece * (size >> 20) // fill) << 20)
        file.write(os.urandom(1 << 20))
EOF
}

# Each of the following makes one disk and sets: type, format, source (its XML).
# They read the variables of add_disk.

make_raw_disk() {
    type=file format=raw
    filled_file "$file.raw" "$size" "$fill"
    source="<source file='$file.raw'/>"
}

# The data lies in the lowest file; the others hold a stamp each, so that a copy of
# fewer layers shows.
make_qcow2_disk() {
    local layer depth=${options[depth]:-1}
    type=file format=qcow2
    filled_file "$file.tmp" "$size" "$fill"
    qemu-img convert -O qcow2 "$file.tmp" "$file.1.qcow2"
    rm "$file.tmp"
    for ((layer = 2; layer <= depth; layer++)); do
        qemu-img create -q -f qcow2 -F qcow2 -b "$file.$((layer - 1)).qcow2" "$file.$layer.qcow2"
        qemu-io -c "write -q -P $layer $((layer * 65536)) 64k" "$file.$layer.qcow2"
    done
    source="<source file='$file.$depth.qcow2'/>"
}

make_block_disk() {
    local device tries
    type=block format=raw
    filled_file "$file.block" "$size" "$fill"
    for ((tries = 0; tries < 5; tries++)); do
        device=$(losetup --find --show "$file.block" 2>/dev/null) && break
        device=
    done
    [[ -n $device ]] || not_here "no loop device"
    source="<source dev='$device'/>"
}

make_volume_disk() {
    type=volume format=raw
    if ! guest_virsh pool-info lab >/dev/null 2>&1; then
        guest_virsh pool-define-as lab dir --target "$VP_LAB_DIR/pool" >/dev/null
        guest_virsh pool-start lab >/dev/null
    fi
    filled_file "$VP_LAB_DIR/pool/$name-$target" "$size" "$fill"
    guest_virsh pool-refresh lab >/dev/null
    source="<source pool='lab' volume='$name-$target'/>"
}

make_nbd_disk() {
    local host="<host transport='unix' socket='$file.nbd'/>" number
    type=network format=raw
    filled_file "$file.raw" "$size" "$fill"
    if [[ ${options[tcp]:-} ]]; then
        # The lab's first two ports belong to the monitors.
        for number in 3 4 5 6 7 8 none; do
            [[ $number != none ]] || die "no port left for another nbd export"
            ! start_nbd_server --bind 127.0.0.1 --port "$(port $number)" || break
        done
        host="<host name='127.0.0.1' port='$(port $number)'/>"
    else
        start_nbd_server --socket "$file.nbd"
    fi
    source="<source protocol='nbd' name='$target'>$host</source>"
}

start_nbd_server() {
    qemu-nbd --fork --persistent --shared 8 --format raw --export-name "$target" \
        --pid-file "$file.nbd.pid" "$@" "$file.raw" </dev/null >"$file.nbd.log" 2>&1
}

make_rbd_disk() {
    local cluster=${place%%/*} image=${place#*/} conf create
    conf=$(cluster_folder "$cluster")/ceph.conf
    [[ -r $conf ]] || die "no cluster $cluster for $place"
    type=network format=raw
    create=(--image-format 2 --object-size "$((1 << ${options[order]:-22}))")
    [[ -z ${options[features]:-} ]] || create+=(--image-feature "${options[features]}")
    filled_file "$file.tmp" "$size" "$fill"
    if ((fill)); then
        rbd -c "$conf" import --no-progress "${create[@]}" "$file.tmp" "$image"
    else
        rbd -c "$conf" create "${create[@]}" --size "${size}B" "$image"
    fi
    rm "$file.tmp"
    source="<source protocol='rbd' name='$image'>$(rbd_host "$cluster")</source>"
}

# The elements inside an rbd <source>, for tests' own definitions too.
rbd_host() {
    local number=VP_LAB_PORT_$1
    echo "<host name='127.0.0.1' port='${!number}'/><auth username='libvirt'>" \
        "<secret type='ceph' uuid='${SECRET_UUID[$1]}'/></auth>"
}

make_cdrom_disk() {
    make_raw_disk
    options[readonly]=yes
}

next_target() {
    local prefix=$1 letter
    for letter in a b c d e f g h i j k l m n o p; do
        if [[ $disks_xml != *"dev='$prefix$letter' bus="* ]]; then
            echo "$prefix$letter"
            return
        fi
    done
    die "too many disks"
}

# add_disk SPEC: makes it, and adds to define_guest's disks_xml and written_disks.
add_disk() {
    local spec=$1 kind place='' device=disk bus=virtio prefix=vd target size fill file
    local type format source word words driver
    local -A options=()
    IFS=: read -r -a words <<<"$spec"
    kind=${words[0]}
    words=("${words[@]:1}")
    if [[ $kind == rbd ]]; then
        place=${words[0]}
        words=("${words[@]:1}")
    fi
    case $kind in
    cdrom) device=cdrom bus=ide prefix=hd ;;
    floppy) device=floppy bus=fdc prefix=fd words=(1440K "${words[@]}") ;;
    esac
    for word in "${words[@]:1}"; do
        options[${word%%=*}]=${word#*=}
    done
    size=$(bytes "${words[0]}")
    fill=${options[fill]:-0}
    target=${options[target]:-$(next_target "$prefix")}
    file=$folder/$target
    case $kind in
    raw | qcow2 | block | volume | nbd | rbd | cdrom) "make_${kind}_disk" ;;
    floppy) make_raw_disk ;;
    *) die "no such kind of disk: $spec" ;;
    esac
    driver="name='qemu' type='$format'${options[discard]:+ discard='unmap'}"
    driver+="${options[cache]:+ cache='${options[cache]}'}"
    disks_xml+="
    <disk type='$type' device='$device'>
      <driver $driver/>
      $source
      <target dev='$target' bus='$bus'/>
      $(serial_xml)
      ${options[readonly]:+<readonly/>}
      ${options[shareable]:+<shareable/>}
      ${options[transient]:+<transient/>}
      ${extra_xml[$target]:-}
    </disk>"
    if [[ $device == disk && -z ${options[readonly]:-}${options[shareable]:-} ]]; then
        written_disks+="${written_disks:+,}$target"
    fi
}

serial_xml() {
    local tail=-$target
    [[ $device == floppy ]] || echo "<serial>${name:0:20-${#tail}}$tail</serial>"
}

# release_loop_devices [FOLDER]: those on files below it.
release_loop_devices() {
    local device file
    command -v losetup >/dev/null || return 0
    losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | while read -r device file; do
        [[ $file != "${1:-$VP_LAB_DIR}"/* ]] || losetup --detach "$device" || true
    done
}
