#!/bin/bash
# Makes the kernel and the initramfs of the lab's guests.
# usage: build.sh FOLDER    writes FOLDER/vmlinuz and FOLDER/initrd.gz
set -euo pipefail
folder=$1
source_folder=$(dirname "$(realpath "$0")")

# The newest cloud kernel whose modules are there too.
find_kernel() {
    local kernel
    for kernel in $(printf '%s\n' /boot/vmlinuz-*cloud* /boot/vmlinuz-* | sort -Vr -u); do
        version=${kernel#/boot/vmlinuz-}
        if [[ -r $kernel && -d /lib/modules/$version ]]; then
            return
        fi
    done
    echo "no kernel with modules in /boot: install linux-image-cloud-amd64" >&2
    return 1
}

copy_module() {
    local file=$1 name
    name=$(basename "$file")
    case $file in
    *.ko) cp "$file" "$root/lib/$name" ;;
    *.ko.xz) xz -dc "$file" >"$root/lib/${name%.xz}" ;;
    *.ko.zst) zstd -dcq "$file" >"$root/lib/${name%.zst}" ;;
    esac
    echo "/lib/${name%%.ko*}.ko"
}

copy_modules() {
    local module file
    for module in virtio_pci virtio_blk evdev button; do
        modprobe -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r file; do
            copy_module "$file"
        done >"$root/modules.list"
}

find_kernel
root=$(mktemp -d "$folder/initramfs.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{dev,proc,sys,lib}
gcc -O2 -Wall -Wextra -static -o "$root/init" "$source_folder/init.c"
copy_modules
(cd "$root" && find . | cpio --quiet -o -H newc) | gzip -1 >"$folder/initrd.gz.new"
cp "/boot/vmlinuz-$version" "$folder/vmlinuz"
mv "$folder/initrd.gz.new" "$folder/initrd.gz"
