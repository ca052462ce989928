# A second host for tests: a libvirtd in a namespace of its own, at the first one's Ceph and on the
# first one's file systems. It is brought up by the first test that wants it, and is taken down with
# the first host.
#
# two_hosts                  every test of two hosts begins with it; the hook is in force there
# on_b COMMAND...            COMMAND, or a function of lib.sh, as if the second host were the lab:
#                            VP_LAB_*, POLICY and STATE are the second host's. A subshell: variables
#                            that COMMAND sets are lost
# migrate_to_b GUEST OPTION...   virsh migrate
# move_to_b GUEST [OPTION]...    the usual way: --live --persistent --undefinesource
#                            --copy-storage-all
# own_disks_on_b GUEST       the guest's folder is another one on the second host, where only the
#                            console's file is the same: its disks are not to be seen there
# hook_was_called "OPERATION SUBOPERATION GUEST"   on the second host, since two_hosts
# start_agent [ENV=VALUE]... the agent of this host (on_b start_agent: of the second), as the
#                            unprivileged user; returns when it has looked at all guests
# stop_agent, kill_agent     TERM, KILL; until it is gone
# agent_log                  what it has said
# agent_told REGEX           whether it told its service manager a line that matches
# nothing_under_way          whether `status` shows no move
# request_is GUEST STATE     whether it shows the guest's request so; «gone»: it does not show any
# shellcheck shell=bash disable=SC2154,SC2034,SC2030,SC2031,SC2153

SECOND_HOST=$VP_LAB_DIR-b

on_b() (
    VP_LAB_DIR=$SECOND_HOST
    load_env
    POLICY=${TEST_DIR:-}/b/policy.yaml
    STATE=${TEST_DIR:-}/b/state
    "$@"
)

two_hosts() {
    second_host
    install -d -o "$VP_LAB_UID" -g "$VP_LAB_UID" "$TEST_DIR/b"
    install -d -m 0700 -o "$VP_LAB_UID" -g "$VP_LAB_UID" "$TEST_DIR/b/state"
    cat >"$TEST_DIR/hook.env" <<END
export VIRT_PIVOT_POLICY=$TEST_DIR/b/policy.yaml
export VIRT_PIVOT_STATE=$TEST_DIR/b/state
export VIRT_PIVOT_HELPER=$(on_b program helper/virt-pivot)
HOOK_PROGRAM=$(on_b hook_program)
HOOK_LOG=$TEST_DIR/hook.log
$(env | sed -n "s/^\([A-Z]*SAN_OPTIONS\)=\(.*\)/export \1='\2'/p")
END
    : >"$TEST_DIR/hook.log"
}

# Tests in parallel ask for it at the same time.
second_host() {
    [[ ! -e $VP_LAB_DIR/borrowed ]] || skip "no second host without mount namespaces"
    (
        flock 9
        second_host_is_up || bring_up_second_host 9>&-
    ) 9>"$VP_LAB_DIR/second-host.lock"
}

bring_up_second_host() {
    local first=$VP_LAB_DIR
    VP_LAB_DIR=$SECOND_HOST outside "$LAB_FOLDER/lab" up --ceph-from "$first" --hostname hostb
    install_hook
}

second_host_is_up() {
    [[ $SECOND_HOST/env -nt $VP_LAB_DIR/env ]] && on_b libvirtd_answers >/dev/null 2>&1
}

# In the namespace where `run` was called: the second host's must not be made from the first one's.
outside() {
    local process=/proc/${VP_LAB_OUTSIDE:?is set by run}
    nsenter --mount="$process/ns/mnt" --uts="$process/ns/uts" --root="$process/root" \
        --wd="$process/cwd" "$@"
}

# A drop-in that gives the hook the settings of the test to which the guest belongs, since libvirt
# passes no environment on. libvirtd looks for hooks when it starts or is reloaded.
install_hook() {
    local file=$SECOND_HOST/libvirt/etc/hooks/qemu.d/virt-pivot-hook
    cat >"$file" <<END
#!/bin/sh
settings=$VP_LAB_DIR/tests/\${1%%-*}/hook.env
[ -r "\$settings" ] || exit 0
. "\$settings"
echo "\$2 \$3 \$1" >>"\$HOOK_LOG"
exec "\$HOOK_PROGRAM" "\$@"
END
    chmod 0755 "$file"
    on_b lab libvirtd reload
}

