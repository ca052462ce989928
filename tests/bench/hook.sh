#!/bin/bash
# How long libvirt waits for the hook, on a domain with 32 disks, beside a hook in Python that only
# copies stdin to stdout. Interleaved, in one run; medians in milliseconds, and how many times faster
# than Python. For people to read: it passes no judgement.
# usage: tests/bench/hook.sh [ROUNDS]    (100 if not given; uses build or VP_BUILD)
set -euo pipefail
folder=$(dirname "$(realpath "$0")")
build=${VP_BUILD:-$(realpath "$folder/../..")/build}
hook=$build/hooks/virt-pivot-hook
scene=$build/tests/unit/hooks/hook_scene
# The distribution's, as a hook would use it; or else the interpreter itself, for a wrapper in front of
# it would be measured too.
python=/usr/bin/python3
[[ -x $python ]] || python=$(python3 -c 'import sys; print(sys.executable)')
rounds=${1:-100}
uuid=c7a5fdbd-cdaf-9455-926a-d65c16db1809
for program in "$hook" "$scene"; do
    [[ -x $program ]] || { echo "$program is not built" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export VIRT_PIVOT_POLICY=$work/policy.yaml VIRT_PIVOT_STATE=$work/state

source_of() { # N: the <source> of a disk before it moved
    echo "<source file='/var/lib/libvirt/images/db1-$1.qcow2'/>"
}

target_of() { # N: and after
    echo "<source protocol='rbd' name='fast/db1-$1'><host name='192.0.2.11' port='3300'/>" \
        "<auth username='libvirt'><secret type='ceph' uuid='$uuid'/></auth></source>"
}

disk() { # TYPE FORMAT SOURCE N
    cat <<XML
    <disk type='$1' device='disk'>
      <driver name='qemu' type='$2' cache='none' discard='unmap'/>
      $3
      <target dev='vd$4' bus='virtio'/>
      <serial>serial-of-disk-$4</serial>
      <alias name='virtio-disk$4'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
XML
}

names=({a..z} a{a..f})
{
    echo "<domain type='kvm' id='7'><name>db1</name><uuid>$uuid</uuid>"
    echo "  <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
    for name in "${names[@]}"; do
        disk file qcow2 "$(source_of "$name")" "$name"
    done
    echo "  </devices></domain>"
} >"$work/domain.xml"
cat >"$VIRT_PIVOT_POLICY" <<EOF
version: 1
clusters: {flash: {mons: ["192.0.2.11"], user: libvirt, secret: $uuid}}
tiers: {gold: {pool: flash/fast}}
rules:
  - {name: databases, match: {cluster: flash, pool: "vms*", domain: "db-*"}, tier: gold}
  - {name: local files, match: {type: [file, block], path: "/srv/**", min_size: 1GiB}, tier: gold}
EOF
mkdir "$VIRT_PIVOT_STATE"
for name in "${names[@]}"; do
    "$scene" "$VIRT_PIVOT_STATE" ledger "$uuid" "$(disk file qcow2 "$(source_of "$name")" "$name")" \
        "$(disk network raw "$(target_of "$name")" "$name")"
done

# microseconds COMMAND...: of one run on the domain
microseconds() {
    local begin=$EPOCHREALTIME end
    "$@" <"$work/domain.xml" >"$work/out" 2>"$work/err"
    end=$EPOCHREALTIME
    echo $((${end/./} - ${begin/./}))
}

python() { "$python" "$folder/copier.py"; }
python_bare() { "$python" -I -S "$folder/copier.py"; }
other() { "$hook" db1 started begin -; }
pass() { "$hook" db1 migrate begin -; }
rewrite() { "$hook" db1 restore begin -; }

# What is measured does what it should.
pass <"$work/domain.xml" >"$work/out"
[[ ! -s $work/out ]] || { echo "migrate did not pass the domain" >&2; exit 1; }
rewrite <"$work/domain.xml" >"$work/out"
(($(grep -c "name='fast/db1-" "$work/out") == 32)) || { echo "restore did not rewrite it" >&2; exit 1; }

subjects=(python python_bare other pass rewrite)
for ((i = 0; i < rounds; i++)); do
    for subject in "${subjects[@]}"; do
        microseconds "$subject" >>"$work/times.$subject"
    done
done

median() { # by rank: of an even number, the lower of the two in the middle
    sort -n "$work/times.$1" | sed -n "$(((rounds + 1) / 2))p"
}

base=$(median python)
report() { # SUBJECT TEXT
    awk -v us="$(median "$1")" -v base="$base" -v text="$2" \
        'BEGIN { printf "%-44s %7.2f ms  %5.1f x\n", text, us / 1000, base / us }'
}
"$python" --version
echo "32 disks, $(wc -c <"$work/domain.xml") bytes of XML, median of $rounds rounds"
report python "Python, copying stdin to stdout"
report python_bare "the same with -I -S: no site, no environment"
report other "virt-pivot-hook, started"
report pass "virt-pivot-hook, migrate: passes"
report rewrite "virt-pivot-hook, restore: 32 disks rewritten"
