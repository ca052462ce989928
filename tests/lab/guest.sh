# Guests: generated definitions, disks of every kind, the log of their writes.
# shellcheck shell=bash disable=SC2034
#
# lab guest define NAME [OPTION]...
#   --disk SPEC            any number; see disks.sh
#   --disk-xml DISK=XML    elements added to that disk, as <iotune> or <boot>
#   --cmdline "WORDS"      for the guest's init, as vp.rate=10; see guest/init.c
#   --memory MIB           96, or 256 with UEFI
#   --uefi                 OVMF; libvirt makes the NVRAM file from its template
#   --nvram                the same, the NVRAM file in the guest's folder
#   --tpm                  an emulated TPM (needs swtpm)
#   --autostart
#   --metadata FILE        put into <metadata>
#   --uuid UUID
#   --print                print the definition instead of defining it
# lab guest start NAME          and does not wait
# lab guest wait-up NAME        until it has booted and written
# lab guest writes NAME         acknowledged writes so far
# lab guest wait-writes NAME N  until N more than now are acknowledged
# lab guest log NAME            the serial console
# lab guest remove NAME         the guest, its disks, and all images named NAME-*

guest_folder() {
    echo "$VP_LAB_DIR/guests/$1"
}

guest_virsh() {
    virsh -q -c "$VP_LAB_URI" "$@"
}

firmware_xml() {
    local folder=$1 uefi=$2 code=/usr/share/OVMF/OVMF_CODE_4M.fd
    local vars=/usr/share/OVMF/OVMF_VARS_4M.fd
    [[ -n $uefi ]] || return 0
    [[ -r $code ]] || not_here "no $code: install ovmf"
    echo "<loader readonly='yes' type='pflash'>$code</loader>"
    if [[ $uefi == nvram ]]; then
        cp "$vars" "$folder/nvram.fd"
        echo "<nvram>$folder/nvram.fd</nvram>"
    else
        echo "<nvram template='$vars'/>"
    fi
}

# Reads the variables of define_guest.
guest_xml() {
    local arguments="console=ttyS0 quiet loglevel=3 vp.disks=$written_disks $cmdline"
    cat <<EOF
<domain type='qemu'>
  <name>$name</name>
  <uuid>$uuid</uuid>
  ${metadata:+<metadata>$(cat "$metadata")</metadata>}
  <memory unit='MiB'>$memory</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    $(firmware_xml "$folder" "$uefi")
    <kernel>$VP_LAB_DIR/guests/vmlinuz</kernel>
    <initrd>$VP_LAB_DIR/guests/initrd.gz</initrd>
    <cmdline>${arguments% }</cmdline>
  </os>
  <features><acpi/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
$disks_xml
    <controller type='usb' model='none'/>
    <serial type='file'><source path='$folder/serial.log' append='on'/></serial>
    <memballoon model='none'/>
    ${tpm:+<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>}
  </devices>
</domain>
EOF
}

define_guest() {
    local name=$1 folder memory='' uefi='' tpm='' autostart='' metadata='' print='' cmdline=''
    local uuid disks_xml='' written_disks='' specs=() spec
    local -A extra_xml=()
    uuid=$(cat /proc/sys/kernel/random/uuid)
    shift
    while (($#)); do
        case $1 in
        --disk) specs+=("$2") && shift ;;
        --disk-xml) extra_xml[${2%%=*}]=${2#*=} && shift ;;
        --cmdline) cmdline=$2 && shift ;;
        --memory) memory=$2 && shift ;;
        --metadata) metadata=$2 && shift ;;
        --uuid) uuid=$2 && shift ;;
        --uefi) uefi=template ;;
        --nvram) uefi=nvram ;;
        --tpm) tpm=yes ;;
        --autostart) autostart=yes ;;
        --print) print=yes ;;
        *) die "guest define: what is $1?" ;;
        esac
        shift
    done
    [[ -z $tpm ]] || command -v swtpm >/dev/null || not_here "no emulated TPM: install swtpm"
    memory=${memory:-${uefi:+256}}
    memory=${memory:-96}
    folder=$(guest_folder "$name")
    mkdir "$folder" || die "guest $name is there already"
    for spec in "${specs[@]}"; do
        add_disk "$spec"
    done
    guest_xml >"$folder/domain.xml"
    if [[ $print ]]; then
        cat "$folder/domain.xml"
        return
    fi
    guest_virsh define "$folder/domain.xml" >/dev/null
    [[ -z $autostart ]] || guest_virsh autostart "$name" >/dev/null
}

guest_writes() {
    grep -cE '^W [0-9]+ vd[a-z] [0-9]+ ok' "$(guest_folder "$1")/serial.log" 2>/dev/null || true
}

guest_has_written() {
    (($(guest_writes "$1") >= $2))
}

wait_writes() {
    local name=$1 target
    target=$(($(guest_writes "$name") + $2))
    wait_for "${VP_LAB_PATIENCE:-120}" guest_has_written "$name" "$target" && return
    tail -n 5 "$(guest_folder "$name")/serial.log" >&2 || true
    die "guest $name does not write"
}

# Ends a guest as if its host's power had gone, and forgets it. Never fails half-way.
remove_guest() {
    local name=$1 folder file
    folder=$(guest_folder "$name")
    virsh -q -c "$VP_LAB_URI" destroy "$name" >/dev/null 2>&1 || true
    virsh -q -c "$VP_LAB_URI" undefine "$name" --nvram --managed-save --snapshots-metadata \
        --checkpoints-metadata >/dev/null 2>&1 || true
    shopt -s nullglob
    end_by_pid_file 3 "$folder"/*.pid
    shopt -u nullglob
    # libvirt may have forgotten a guest that runs.
    file=$VP_LAB_DIR/libvirt/run/qemu/$name.pid
    ! grep -qsa "guest=$name," "/proc/$(cat "$file" 2>/dev/null)/cmdline" || end_by_pid_file 3 "$file"
    release_loop_devices "$folder"
    rm -f "$VP_LAB_DIR/pool/$name-"*
    purge_images "$name-"
    rm -rf "$folder"
}

# In every pool and namespace, and in the trash.
purge_images() {
    local conf jobs=() job
    for conf in "$VP_LAB_DIR"/ceph/*/ceph.conf; do
        [[ -r $conf ]] || continue
        "$PYTHON" "$LAB_FOLDER/ceph_setup.py" purge "$conf" "$1" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || die "images named $1* could not be removed"
    done
}

guest_verb() {
    local verb=$1 name=$2
    case $verb in
    define) define_guest "${@:2}" ;;
    start) guest_virsh start "$name" >/dev/null ;;
    wait-up) wait_writes "$name" 1 ;;
    writes) guest_writes "$name" ;;
    wait-writes) wait_writes "$name" "$3" ;;
    log) cat "$(guest_folder "$name")/serial.log" ;;
    remove) remove_guest "$name" ;;
    *) die "guest: what is $verb?" ;;
    esac
}
