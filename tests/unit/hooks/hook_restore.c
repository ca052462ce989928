#include "hooks/hook_fixture.h"

#define FILE_A FILE_DISK("vda", "/images/a.qcow2", "qcow2")
#define RBD_B RBD_DISK("vda", "vms/b")
#define RBD_C RBD_DISK("vda", "fast/c")
#define LIMIT(text)                                                                                \
    "      <iotune>\n        <total_iops_sec>" text "</total_iops_sec>\n      </iotune>\n"
#define LIMITED(type, format, source, limit)                                                       \
    "    <disk type='" type "' device='disk'>\n      <driver name='qemu' type='" format "'/>\n"    \
    "      " source "\n      <target dev='vda' bus='virtio'/>\n" LIMIT(limit) "    </disk>\n"
#define LIMITED_A(limit) LIMITED("file", "qcow2", "<source file='/images/a.qcow2'/>", limit)
#define LIMITED_C(limit)                                                                           \
    LIMITED("network", "raw",                                                                      \
            "<source protocol='rbd' name='fast/c'><host name='10.1.0.1' port='3300'/></source>",   \
            limit)

static void give_row(struct desk *desk, const char *uuid, const char *old_disk,
                     const char *new_disk, bool retired)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(desk->state, JOURNAL_WRITE, &journal, why));
    const struct move_record move = {
        .uuid = (char *)uuid,
        .domain = (char *)"db1",
        .uri = (char *)"qemu:///system",
        .plan = (char *)"{\"disks\":[]}",
        .live = (char *)"<domain/>",
    };
    const struct ledger_row row = {
        .target = (char *)"vda",
        .old_source = (char *)"the old disk",
        .new_source = (char *)(new_disk ? "the new disk" : NULL),
        .old_disk = (char *)old_disk,
        .new_disk = (char *)new_disk,
        .retired = retired,
    };
    int64_t id = 0;
    OK(journal_create(journal, &move, &id, why));
    OK(journal_ledger_add(journal, id, &row, why));
}

static void moved(struct desk *desk, const char *from, const char *to)
{
    give_row(desk, UUID, from, to, false);
}

static char *restore(struct desk *desk, const char *devices)
{
    AUTO_FREE char *xml = guest("", devices);
    give_input(desk, xml);
    char *answer = NULL;
    OK(hook_restore(&desk->settings, "db1", &answer, why));
    return answer;
}

static void assert_passes(struct desk *desk, const char *devices)
{
    AUTO_FREE char *answer = restore(desk, devices);
    if (answer)
        fail_msg("it is rewritten:\n%s", answer);
}

/* The disk of this target names this image afterwards. */
static void assert_redirected(struct desk *desk, const char *devices, const char *target,
                              const char *name)
{
    AUTO_FREE char *answer = restore(desk, devices);
    assert_non_null(answer);
    CLEANUP(domain_freep) struct domain *domain = domain_of(answer);
    const struct disk *disk = domain_disk(domain, target);
    assert_non_null(disk);
    assert_int_equal(disk->source.type, SOURCE_NETWORK);
    assert_string_equal(disk->source.name, name);
}

static void assert_refused(struct desk *desk, const char *devices, const char *message)
{
    AUTO_FREE char *xml = guest("", devices);
    give_input(desk, xml);
    AUTO_FREE char *answer = NULL;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(hook_restore(&desk->settings, "db1", &answer, &error), -1);
    assert_null(answer);
    assert_contains(error.message, message);
}

static void test_nothing_was_ever_moved(void **state)
{
    assert_passes(*state, FILE_A);
}

static void test_one_move(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    AUTO_FREE char *xml = guest("", FILE_A);
    AUTO_FREE char *answer = restore(desk, FILE_A);
    CLEANUP(domain_freep) struct domain *domain = domain_of(answer);
    const struct disk *disk = &domain->disks.items[0];
    assert_string_equal(disk->source.name, "fast/c");
    assert_string_equal(disk->source.hosts.items[0].name, "10.1.0.1");
    assert_string_equal(disk->source.auth_user, "libvirt");
    assert_string_equal(disk->format, "raw");
    assert_string_equal(disk->cache, "none");
    assert_string_equal(disk->discard, "unmap");
    const char *behind = strstr(xml, "</disk>");
    assert_string_equal(strstr(answer, "</disk>"), behind);
}

