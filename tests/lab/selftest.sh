#!/bin/bash
# Tests the lab itself: that it works, that its checker can fail, that two labs live
# side by side, that `down` leaves nothing, also after everything was killed.
# usage: selftest.sh
# shellcheck disable=SC2154
set -euo pipefail
folder=$(dirname "$(realpath "$0")")
work=$(mktemp -d "${TMPDIR:-/tmp}/vp-self.XXXXXX")
chmod 0755 "$work"
first=$work/one
second=$work/two
mounts_before=$(sort /proc/self/mounts)

lab() {
    VP_LAB_DIR=$first "$folder/lab" "$@"
}

second_lab() {
    VP_LAB_DIR=$second "$folder/lab" "$@"
}

clean_up() {
    second_lab down || true
    lab down || true
    rm -rf "$work"
}

step() {
    echo "selftest: $*"
}

fail() {
    echo "selftest FAILED: $*" >&2
    exit 1
}

must_fail() {
    ! "$@" || fail "should have failed: $*"
}

# All that names a lab's folder, or lives in its namespace.
processes_of() {
    local process
    for process in /proc/[0-9]*; do
        if [[ $(tr '\0' ' ' 2>/dev/null <"$process/cmdline") == *"$1/"* ]] ||
            grep -qsF " vp-lab:$1 " "$process/mountinfo"; then
            echo "${process#/proc/}"
        fi
    done
}

check_nothing_left() {
    local left
    left=$(processes_of "$1")
    [[ -z $left ]] || fail "processes left: $(ps -o pid,args -p "${left//$'\n'/,}")"
    [[ ! -e $1 ]] || fail "$1 is still there"
}

check_guest() {
    step "a guest with three disks, each write checked"
    lab guest define g --disk raw:64M:fill=8 --disk qcow2:64M:depth=2:fill=8 \
        --disk rbd:old/vms/g-vdc:64M:fill=8
    lab guest start g
    lab guest wait-writes g 90
    lab verify-writes g
    lab verify-writes --snapshot g vdc=rbd:old/vms/g-vdc
}

# One flipped byte, an old state of the disk, a wrong disk, no writes at all: the
# checker has to see each of them.
check_checker() {
    local copy=$work/copy offset log=$first/guests/g/serial.log
    step "the checker notices damage"
    lab guest wait-writes g 30
    lab virsh -q suspend g >/dev/null
    cp "$first/guests/g/vda.raw" "$copy"
    lab verify-writes g "vda=$copy"
    offset=$(sed -n 's/^W [0-9]* vda \([0-9]*\) ok.*/\1/p' "$log" | tail -n 1)
    flip_byte "$copy" $((offset + 9000))
    must_fail lab verify-writes g "vda=$copy"
    flip_byte "$copy" $((offset + 9000))
    lab verify-writes g "vda=$copy"
    must_fail lab verify-writes g "vdb=$copy"
    truncate -s 32M "$copy"
    must_fail lab verify-writes g "vda=$copy"
    cp "$first/guests/g/vda.raw" "$copy"
    lab virsh -q resume g >/dev/null
    lab guest wait-writes g 30
    must_fail lab verify-writes g "vda=$copy"
    must_fail lab verify-writes g "vdx=$first/guests/g/vda.raw"
    must_fail lab compare "$copy" "$first/guests/g/vda.raw"
    lab compare "$copy" "$copy"
}

flip_byte() {
    python3 -c '
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 1]))' "$@"
}

check_block_copy() {
    local port secret
    step "a disk copied from old to flash by hand, with cephx and libvirt's secrets"
    eval "$(lab env)"
    port=$VP_LAB_PORT_flash secret=$VP_LAB_SECRET_flash
    lab as-user rbd -c "$VP_LAB_CONF_flash" --id libvirt create --size 64M fast/g-vdc
    cat >"$work/target.xml" <<EOF
<disk type='network' device='disk'>
  <driver name='qemu' type='raw'/>
  <auth username='libvirt'><secret type='ceph' uuid='$secret'/></auth>
  <source protocol='rbd' name='fast/g-vdc'><host name='127.0.0.1' port='$port'/></source>
</disk>
EOF
    lab virsh -q blockcopy g vdc --xml "$work/target.xml" --reuse-external --transient-job \
        --wait --pivot
    lab guest wait-writes g 30
    lab virsh dumpxml g | "$folder/domain_xml.py" image vdc >"$work/image" 2>"$work/error" ||
        fail "$(cat "$work/error")"
    [[ $(cat "$work/image") == rbd:flash/fast/g-vdc ]] || fail "the guest uses $(cat "$work/image")"
    lab verify-writes g
    must_fail lab verify-writes g vdc=rbd:old/vms/g-vdc
}

check_other_disks() {
    step "other kinds of disks, UEFI, power button"
    local block=(--disk block:64M)
    losetup --find >/dev/null 2>&1 || block=()
    lab guest define k --nvram --disk nbd:64M --disk nbd:64M:tcp --disk volume:64M "${block[@]}" \
        --disk cdrom:1M --disk floppy --disk raw:16M:readonly --disk raw:16M:shareable
    lab guest start k
    lab guest wait-writes k 40
    lab verify-writes k
    lab virsh -q shutdown k >/dev/null
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [[ $(lab virsh -q domstate k) != "shut off"* ]] || break
        sleep 0.1
    done
    [[ $(lab guest log k) == *VP-POWER-BUTTON* ]] || fail "the guest did not see its power button"
    lab guest remove k
}

check_second_lab() {
    step "a second lab beside it, everything of it killed, then taken down"
    second_lab up --clusters 1
    second_lab guest define g --disk rbd:old/vms/g-vda:32M --disk raw:32M
    second_lab guest start g
    second_lab guest wait-writes g 10
    second_lab verify-writes g
    lab guest wait-writes g 10
    kill -KILL "$(cat "$second/run/holder.pid")" "$(cat "$second/libvirt/run/libvirtd.pid")" \
        "$(cat "$second/ceph/old/run/mon.a.pid")"
    second_lab down
    check_nothing_left "$second"
    lab guest wait-writes g 10
}

trap clean_up EXIT
trap 'exit 130' INT TERM
step "up"
lab up
check_guest
check_checker
check_block_copy
check_other_disks
check_second_lab
step "down"
lab down
check_nothing_left "$first"
[[ $(sort /proc/self/mounts) == "$mounts_before" ]] || fail "mounts changed"
loops=$(losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | grep -F "$work" || true)
[[ -z $loops ]] || fail "loop devices left: $loops"
step "all is well ($SECONDS s)"
