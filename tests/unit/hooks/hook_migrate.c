#include "hooks/hook_fixture.h"

#include "queue/queue.h"

#define SAYS_YES "echo yes >\"$0.ran\"; exit 0"

/* What becomes of it: the XML, or NULL when it passes. */
static char *migrate(struct desk *desk, const char *xml)
{
    give_input(desk, xml);
    char *answer = NULL;
    OK(hook_migrate(&desk->settings, "db1", &answer, why));
    return answer;
}

static void assert_passes(struct desk *desk, const char *xml)
{
    AUTO_FREE char *answer = migrate(desk, xml);
    if (answer)
        fail_msg("it is rewritten:\n%s", answer);
}

static void assert_refused(struct desk *desk, const char *xml, const char *message)
{
    give_input(desk, xml);
    AUTO_FREE char *answer = NULL;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(hook_migrate(&desk->settings, "db1", &answer, &error), -1);
    assert_null(answer);
    assert_contains(error.message, message);
}

static void assert_helper_ran(const struct desk *desk, bool expected)
{
    AUTO_FREE char *ran = helper_file(desk, "ran");
    assert_int_equal(ran != NULL, expected);
}

/* A guest with one local disk whose size is known. */
static char *plain_guest(void)
{
    return guest(SIZE("vda", "1073741824", "yes"), FILE_DISK("vda", "/nonexistent/db1.img", "raw"));
}

static void test_a_local_disk_is_rewritten(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = plain_guest();
    AUTO_FREE char *answer = migrate(desk, xml);
    assert_non_null(answer);
    assert_helper_ran(desk, true);
    CLEANUP(domain_freep) struct domain *domain = domain_of(answer);
    const struct disk *disk = &domain->disks.items[0];
    assert_int_equal(disk->source.type, SOURCE_NETWORK);
    assert_string_equal(disk->source.name, "fast/db1-vda");
    assert_string_equal(disk->source.secret_uuid, "2d51d16c-b0ef-4a9f-8938-de099f017a62");
    assert_string_equal(disk->cache, "none");
    assert_string_equal(disk->discard, "unmap");
    /* Before and behind the disk, not a byte is different. */
    const char *begin = strstr(xml, "<disk type"), *end = strstr(xml, "</disk>");
    assert_memory_equal(answer, xml, (size_t)(begin - xml));
    assert_true(strlen(answer) > strlen(end));
    assert_string_equal(answer + strlen(answer) - strlen(end), end);
}

static void test_a_disk_that_is_there_passes(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = guest("", RBD_DISK("vda", "fast/db1-vda"));
    assert_passes(desk, xml);
    assert_helper_ran(desk, false);
}

static void test_nothing_matches(void **state)
{
    struct desk *desk = *state;
    give_helper(desk, SAYS_YES);
    write_file(desk->policy, "version: 1\n", 0600);
    AUTO_FREE char *xml = plain_guest();
    assert_passes(desk, xml);
    assert_helper_ran(desk, false);
}

static void test_there_is_no_policy(void **state)
{
    AUTO_FREE char *xml = plain_guest();
    assert_passes(*state, xml);
    assert_passes(*state, "garbage"); /* it is not even looked at */
}

static void test_a_broken_policy_refuses(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "nonsense: true\n");
    AUTO_FREE char *xml = plain_guest();
    assert_refused(desk, xml, "policy.yaml:5:1");
}

static void test_the_policy_is_off_for_migrations(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "triggers: {on_migrate: false}\n");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = plain_guest();
    assert_passes(desk, xml);
    assert_passes(desk, "garbage");
    assert_helper_ran(desk, false);
}

static void test_an_unknown_size_refuses(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = guest("", FILE_DISK("vda", "/nonexistent/db1.img", "raw"));
    assert_refused(desk, xml, "disk vda: its size is not known");
    assert_helper_ran(desk, false);
}

static void test_all_disks_or_none(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = guest(SIZE("vda", "1073741824", "yes"),
                                FILE_DISK("vda", "/nonexistent/db1.img", "raw")
                                    FILE_DISK("vdb", "/nonexistent/db2.img", "raw"));
    assert_refused(desk, xml, "disk vdb: its size is not known");
    assert_helper_ran(desk, false);
}

static void test_garbage_is_refused(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    assert_refused(desk, "", "empty");
    assert_refused(desk, "garbage", "domain XML");
    assert_refused(desk, "<domain><name>db1</name>", "domain XML");
}