/* By a move of the domain while its state was saved, to a tier whose limits are QEMU's. */
static void test_limits_come_along(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, LIMITED_C("700"));
    AUTO_FREE char *answer = restore(desk, FILE_A);
    assert_contains(answer, "      <target dev='vda' bus='virtio'/>\n" LIMIT("700"));
    CLEANUP(domain_freep) struct domain *domain = domain_of(answer);
    assert_true(domain->disks.items[0].has_iotune);
}

static void test_limits_of_its_own_stay(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, LIMITED_C("700"));
    AUTO_FREE char *answer = restore(desk, LIMITED_A("30"));
    assert_contains(answer, "name='fast/c'");
    assert_contains(answer, LIMIT("30"));
    assert_null(strstr(answer, "700"));
}

static void test_two_moves(void **state)
{
    moved(*state, FILE_A, RBD_B);
    moved(*state, RBD_B, RBD_C);
    assert_redirected(*state, FILE_A, "vda", "fast/c");
    assert_redirected(*state, RBD_B, "vda", "fast/c");
    assert_passes(*state, RBD_C);
}

static void test_there_and_back(void **state)
{
    moved(*state, RBD_B, RBD_C);
    moved(*state, RBD_C, RBD_B);
    assert_passes(*state, RBD_B);
    assert_redirected(*state, RBD_C, "vda", "vms/b");
}

/* Rows are followed in the order of the moves, so a circle has an end. */
static void test_round_and_round(void **state)
{
    for (int i = 0; i < 3; i++) {
        moved(*state, RBD_B, RBD_C);
        moved(*state, RBD_C, RBD_B);
    }
    moved(*state, RBD_B, RBD_C);
    assert_redirected(*state, RBD_B, "vda", "fast/c");
    assert_passes(*state, RBD_C);
}

static void test_the_target_may_have_changed(void **state)
{
    moved(*state, FILE_A, RBD_C);
    assert_redirected(*state, FILE_DISK("sdb", "/images/a.qcow2", "qcow2"), "sdb", "fast/c");
}

static void test_unknown_disks_pass(void **state)
{
    moved(*state, FILE_A, RBD_C);
    assert_passes(*state, FILE_DISK("vda", "/images/other.qcow2", "qcow2"));
    assert_passes(*state, "<disk type='file' device='cdrom'><target dev='sda'/></disk>");
    assert_passes(*state, "");
}

static void test_only_what_moved_is_touched(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    AUTO_FREE char *answer = restore(desk, FILE_DISK("vdb", "/images/other.qcow2", "qcow2") FILE_A);
    assert_contains(answer, FILE_DISK("vdb", "/images/other.qcow2", "qcow2"));
    assert_contains(answer, "name='fast/c'");
}

static void test_other_domains_do_not_count(void **state)
{
    give_row(*state, OTHER_UUID, FILE_A, RBD_C, false);
    assert_passes(*state, FILE_A);
}

static void test_a_retired_source_is_followed(void **state)
{
    give_row(*state, UUID, FILE_A, RBD_C, true);
    assert_redirected(*state, FILE_A, "vda", "fast/c");
}

static void test_a_retired_source_without_successor_refuses(void **state)
{
    struct desk *desk = *state;
    give_row(desk, UUID, FILE_A, NULL, true);
    assert_refused(desk, FILE_A, "disk vda is on the old disk, which was given up");
    assert_passes(desk, RBD_C);
    give_policy(desk, "on_error: pass\n"); /* it is known to be wrong, so this does not help */
    assert_refused(desk, FILE_A, "given up");
}

static void test_a_successor_that_was_retired_refuses(void **state)
{
    moved(*state, FILE_A, RBD_B);
    give_row(*state, UUID, RBD_B, NULL, true);
    assert_refused(*state, FILE_A, "given up");
}

