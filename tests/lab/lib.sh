# For the tests in tests/*.sh. Each function test_NAME is a test; it runs in a bash of
# its own (set -euo pipefail), in the lab's namespace, as root, and fails with the first
# command that fails. test_alone_NAME: never beside another test, because it stops
# libvirtd or a cluster's daemon. Whatever is left of guests, images and processes is
# cleaned up afterwards, stopped daemons are started.
#
# Variables: T          prefix of all names of this test, unique in the run (t07)
#            TEST_DIR   folder of its files, writable for the unprivileged user
#            POLICY     TEST_DIR/policy.yaml        STATE   TEST_DIR/state
#            OUT ERR    what the last expect_exit or start_vp wrote
#            VP_LAB_*   the settings that `lab env` prints
#            VP_BUILD   the build folder, $CHECKOUT/build if not given
#
# Asserting   assert_eq EXPECTED ACTUAL [WHAT]
#             assert_match REGEX TEXT [WHAT]        extended regular expression
#             assert_out REGEX, assert_err REGEX    a line of OUT, of ERR matches
#             expect_exit CODE COMMAND...           stdout to OUT, stderr to ERR
#             fail WHAT...                          ends the test
#             skip WHY...                           ends it, counted as skipped
#             wait_for SECONDS COMMAND...           until it succeeds; fails after SECONDS
# virt-pivot  write_policy < YAML                   to POLICY
#             policy_clusters                       prints the clusters: part for this lab
#             vp ARGUMENT...                        runs it as the unprivileged user
#             vp_root ARGUMENT...                   runs it as root
#             start_vp ARGUMENT...                  the same as vp, in the background: VP_PID
#             kill_vp [SIGNAL]                      KILL if not given; and waits for its end
#             wait_vp CODE [SECONDS]                waits for its end; 120 s if not given
#             run_as_user COMMAND...                any command as the unprivileged user
#             hook_program                          prints the path of virt-pivot-hook
# Guests      new_guest NAME [OPTION]...            defines $T-NAME (options: guest.sh) and
#                                                   prints that name
#             start_guest NAME                      starts it, waits until it writes
#             wait_writes NAME COUNT                until COUNT more are acknowledged
#             verify_writes [--snapshot] NAME [[DISK=]IMAGE]...
#             compare_images IMAGE IMAGE            same bytes?
#             guest_log NAME                        its serial console
#             live_image NAME DISK                  where it writes now, as
#             saved_image NAME DISK                 rbd:CLUSTER/POOL/IMAGE or a path
#             save_xml NAME FILE                    the persistent definition
#             xml_value NAME XPATH [OPTION]...      of virsh dumpxml OPTION; PATH/@NAME: attribute
#             same_xml_but_disks FILE FILE          two definitions; sources may differ
#             state_of NAME                         virsh domstate
#             virsh ARGUMENT...                     connected to the lab
# Ceph        rbd_in CLUSTER ARGUMENT...            rbd, as admin
#             ceph_in CLUSTER ARGUMENT...           ceph, as admin
#             image_exists CLUSTER/POOL/IMAGE
#             watchers CLUSTER/POOL/IMAGE           how many
# Two hosts, and the agent: see hosts.sh
# Others      lab VERB...                           all of the lab's verbs
#             json FILE EXPRESSION                  Python, the document is d; prints the value
#             elapsed                               seconds since the test began
#
# shellcheck shell=bash disable=SC2154,SC2034,SC2030,SC2031

. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/common.sh"
. "$LAB_FOLDER/namespace.sh"
. "$LAB_FOLDER/ceph.sh"
. "$LAB_FOLDER/libvirt.sh"
. "$LAB_FOLDER/disks.sh"
. "$LAB_FOLDER/guest.sh"
. "$LAB_FOLDER/verify.sh"
. "$LAB_FOLDER/hosts.sh"

VP_BUILD=$(realpath -m "${VP_BUILD:-$CHECKOUT/build}")

lab() {
    "$LAB_FOLDER/lab" "$@"
}