static void test_the_helper_fails(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, "echo 'virt-pivot: error: pool fast is full' >&2; exit 1");
    AUTO_FREE char *xml = plain_guest();
    assert_refused(desk, xml, "pool fast is full");
}

static void test_on_error_pass(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "on_error: pass\n");
    give_helper(desk, "exit 1");
    AUTO_FREE char *xml = plain_guest();
    assert_passes(desk, xml);
    AUTO_FREE char *unknown = guest("", FILE_DISK("vda", "/nonexistent/db1.img", "raw"));
    assert_passes(desk, unknown);
    assert_passes(desk, "garbage");
    desk->settings.helper_seconds = 1;
    give_helper(desk, "sleep 600");
    assert_passes(desk, xml);
}

/* ---- networks ---- */

#define INTERFACES                                                                                 \
    "    <interface type='bridge'>\n"                                                              \
    "      <mac address='52:54:00:00:00:01'/>\n"                                                   \
    "      <source bridge='br0'/>\n"                                                               \
    "      <model type='virtio'/>\n"                                                               \
    "    </interface>\n"                                                                           \
    "    <interface type='network'>\n"                                                             \
    "      <mac address='52:54:00:00:00:02'/>\n"                                                   \
    "      <source network='%s'/>\n"                                                               \
    "    </interface>\n"

static void test_networks_are_mapped(void **state)
{
    struct desk *desk = *state;
    write_file(desk->policy, "version: 1\nnetworks: {br0: br-prod, lan: wan}\n", 0600);
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *devices = text_format(INTERFACES, "lan");
    AUTO_FREE char *xml = guest("", devices);
    AUTO_FREE char *answer = migrate(desk, xml);
    assert_contains(answer, "<source bridge='br-prod'/>");
    assert_contains(answer, "<source network='wan'/>");
    assert_int_equal(strlen(answer), strlen(xml) + strlen("br-prod") - strlen("br0"));
    assert_helper_ran(desk, true); /* the definition has to follow */
}

static void test_other_networks_are_not(void **state)
{
    struct desk *desk = *state;
    write_file(desk->policy, "version: 1\nnetworks: {br1: br-prod, dmz: wan}\n", 0600);
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *devices = text_format(INTERFACES, "lan");
    AUTO_FREE char *xml = guest("", devices);
    assert_passes(desk, xml);
    assert_helper_ran(desk, false);
}

static void test_networks_and_disks(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "networks: {br0: br-prod}\n");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *devices =
        text_format("%s" INTERFACES, FILE_DISK("vda", "/nonexistent/db1.img", "raw"), "lan");
    AUTO_FREE char *xml = guest(SIZE("vda", "1073741824", "yes"), devices);
    AUTO_FREE char *answer = migrate(desk, xml);
    assert_contains(answer, "<source bridge='br-prod'/>");
    assert_contains(answer, "name='fast/db1-vda'");
}

/* ---- later ---- */

static size_t take_queue(const struct desk *desk, struct requests *requests)
{
    size_t bad = 0;
    OK(queue_take(desk->state, requests, &bad, why));
    assert_int_equal(bad, 0);
    return requests->count;
}

/* A network disk may be in reach of both hosts: libvirt may not copy it. */
#define NBD_DISK                                                                                   \
    "    <disk type='network' device='disk'>\n"                                                    \
    "      <driver name='qemu' type='raw'/>\n"                                                     \
    "      <source protocol='nbd' name='x'><host name='10.0.0.9' port='10809'/></source>\n"        \
    "      <target dev='vdb' bus='virtio'/>\n"                                                     \
    "    </disk>\n"

static void test_what_may_be_shared_is_moved_later(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = guest("", NBD_DISK);
    assert_passes(desk, xml);
    assert_helper_ran(desk, false);
    CLEANUP(requests_clear) struct requests requests = {0};
    assert_int_equal(take_queue(desk, &requests), 1);
    const struct request *request = &requests.items[0];
    assert_string_equal(request->uuid, UUID);
    assert_string_equal(request->domain, "db1");
    assert_string_equal(request->reason, "migrate");
    assert_null(request->tier);
    assert_int_equal(request->targets.count, 1);
    assert_string_equal(request->targets.items[0], "vdb");
}

#define LABEL(tier) "<p:pivot xmlns:p='urn:virt-pivot:1'><p:tier>" tier "</p:tier></p:pivot>"