hook_was_called() {
    grep -qxF "$1" "$TEST_DIR/hook.log"
}

migrate_to_b() {
    local guest=$1
    shift
    virsh -q migrate "$@" --listen-address 127.0.0.1 "$guest" "$(on_b printenv VP_LAB_URI)" \
        tcp://127.0.0.1
}

move_to_b() {
    migrate_to_b "$1" --live --persistent --undefinesource --copy-storage-all "${@:2}"
}

own_disks_on_b() {
    local folder own=$SECOND_HOST/own/$1
    folder=$(guest_folder "$1")
    mkdir -p "$own"
    touch "$own/serial.log" "$folder/serial.log"
    # shellcheck disable=SC2016
    on_b lab exec -- bash -c '
        mount --bind "$1/serial.log" "$2/serial.log"
        mount --rbind "$2" "$1"' own "$folder" "$own"
}

# After a test, before its guests are removed from the first host.
clean_second_host() {
    local name folder
    [[ -d $VP_LAB_DIR/tests/$1/b && -e $SECOND_HOST/env ]] || return 0
    on_b heal_libvirtd
    for name in $(on_b virsh -q list --all --name); do
        [[ $name == "$1"-* ]] || continue
        on_b virsh -q destroy "$name" >/dev/null 2>&1 || true
        on_b virsh -q undefine "$name" --nvram --managed-save --snapshots-metadata \
            >/dev/null 2>&1 || true
    done
    for folder in "$SECOND_HOST/own/$1"-*/; do
        [[ -d $folder ]] || continue
        on_b lab exec -- umount --lazy --recursive "$(guest_folder "$(basename "$folder")")"
        on_b lab exec -- umount --lazy "$folder/serial.log"
        rm -rf "$folder"
    done
}

# --- the agent of a host

# start_agent [SETTING=VALUE]...: with this environment. The process id is the agent's own, as in
# start_vp.
start_agent() {
    local command
    vp_command agent
    listen_to_agent
    "$LAB_FOLDER/lab" as-user env "NOTIFY_SOCKET=$STATE.notify" "$@" "${command[@]}" \
        >>"$STATE.agent.log" 2>&1 </dev/null &
    echo "$!" >"$STATE.agent.pid"
    wait_for 30 agent_has_looked_or_is_gone || fail "not ready: $(agent_log)"
    agent_has_looked || fail "the agent has ended: $(agent_log)"
}

listen_to_agent() {
    [[ -S $STATE.notify ]] || "$PYTHON" "$LAB_FOLDER/notify.py" "$STATE.notify" >>"$STATE.told" &
    wait_for 5 test -S "$STATE.notify"
    : >"$STATE.told"
}

# agent_told REGEX: what it told its service manager since it was started.
agent_told() {
    grep -qxE -- "$1" "$STATE.told"
}

# It is ready before it has looked at the guests, and tells its status afterwards.
agent_has_looked() {
    agent_told "READY=1" && agent_told "STATUS=.+"
}

agent_has_looked_or_is_gone() {
    agent_has_looked || is_gone "$(agent_pid)"
}

agent_log() {
    cat "$STATE.agent.log"
}

agent_pid() {
    cat "$STATE.agent.pid"
}

kill_agent() {
    kill "-${1:-KILL}" "$(agent_pid)"
    wait_for 30 is_gone "$(agent_pid)" || fail "the agent does not end"
}

stop_agent() {
    kill_agent TERM
}

nothing_under_way() {
    vp status --format json >"$TEST_DIR/status.json" &&
        [[ $(json "$TEST_DIR/status.json" 'd["moves"]') == "[]" ]]
}

request_is() {
    vp status --format json >"$TEST_DIR/status.json"
    [[ $(json "$TEST_DIR/status.json" "([r['state'] for r in d['requests'] \
        if r['domain'] == '$1'] or ['gone'])[-1]") == "$2" ]]
}
