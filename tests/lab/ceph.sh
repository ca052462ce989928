# The lab's Ceph clusters: `old`, where disks come from, and `flash`, where they go.
# shellcheck shell=bash

declare -A CLUSTER_POOLS=(
    [old]="vms vms2"
    [flash]="fast fast/tenant bulk tiny:67108864"
)

# A second host of a lab uses the clusters of the first (up --ceph-from).
cluster_folder() {
    if [[ -s $VP_LAB_DIR/ceph-from ]]; then
        echo "$(cat "$VP_LAB_DIR/ceph-from")/ceph/$1"
    else
        echo "$VP_LAB_DIR/ceph/$1"
    fi
}

# In /, as under an init system: Debian 13's OSD finds its classes by a relative path.
ceph_daemon() {
    local folder=$1 program=$2 id=$3
    (cd / && "$program" -c "$folder/ceph.conf" -i "$id") \
        </dev/null >>"$folder/log/start.log" 2>&1 ||
        die "$program of $folder does not start: see $folder/log"
}

# start_cluster_daemons NAME [mon] [mgr] [osd]
start_cluster_daemons() {
    local folder daemon
    folder=$(cluster_folder "$1")
    shift
    for daemon; do
        case $daemon in
        mon) ceph_daemon "$folder" ceph-mon a ;;
        mgr) ceph_daemon "$folder" ceph-mgr x ;;
        osd) ceph_daemon "$folder" ceph-osd 0 ;;
        *) die "no such daemon: $daemon" ;;
        esac
    done
}

# signal_cluster_daemon NAME DAEMON SIGNAL: STOP and CONT make a cluster that hangs.
signal_cluster_daemon() {
    local pid
    pid=$(cat "$(cluster_folder "$1")/run/$2".*.pid)
    is_ours "$pid" || die "$2 of $1 does not run"
    kill "-$3" "$pid"
}

stop_cluster_daemon() {
    end_by_pid_file 10 "$(cluster_folder "$1")/run/$2".*.pid
}

make_cluster() {
    local name=$1 monitor_port=$2 folder conf
    folder=$(cluster_folder "$name")
    conf=$folder/ceph.conf
    mkdir -p "$VP_LAB_DIR/ceph"
    "$PYTHON" "$LAB_FOLDER/ceph_setup.py" files "$name" "$folder" "$monitor_port"
    monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
        --addv a "[v2:127.0.0.1:$monitor_port]" "$folder/monmap"
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$(cat "$folder/osd_uuid")" \
        --monmap "$folder/monmap" --keyring "$folder/osd/keyring" &
    local formatting=$!
    ceph-mon -c "$conf" --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/all.keyring"
    start_cluster_daemons "$name" mon
    "$PYTHON" "$LAB_FOLDER/ceph_setup.py" register-osd "$conf"
    start_cluster_daemons "$name" mgr
    wait "$formatting"
    start_cluster_daemons "$name" osd
    # shellcheck disable=SC2086 # the pools are words
    "$PYTHON" "$LAB_FOLDER/ceph_setup.py" pools "$conf" ${CLUSTER_POOLS[$name]}
    "$PYTHON" "$LAB_FOLDER/ceph_setup.py" wait-ready "$conf"
}

# Where libraries look by themselves, in the lab's view of /etc/ceph.
publish_cluster() {
    local name=$1 folder
    folder=$(cluster_folder "$name")
    ln -sf "$folder/ceph.conf" "$VP_LAB_DIR/etc-ceph/$name.conf"
    ln -sf "$folder/client.libvirt.keyring" "$VP_LAB_DIR/etc-ceph/$name.client.libvirt.keyring"
    set_env "VP_LAB_PORT_$name" "$(sed -n 's/^mon host = .*:\([0-9]*\)$/\1/p' "$folder/ceph.conf")"
    set_env "VP_LAB_CONF_$name" "$folder/ceph.conf"
    set_env "VP_LAB_KEYRING_$name" "$folder/client.libvirt.keyring"
    set_env "VP_LAB_READONLY_KEYRING_$name" "$folder/client.readonly.keyring"
}

stop_clusters() {
    end_by_pid_file 5 "$VP_LAB_DIR"/ceph/*/run/mgr.*.pid "$VP_LAB_DIR"/ceph/*/run/osd.*.pid
    end_by_pid_file 5 "$VP_LAB_DIR"/ceph/*/run/mon.*.pid
}
