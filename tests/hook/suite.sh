#!/bin/bash
# Every domain XML of libvirt's own test suite through the hook: unchanged where no rule matches;
# where one does, different in the rewritten disks alone, and valid for libvirt's schema if it was.
# The suite comes from the distribution's source package, and is kept in a cache.
# usage: tests/hook/suite.sh BUILD [XML-FOLDER]
# environment: VP_CACHE    folder of the cache (default ~/.cache/virt-pivot)
# Exit status 77: skipped, the reason is said.
set -euo pipefail
folder=$(dirname "$(realpath "$0")")
build=$(realpath "${1:?usage: suite.sh BUILD [XML-FOLDER]}")
cache=${VP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/virt-pivot}

skip() {
    echo "skipped: $*" >&2
    exit 77
}

# apt FOLDER ARGUMENT...: apt-get on the sources of what this system has its packages from. Nothing of
# the system's own lists is touched.
apt() {
    local at=$1
    shift
    apt-get -q -o Dir::Etc::SourceList="$at/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$at/lists" -o Dir::Cache="$at/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Debug::NoLocking=1 "$@"
}

write_sources() {
    local key signed=
    for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [[ ! -r $key ]] || signed="[signed-by=$key] "
    done
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' |
        awk -v signed="$signed" '$1 == "Debian" && $4 == "main" { print "deb-src " signed $2, $3, $4 }' |
        sort -u
}

# Makes $cache/libvirt-tests, whole or not at all.
fetch() {
    local work tarball
    command -v apt-get >/dev/null || skip "no apt-get to fetch libvirt's source with"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch-XXXXXX")
    # shellcheck disable=SC2064 # this folder, now
    trap "rm -rf '$work'" EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/tests"
    write_sources >"$work/sources.list" 2>"$work/log" || true
    [[ -s $work/sources.list ]] || skip "apt knows no Debian archive (apt-get update?)"
    apt "$work" update >"$work/log" 2>&1 ||
        skip "the package archive does not answer: $(grep -m 1 -E '^(E|Err|W):' "$work/log" || true)"
    (cd "$work" && apt "$work" source --download-only libvirt) >"$work/log" 2>&1 ||
        skip "libvirt's source cannot be fetched: $(grep -m 1 '^E:' "$work/log" || true)"
    tarball=$(find "$work" -maxdepth 1 -name 'libvirt_*.orig.tar.*' ! -name '*.asc')
    tar -C "$work/tests" --strip-components=2 --wildcards -xf "$tarball" '*/tests/*.xml' ||
        skip "libvirt's source cannot be unpacked"
    basename "$tarball" | sed -E 's/^libvirt_(.*)\.orig.*/\1/' >"$work/tests/VERSION"
    rm -rf "$cache/libvirt-tests"
    # Another run may have been as quick.
    mv -T "$work/tests" "$cache/libvirt-tests" || [[ -s $cache/libvirt-tests/VERSION ]]
}

for program in "$build/hooks/virt-pivot-hook" "$build/tests/unit/hooks/hook_scene"; do
    [[ -x $program ]] || { echo "$program is not built" >&2; exit 1; }
done
command -v xmllint >/dev/null || skip "no xmllint (libxml2-utils)"
schema=/usr/share/libvirt/schemas/domain.rng
[[ -r $schema ]] || skip "no $schema (libvirt0)"
suite=${2:-$cache/libvirt-tests}
[[ $# -gt 1 || -s $suite/VERSION ]] || fetch
[[ ! -s $suite/VERSION ]] || echo "libvirt $(<"$suite/VERSION")"
python3 "$folder/suite.py" "$build" "$suite" "$schema"
