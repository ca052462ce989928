# The lab's own view of the machine: a mount namespace where libvirt's and Ceph's
# folders, passwd and group are the lab's. A sleeping process holds it.
# shellcheck shell=bash

# folder of the machine, folder of the lab
LIBVIRT_FOLDERS=(
    /etc/libvirt libvirt/etc
    /var/lib/libvirt libvirt/lib
    /run/libvirt libvirt/run
    /var/log/libvirt libvirt/log
    /var/cache/libvirt libvirt/cache
    /etc/ceph etc-ceph
)

make_folders() {
    local i
    mkdir -p "$VP_LAB_DIR"/{run,log,tmp,pool}
    if [[ -s $VP_LAB_DIR/ceph-from ]]; then
        ln -s "$(cat "$VP_LAB_DIR/ceph-from")/guests" "$VP_LAB_DIR/guests"
    else
        mkdir "$VP_LAB_DIR/guests"
    fi
    for ((i = 1; i < ${#LIBVIRT_FOLDERS[@]}; i += 2)); do
        mkdir -p "$VP_LAB_DIR/${LIBVIRT_FOLDERS[i]}"
    done
    mkdir -p "$VP_LAB_DIR"/libvirt/etc/hooks/qemu.d
}

# Free on the machine; on a second host, the first one's.
user_number() {
    local number=47000 first
    if [[ -s $VP_LAB_DIR/ceph-from ]]; then
        first=$(cat "$VP_LAB_DIR/ceph-from")
        sed -n 's/^export VP_LAB_UID=//p' "$first/env"
        return
    fi
    while getent passwd "$number" >/dev/null || getent group "$number" >/dev/null; do
        number=$((number + 1))
    done
    echo "$number"
}

# An unprivileged user that exists only in the lab.
make_user() {
    local number
    number=$(user_number)
    cp /etc/passwd "$VP_LAB_DIR/passwd"
    cp /etc/group "$VP_LAB_DIR/group"
    echo "$VP_LAB_USER:x:$number:$number:virt-pivot lab:$VP_LAB_DIR/home:/bin/bash" \
        >>"$VP_LAB_DIR/passwd"
    echo "$VP_LAB_GROUP:x:$number:" >>"$VP_LAB_DIR/group"
    install -d -m 0750 -o "$number" -g "$number" "$VP_LAB_DIR/home" "$VP_LAB_DIR/home/state"
    set_env VP_LAB_USER "$VP_LAB_USER"
    set_env VP_LAB_GROUP "$VP_LAB_GROUP"
    set_env VP_LAB_UID "$number"
    set_env VP_LAB_HOME "$VP_LAB_DIR/home"
}

# Where /dev/kvm is there but does not work, libvirt probes QEMU again at every look-up, 20 s
# each time (its virQEMUCapsIsValid believes access(2)). A read-only file cannot be accessed.
hide_kvm() {
    [[ -e /dev/kvm ]] || return 0
    : >"$VP_LAB_DIR/no-kvm"
    mount --bind "$VP_LAB_DIR/no-kvm" /dev/kvm
    mount -o remount,bind,ro /dev/kvm
}

# Runs inside the new namespace. The first mount is only there for its name, by which
# processes of the lab are known, also after its state folder was removed; it is covered
# at once.
mount_all() {
    local i
    mkdir -p /etc/ceph
    mount -t tmpfs -o size=4k "vp-lab:$VP_LAB_DIR" /etc/ceph
    for ((i = 0; i < ${#LIBVIRT_FOLDERS[@]}; i += 2)); do
        mkdir -p "${LIBVIRT_FOLDERS[i]}"
        mount --bind "$VP_LAB_DIR/${LIBVIRT_FOLDERS[i + 1]}" "${LIBVIRT_FOLDERS[i]}"
    done
    hide_kvm
    mount --bind "$VP_LAB_DIR/passwd" /etc/passwd
    mount --bind "$VP_LAB_DIR/group" /etc/group
}

# hold_namespace [HOSTNAME]: is exec'ed in the namespace, and stays.
hold_namespace() {
    [[ -z ${1:-} ]] || hostname "$1"
    mount_all
    echo $$ >"$VP_LAB_DIR/run/holder.pid"
    exec -a "vp-lab-holder $VP_LAB_DIR/" sleep infinity
}

holder_is_up() {
    local pid
    pid=$(cat "$VP_LAB_DIR/run/holder.pid" 2>/dev/null) &&
        grep -qsF " vp-lab:$VP_LAB_DIR " "/proc/$pid/mountinfo"
}

# Without the right to make namespaces (a plain container): with the owner's explicit
# word, the lab takes the machine's own folders, put back by `lab down`.
borrow_machine() {
    [[ ${VP_LAB_BORROW_MACHINE:-} == 1 ]] ||
        not_here "no mount namespaces ($(unshare --mount true 2>&1)); on a throw-away machine" \
            "or container, VP_LAB_BORROW_MACHINE=1 lets the lab use /etc/libvirt and so on itself"
    local i own
    touch "$VP_LAB_DIR/borrowed"
    for ((i = 0; i < ${#LIBVIRT_FOLDERS[@]}; i += 2)); do
        own=${LIBVIRT_FOLDERS[i]}
        [[ ! -L $own ]] || die "$own is a link already: another lab?"
        mkdir -p "$own"
        mv "$own" "$own.vp-lab-saved"
        ln -s "$VP_LAB_DIR/${LIBVIRT_FOLDERS[i + 1]}" "$own"
    done
    grep -E "^$VP_LAB_USER:" "$VP_LAB_DIR/passwd" >>/etc/passwd
    grep -E "^$VP_LAB_GROUP:" "$VP_LAB_DIR/group" >>/etc/group
}

give_machine_back() {
    [[ -e $VP_LAB_DIR/borrowed ]] || return 0
    local i own
    for ((i = 0; i < ${#LIBVIRT_FOLDERS[@]}; i += 2)); do
        own=${LIBVIRT_FOLDERS[i]}
        if [[ -L $own && -d $own.vp-lab-saved ]]; then
            rm "$own"
            mv "$own.vp-lab-saved" "$own"
        fi
    done
    sed -i "/^$VP_LAB_USER:/d" /etc/passwd
    sed -i "/^$VP_LAB_GROUP:/d" /etc/group
    rm "$VP_LAB_DIR/borrowed"
}

# make_namespace [HOSTNAME]
make_namespace() {
    local uts=()
    if ! unshare --mount true 2>/dev/null; then
        borrow_machine
        return
    fi
    [[ -z ${1:-} ]] || uts=(--uts)
    setsid unshare --mount "${uts[@]}" --propagation private \
        "$LAB_FOLDER/lab" _hold "${1:-}" <&- >"$VP_LAB_DIR/log/holder.log" 2>&1 &
    wait_for 10 holder_is_up || die "no namespace, see $VP_LAB_DIR/log/holder.log"
}

in_lab() {
    [[ -e $VP_LAB_DIR/borrowed ]] || grep -qsF " vp-lab:$VP_LAB_DIR " /proc/self/mountinfo
}

# in_namespace COMMAND...: replaces this process by the command, run in the lab.
in_namespace() {
    if in_lab; then
        exec "$@"
    fi
    holder_is_up || die "no lab in $VP_LAB_DIR: lab up first"
    local pid
    pid=$(cat "$VP_LAB_DIR/run/holder.pid")
    # shellcheck disable=SC2016
    exec nsenter --mount="/proc/$pid/ns/mnt" --uts="/proc/$pid/ns/uts" --root="/proc/$pid/root" \
        --wd="/proc/$pid/root" \
        bash -c 'cd "$1" && shift && exec "$@"' in-lab "$PWD" "$@"
}

# as_user COMMAND...: replaces this process by the command, run as the lab's user.
# Of the environment it gets only what is about virt-pivot and sanitizers.
as_user() {
    local keep=() setting
    while IFS= read -r -d '' setting; do
        [[ ! $setting =~ ^(VIRT_PIVOT_|VP_LAB_|GCOV_|LLVM_PROFILE_FILE=|[A-Z]*SAN_OPTIONS=) ]] ||
            keep+=("$setting")
    done < <(env -0)
    cd "$VP_LAB_HOME" || die "no $VP_LAB_HOME"
    exec env -i PATH="$PATH" HOME="$VP_LAB_HOME" USER="$VP_LAB_USER" LC_ALL=C.UTF-8 \
        TERM="${TERM:-dumb}" "${keep[@]}" \
        setpriv --reuid="$VP_LAB_UID" --regid="$VP_LAB_UID" --clear-groups --no-new-privs \
        --inh-caps=-all -- "$@"
}

# What is left of the lab's processes, in the namespace only; not our own ancestors.
end_namespace() {
    local process pid ancestors=" " ancestor=$$
    while ((ancestor > 1)); do
        ancestors+="$ancestor "
        ancestor=$(awk '/^PPid:/ { print $2 }' "/proc/$ancestor/status")
    done
    for process in /proc/[0-9]*/mountinfo; do
        pid=${process//[^0-9]/}
        if [[ $ancestors != *" $pid "* ]] &&
            grep -qsF " vp-lab:$VP_LAB_DIR " "$process"; then
            end_process "$pid" 5 &
        fi
    done
    wait
}