static void assert_tier_asked_for(struct desk *desk, const char *label, const char *tier)
{
    AUTO_FREE char *plain = guest("", NBD_DISK);
    const char *place = strstr(plain, "<metadata>") + strlen("<metadata>");
    AUTO_FREE char *xml = text_format("%.*s%s%s", (int)(place - plain), plain, label, place);
    assert_passes(desk, xml);
    CLEANUP(requests_clear) struct requests requests = {0};
    assert_int_equal(take_queue(desk, &requests), 1);
    assert_true(text_equal(requests.items[0].tier, tier));
    OK(queue_done(desk->state, requests.items[0].file, why));
}

/* Or the rules of this host would take the disks back from where the label has them. */
static void test_a_label_stays_above_the_rules(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    assert_tier_asked_for(desk, LABEL("gold"), "gold");
    assert_tier_asked_for(desk, LABEL("unheard-of"), NULL);
    assert_tier_asked_for(desk, LABEL(""), NULL);
}

static void assert_later(struct desk *desk, const char *xml)
{
    assert_passes(desk, xml);
    assert_helper_ran(desk, false);
    CLEANUP(requests_clear) struct requests requests = {0};
    assert_int_equal(take_queue(desk, &requests), 1);
    assert_string_equal(requests.items[0].targets.items[0], "vda");
}

/* On NFS at its source, say, and libvirt does not copy it. */
static void test_what_is_not_said_to_be_local_is_moved_later(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml =
        guest(SIZE("vda", "1073741824", "no"), FILE_DISK("vda", "/nonexistent/db1.img", "raw"));
    assert_later(desk, xml);
}

/* virsh migrate --offline copies nothing. */
static void test_a_guest_that_is_off_is_moved_later(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    assert_later(desk, "<domain type='kvm'><name>db1</name><uuid>" UUID "</uuid><devices>"
                       "<disk type='file' device='disk'><source file='/nonexistent/db1.img'/>"
                       "<target dev='vda' bus='virtio'/></disk></devices></domain>");
}

static void test_some_now_some_later(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, SAYS_YES);
    AUTO_FREE char *xml = guest(SIZE("vda", "1073741824", "yes"),
                                FILE_DISK("vda", "/nonexistent/db1.img", "raw") NBD_DISK);
    AUTO_FREE char *answer = migrate(desk, xml);
    assert_contains(answer, "name='fast/db1-vda'");
    assert_contains(answer, "protocol='nbd'");
    CLEANUP(requests_clear) struct requests requests = {0};
    assert_int_equal(take_queue(desk, &requests), 1);
}

/* A refused migration is tried again by the operator: nothing is asked for meanwhile. */
static void test_nothing_is_queued_when_refused(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    give_helper(desk, "exit 1");
    AUTO_FREE char *xml = guest(SIZE("vda", "1073741824", "yes"),
                                FILE_DISK("vda", "/nonexistent/db1.img", "raw") NBD_DISK);
    assert_refused(desk, xml, "status 1");
    CLEANUP(requests_clear) struct requests requests = {0};
    assert_int_equal(take_queue(desk, &requests), 0);
}

static void test_a_queue_that_fails_stops_nothing(void **state)
{
    struct desk *desk = *state;
    give_policy(desk, "");
    desk->settings.state = "/dev/null/nowhere";
    AUTO_FREE char *xml = guest("", NBD_DISK);
    assert_passes(desk, xml);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(test_a_local_disk_is_rewritten),
        WITH_DESK(test_a_disk_that_is_there_passes),
        WITH_DESK(test_nothing_matches),
        WITH_DESK(test_there_is_no_policy),
        WITH_DESK(test_a_broken_policy_refuses),
        WITH_DESK(test_the_policy_is_off_for_migrations),
        WITH_DESK(test_an_unknown_size_refuses),
        WITH_DESK(test_all_disks_or_none),
        WITH_DESK(test_garbage_is_refused),
        WITH_DESK(test_the_helper_fails),
        WITH_DESK(test_on_error_pass),
        WITH_DESK(test_networks_are_mapped),
        WITH_DESK(test_other_networks_are_not),
        WITH_DESK(test_networks_and_disks),
        WITH_DESK(test_what_may_be_shared_is_moved_later),
        WITH_DESK(test_a_label_stays_above_the_rules),
        WITH_DESK(test_what_is_not_said_to_be_local_is_moved_later),
        WITH_DESK(test_a_guest_that_is_off_is_moved_later),
        WITH_DESK(test_some_now_some_later),
        WITH_DESK(test_nothing_is_queued_when_refused),
        WITH_DESK(test_a_queue_that_fails_stops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
