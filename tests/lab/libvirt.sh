# The lab's libvirtd.
# shellcheck shell=bash

declare -A SECRET_UUID=(
    [old]=2d51d16c-b0ef-4a9f-8938-de099f017a62
    [flash]=8a6f6d0e-5f3c-4b59-9f0a-3a1f1f5f7b11
)

write_libvirt_conf() {
    cat >"$VP_LAB_DIR/libvirt/etc/libvirtd.conf" <<EOF
listen_tls = 0
listen_tcp = 0
unix_sock_group = "$VP_LAB_GROUP"
unix_sock_ro_perms = "0770"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
log_filters = "1:qemu.qemu_block 1:qemu.qemu_process 1:qemu.qemu_driver 1:qemu.qemu_monitor 3:access"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
EOF
    cat >"$VP_LAB_DIR/libvirt/etc/qemu.conf" <<EOF
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
EOF
}

libvirtd_answers() {
    virsh -q -c "$VP_LAB_URI" uri
}

start_libvirtd() {
    libvirtd -d -p "$VP_LAB_DIR/libvirt/run/libvirtd.pid" --config /etc/libvirt/libvirtd.conf \
        </dev/null >>"$VP_LAB_DIR/log/libvirtd.start.log" 2>&1 ||
        die "libvirtd does not start: see $VP_LAB_DIR/log/libvirtd.start.log"
    wait_for 30 libvirtd_answers || die "libvirtd does not answer"
}

# stop_libvirtd [SIGNAL]: guests keep running, as on a real host.
stop_libvirtd() {
    local file=$VP_LAB_DIR/libvirt/run/libvirtd.pid pid
    pid=$(cat "$file" 2>/dev/null) || return 0
    if is_alive "$pid" && is_ours "$pid"; then
        kill "-${1:-TERM}" "$pid"
        wait_for 20 is_gone "$pid" || end_by_pid_file 1 "$file"
    fi
    rm -f "$file"
}

# libvirtd asks QEMU what it can do when that is first needed, for seconds: not in a test.
probe_emulator() {
    virsh -q -c "$VP_LAB_URI" domcapabilities --virttype qemu --machine pc >/dev/null
}

define_secret() {
    local name=$1 key_file=$2 xml
    xml="<secret ephemeral='no' private='no'><uuid>${SECRET_UUID[$name]}</uuid>
<usage type='ceph'><name>client.libvirt $name</name></usage></secret>"
    virsh -q -c "$VP_LAB_URI" secret-define /dev/stdin <<<"$xml"
    virsh -q -c "$VP_LAB_URI" secret-set-value "${SECRET_UUID[$name]}" --file "$key_file"
    set_env "VP_LAB_SECRET_$name" "${SECRET_UUID[$name]}"
}

# The guests' QEMU processes. A guest that a signal does not end is killed.
stop_guests() {
    end_by_pid_file 3 "$VP_LAB_DIR"/libvirt/run/qemu/*.pid
}
