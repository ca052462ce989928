#!/bin/bash
# Installs what building and testing virt-pivot needs on Debian 12 and later; does
# nothing if all of it is there. Starts no service. For other systems, the list is
# the documentation.
# usage: install-deps.sh [--optional]    also what single tests skip without
set -euo pipefail

build=(
    gcc g++ libc6-dev clang clang-format clang-tidy libclang-rt-dev cmake ninja-build pkg-config
    libvirt-dev librbd-dev librados-dev libxml2-dev libyaml-dev libsqlite3-dev
    libjson-c-dev libsystemd-dev libnbd-dev libssl-dev libcmocka-dev
    libxml2-utils mandoc perl python3 shellcheck sqlite3 rpm rpmlint
)
lab=(
    libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils qemu-block-extra ovmf
    ceph-mon ceph-mgr ceph-osd ceph-common ceph-base
    linux-image-cloud-amd64 cpio kmod xz-utils zstd
    python3-rados python3-rbd python3-libvirt util-linux procps
)
optional=(swtpm swtpm-tools)

# find_missing PACKAGE...: sets `missing`.
find_missing() {
    local package state
    local -A installed=()
    while read -r package state; do
        [[ $state != installed ]] || installed[$package]=yes
    done < <(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
    for package; do
        [[ ${installed[$package]:-} ]] || missing+=("$package")
    done
}

# Older systems have some of them inside other packages.
keep_known() {
    local package known=()
    for package in "${missing[@]}"; do
        if [[ $(apt-cache policy "$package") =~ "Candidate: "[^\(] ]]; then
            known+=("$package")
        else
            echo "not a package of this system: $package" >&2
        fi
    done
    missing=("${known[@]}")
}

# Services that packages would start are kept from it: by the policy that Debian's
# containers have, made here only while apt-get runs, if there is none.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2064 # its value now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 0755 "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install --yes --no-install-recommends "$@"
}

main() {
    local wanted=("${build[@]}" "${lab[@]}") missing=()
    [[ ${1:-} != --optional ]] || wanted+=("${optional[@]}")
    find_missing "${wanted[@]}"
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        echo "missing: ${missing[*]}; run this as root" >&2
        return 1
    fi
    apt-get update
    keep_known
    ((${#missing[@]} > 0)) || return 0
    echo "installing: ${missing[*]}"
    install_packages "${missing[@]}"
}

main "$@"