virsh() {
    command virsh -c "$VP_LAB_URI" "$@"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

assert_eq() {
    [[ $1 == "$2" ]] || fail "${3:-value}: expected '$1', got '$2'"
}

assert_match() {
    [[ $2 =~ $1 ]] || fail "${3:-text}: '$2' does not match $1"
}

assert_out() {
    grep -qE -- "$1" "$OUT" || fail "no line of stdout matches: $1"$'\n'"$(tail -n 30 "$OUT")"
}

assert_err() {
    grep -qE -- "$1" "$ERR" || fail "no line of stderr matches: $1"$'\n'"$(tail -n 30 "$ERR")"
}

expect_exit() {
    local expected=$1 code=0
    shift
    "$@" >"$OUT" 2>"$ERR" || code=$?
    ((code == expected)) || fail "exit code $code instead of $expected: $*" \
        $'\n'"$(tail -n 30 "$OUT" "$ERR")"
}

elapsed() {
    echo "$SECONDS"
}

json() {
    "$PYTHON" -c '
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    d = json.load(file)
value = eval(sys.argv[2])
print(json.dumps(value) if isinstance(value, (dict, list, bool, type(None))) else value)' "$@"
}

# --- virt-pivot

# The unprivileged user may not be able to enter the checkout: runs a copy.
program() {
    [[ -x $VP_BUILD/$1 ]] || fail "$VP_BUILD/$1 is not built"
    mkdir -p "$VP_LAB_DIR/bin"
    cp -u --remove-destination "$VP_BUILD/$1" "$VP_LAB_DIR/bin/"
    echo "$VP_LAB_DIR/bin/${1##*/}"
}

hook_program() {
    program hooks/virt-pivot-hook
}

write_policy() {
    cat >"$POLICY"
}

policy_clusters() {
    cat <<EOF
clusters:
  old:
    mons: ["127.0.0.1:$VP_LAB_PORT_old"]
    user: libvirt
    secret: $VP_LAB_SECRET_old
    keyring: $VP_LAB_KEYRING_old
  flash:
    conf: $VP_LAB_CONF_flash
    user: libvirt
    secret: client.libvirt flash
    keyring: $VP_LAB_KEYRING_flash
EOF
}

# Sets `command`.
vp_command() {
    command=("$(program helper/virt-pivot)" -c "$VP_LAB_URI" --policy "$POLICY" --state "$STATE" "$@")
}

run_as_user() {
    lab as-user "$@"
}

vp() {
    local command
    vp_command "$@"
    run_as_user "${command[@]}"
}

vp_root() {
    local command
    vp_command "$@"
    "${command[@]}"
}

# VP_PID is virt-pivot's own: all on the way to it replace themselves.
start_vp() {
    local command
    vp_command "$@"
    "$LAB_FOLDER/lab" as-user "${command[@]}" >"$OUT" 2>"$ERR" </dev/null &
    VP_PID=$!
}

# A background function would be a shell of its own, and what is sent to that does not reach virt-pivot.
start_vp_root() {
    local command
    vp_command "$@"
    "${command[@]}" >"$OUT" 2>"$ERR" </dev/null &
    VP_PID=$!
}

kill_vp() {
    kill "-${1:-KILL}" "$VP_PID"
    wait "$VP_PID" || true
}

wait_vp() {
    local code=0
    wait_for "${2:-120}" is_gone "$VP_PID" || fail "virt-pivot still runs after ${2:-120} s"
    wait "$VP_PID" || code=$?
    ((code == $1)) || fail "virt-pivot: exit code $code instead of $1"$'\n'"$(tail -n 30 "$OUT" "$ERR")"
}

# --- guests

new_guest() {
    local name=$T-$1
    shift
    lab guest define "$name" "$@" >&2
    echo "$name"
}

start_guest() {
    lab guest start "$1"
    lab guest wait-up "$1"
}

guest_log() {
    lab guest log "$1"
}

state_of() {
    virsh -q domstate "$1" | head -n 1
}

save_xml() {
    virsh -q dumpxml --inactive --security-info "$1" >"$2"
}

xml_value() {
    local name=$1 path=$2
    shift 2
    virsh -q dumpxml "$@" "$name" | "$PYTHON" "$LAB_FOLDER/domain_xml.py" get "$path"
}

disk_image() {
    local name=$1 disk=$2
    shift 2
    virsh -q dumpxml "$@" "$name" | "$PYTHON" "$LAB_FOLDER/domain_xml.py" image "$disk"
}

live_image() {
    disk_image "$1" "$2"
}

saved_image() {
    disk_image "$1" "$2" --inactive
}

same_xml_but_disks() {
    "$PYTHON" "$LAB_FOLDER/domain_xml.py" diff --but-disk-sources "$1" "$2" ||
        fail "the definition changed beyond its disks' sources"
}

# --- Ceph

rbd_in() {
    rbd -c "$(cluster_folder "$1")/ceph.conf" "${@:2}"
}

ceph_in() {
    ceph -c "$(cluster_folder "$1")/ceph.conf" "${@:2}"
}

image_exists() {
    rbd_in "${1%%/*}" info "${1#*/}" >/dev/null 2>&1
}

watchers() {
    rbd_in "${1%%/*}" status "${1#*/}" | grep -c 'watcher=' || true
}

# --- around a test (called by run)

begin_test() {
    T=$1
    TEST_DIR=$VP_LAB_DIR/tests/$1
    POLICY=$TEST_DIR/policy.yaml
    STATE=$TEST_DIR/state
    OUT=$TEST_DIR/out
    ERR=$TEST_DIR/err
    VP_PID=
    SECONDS=0
    install -d -o "$VP_LAB_UID" -g "$VP_LAB_UID" "$TEST_DIR" "$STATE"
    cd "$TEST_DIR" || fail "no $TEST_DIR"
}

# Guests first: they hold the images.
end_test() {
    local name
    heal_daemons
    clean_second_host "$1"
    for name in $( (ls "$VP_LAB_DIR/guests" && virsh -q list --all --name) | sort -u); do
        [[ $name != "$1"-* ]] || remove_guest "$name"
    done
    purge_images "$1-"
}

heal_daemons() {
    local name folder pid daemon
    for folder in "$VP_LAB_DIR"/ceph/*/; do
        name=$(basename "$folder")
        for daemon in mon.a mgr.x osd.0; do
            pid=$(cat "$folder/run/$daemon.pid" 2>/dev/null || echo 0)
            if is_alive "$pid" && is_ours "$pid"; then
                kill -CONT "$pid"
            else
                start_cluster_daemons "$name" "${daemon%.*}"
            fi
        done
    done
    heal_libvirtd
}

heal_libvirtd() {
    local pid
    pid=$(cat "$VP_LAB_DIR/libvirt/run/libvirtd.pid" 2>/dev/null || echo 0)
    if is_alive "$pid" && is_ours "$pid"; then
        kill -CONT "$pid"
    else
        lab libvirtd start
    fi
}
