# Shared by all parts of the lab: the state folder, its namespace, pid files, ports.
# shellcheck shell=bash disable=SC2034

shopt -s inherit_errexit
LAB_FOLDER=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
CHECKOUT=$(realpath "$LAB_FOLDER/../..")
PYTHON=/usr/bin/python3 # Debian's: the one that has the rados and rbd modules
export PATH=$PATH:/usr/sbin:/sbin

# One state folder for each checkout, with a short name: a Unix socket's path may
# have 107 characters.
default_state_folder() {
    local digest
    digest=$(printf '%s' "$CHECKOUT" | sha1sum)
    echo "${TMPDIR:-/tmp}/vp-lab-${digest:0:8}"
}

VP_LAB_DIR=$(realpath -m "${VP_LAB_DIR:-$(default_state_folder)}")
export VP_LAB_DIR
VP_LAB_URI="qemu+unix:///system?socket=$VP_LAB_DIR/libvirt/run/libvirt-sock"
VP_LAB_USER=vp-lab
VP_LAB_GROUP=vp-lab

say() {
    echo "lab: $*" >&2
}

die() {
    say "$*"
    exit 1
}

# What cannot be done on this machine (no loop devices, ...): tests skip on 77.
not_here() {
    say "not possible here: $*"
    exit 77
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        ((${EPOCHREALTIME/[.,]/} < end)) || return 1
        sleep 0.1
    done
}

# A process belongs to this lab if its command line names the state folder, or if
# it lives in the lab's mount namespace, which has a mount named after it.
is_ours() {
    local command_line
    command_line=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline") || return 1
    [[ $command_line == *"$VP_LAB_DIR/"* ]] ||
        grep -qsF " vp-lab:$VP_LAB_DIR " "/proc/$1/mountinfo"
}

is_alive() {
    [[ -e /proc/$1 ]] && ! grep -qs '^State:.Z' "/proc/$1/status"
}

is_gone() {
    ! is_alive "$1"
}

# end_process PID SECONDS: TERM, and KILL if it is still there after that time.
end_process() {
    is_alive "$1" && is_ours "$1" || return 0
    kill -CONT "$1" 2>/dev/null || true
    kill -TERM "$1" 2>/dev/null || true
    wait_for "$2" is_gone "$1" && return 0
    kill -KILL "$1" 2>/dev/null || true
    wait_for 5 is_gone "$1" || say "process $1 does not end"
}

# end_by_pid_file SECONDS FILE...: all at the same time.
end_by_pid_file() {
    local seconds=$1 file pid jobs=()
    shift
    for file; do
        [[ -s $file ]] || continue
        pid=$(tr -cd '0-9' <"$file")
        end_process "${pid:-0}" "$seconds" &
        jobs+=($!)
    done
    ((${#jobs[@]} == 0)) || wait "${jobs[@]}"
    (($# == 0)) || rm -f "$@"
}

port_is_used() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# pick_ports COUNT: writes them to the state folder's file `ports`. Below the range
# that outgoing connections take theirs from. The register keeps two labs apart
# also while the servers of one of them are down.
pick_ports() {
    local register=/tmp/vp-lab.ports port digest folder kept=()
    exec 8>>"$register.lock"
    flock 8
    touch "$register"
    local -A taken=()
    while read -r port folder; do
        if [[ $folder != "$VP_LAB_DIR" && -e $folder/ports ]]; then
            taken[$port]=1
            kept+=("$port $folder")
        fi
    done <"$register"
    digest=$(printf '%s' "$VP_LAB_DIR" | sha1sum)
    port=$((20000 + 0x${digest:0:4} % 10000))
    : >"$VP_LAB_DIR/ports"
    while (($(wc -l <"$VP_LAB_DIR/ports") < $1)); do
        if [[ -z ${taken[$port]:-} ]] && ! port_is_used "$port"; then
            echo "$port" >>"$VP_LAB_DIR/ports"
            kept+=("$port $VP_LAB_DIR")
        fi
        port=$((20000 + (port + 1 - 20000) % 10000))
    done
    printf '%s\n' "${kept[@]}" >"$register"
    exec 8>&-
}

# port NUMBER: the lab's NUMBERth port, from 1.
port() {
    sed -n "${1}p" "$VP_LAB_DIR/ports"
}

# The lab's settings, as `lab env` prints them.
set_env() {
    local name=$1 value=$2
    printf 'export %s=%q\n' "$name" "$value" >>"$VP_LAB_DIR/env"
    export "$name=$value"
}

load_env() {
    [[ -r $VP_LAB_DIR/env ]] || die "no lab in $VP_LAB_DIR: lab up first"
    # shellcheck disable=SC1091
    . "$VP_LAB_DIR/env"
}