static void test_nobody_knows_but_it_is_still_there(void **state)
{
    give_row(*state, UUID, FILE_A, NULL, false);
    assert_passes(*state, FILE_A);
}

static void test_a_successor_that_is_not_rbd_refuses(void **state)
{
    struct desk *desk = *state;
    moved(desk, RBD_B, FILE_A);
    give_policy(desk, "on_error: pass\n");
    assert_refused(desk, RBD_B, "is on /images/a.qcow2 now");
    assert_passes(desk, FILE_A);
}

static void test_a_successor_that_is_a_container_refuses(void **state)
{
    struct desk *desk = *state;
    moved(desk, RBD_B,
          "<disk type='network' device='disk'><driver name='qemu' type='qcow2'/>"
          "<source protocol='rbd' name='vms/box'><host name='10.1.0.1' port='3300'/></source>"
          "<target dev='vda' bus='virtio'/></disk>");
    give_policy(desk, "on_error: pass\n");
    assert_refused(desk, RBD_B, "is on rbd:vms/box now, which is qcow2 within");
}

static void test_a_disk_that_cannot_be_rewritten_refuses(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    give_policy(desk, "on_error: pass\n");
    assert_refused(desk,
                   "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                   "<source file='/images/a.qcow2'><encryption format='luks'>"
                   "<secret type='passphrase' uuid='" OTHER_UUID "'/></encryption></source>"
                   "<target dev='vda' bus='virtio'/></disk>",
                   "encrypt");
}

/* ---- what is wrong with us ---- */

static void test_a_broken_journal(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *path = text_format("%s/journal.db", desk->state);
    write_file(path, "this is no database, however long one looks at it", 0600);
    assert_refused(desk, FILE_A, "journal");
    give_policy(desk, "on_error: pass\n");
    assert_passes(desk, FILE_A);
}

static void test_a_broken_row(void **state)
{
    struct desk *desk = *state;
    moved(desk, "<disk", RBD_C);
    assert_refused(desk, FILE_A, "the ledger");
    give_policy(desk, "on_error: pass\n");
    assert_passes(desk, FILE_A);
}

static void test_garbage_is_refused(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    give_input(desk, "garbage");
    AUTO_FREE char *answer = NULL;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(hook_restore(&desk->settings, "db1", &answer, &error), -1);
    assert_contains(error.message, "domain XML");
}

static void test_the_policy_is_off_for_restores(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    give_policy(desk, "triggers: {on_restore: false}\n");
    assert_passes(desk, FILE_A);
}

/* The ledger is right, whatever the policy says or does not. */
static void test_a_broken_policy_changes_nothing(void **state)
{
    struct desk *desk = *state;
    moved(desk, FILE_A, RBD_C);
    give_policy(desk, "nonsense: true\n");
    assert_redirected(desk, FILE_A, "vda", "fast/c");
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(test_nothing_was_ever_moved),
        WITH_DESK(test_one_move),
        WITH_DESK(test_limits_come_along),
        WITH_DESK(test_limits_of_its_own_stay),
        WITH_DESK(test_two_moves),
        WITH_DESK(test_there_and_back),
        WITH_DESK(test_round_and_round),
        WITH_DESK(test_the_target_may_have_changed),
        WITH_DESK(test_unknown_disks_pass),
        WITH_DESK(test_only_what_moved_is_touched),
        WITH_DESK(test_other_domains_do_not_count),
        WITH_DESK(test_a_retired_source_is_followed),
        WITH_DESK(test_a_retired_source_without_successor_refuses),
        WITH_DESK(test_a_successor_that_was_retired_refuses),
        WITH_DESK(test_nobody_knows_but_it_is_still_there),
        WITH_DESK(test_a_successor_that_is_not_rbd_refuses),
        WITH_DESK(test_a_successor_that_is_a_container_refuses),
        WITH_DESK(test_a_disk_that_cannot_be_rewritten_refuses),
        WITH_DESK(test_a_broken_journal),
        WITH_DESK(test_a_broken_row),
        WITH_DESK(test_garbage_is_refused),
        WITH_DESK(test_the_policy_is_off_for_restores),
        WITH_DESK(test_a_broken_policy_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
