# The disks of helper/blocks on real clusters.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

blocks_test() {
    local test osd
    test=$(find "$VP_BUILD" -name blocks_test -type f -perm -u+x | head -n 1)
    [[ -n $test ]] || skip "blocks_test is not built"
    osd=$(cat "$(cluster_folder flash)/run/osd.0.pid")
    VP_LAB_KILLS=6 VP_LAB_USER=libvirt VP_LAB_POOL=bulk \
        VP_LAB_MONS="127.0.0.1:$VP_LAB_PORT_flash" VP_LAB_KEYRING=$VP_LAB_KEYRING_flash \
        VP_LAB_CONF=$VP_LAB_CONF_flash VP_LAB_OSD_PID=$osd \
        VP_LAB_OTHER_MONS="127.0.0.1:$VP_LAB_PORT_old" VP_LAB_OTHER_POOL=vms \
        VP_LAB_OTHER_KEYRING=$VP_LAB_KEYRING_old "$test" "$@"
}

test_blocks_of_images() {
    blocks_test images
}

# Alone: dead clients are forgotten after 3 s meanwhile, also those that only had to wait.
test_alone_blocks_copied() {
    blocks_test copy
}

# Alone: it stops the target's OSD for longer than clients wait for it.
test_alone_blocks_of_a_cluster_that_hangs() {
    blocks_test faults
}
