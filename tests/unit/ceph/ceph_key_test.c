#include "ceph/cephx_key.h"
#include "cmocka_compat.h"

#include <string.h>

static void keys(void **state UNUSED)
{
    /* of throw-away clusters; the last as Ceph 20 makes them (32 bytes, type 2) */
    assert_true(cephx_key_valid("AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMKm5A=="));
    assert_true(cephx_key_valid("AQBvZ2VkAAAAABAAXK0V1mH5m0pX7d1w1m1rJQ=="));
    assert_true(cephx_key_valid("AgBvZ2VkAAAAACAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="));
}

static void not_keys(void **state UNUSED)
{
    static const char *const texts[] = {
        "",
        "=",
        "====",
        "garbage",
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMKm5A", /* padding cut off */
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMKm5A=",
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMK=",     /* a byte short of its length */
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMKm5AAA", /* longer than it says */
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTMK!5A==",
        "AQCG2v9qORb9KRAAtWN4x4RjyBbK4uEOTM m5A==",
        "AQ==G2v9qORb9KRAAtWN4x4RjyBbK4uEOTMKm5A=",
        "AAAAAAAAAAAAAAAA", /* a secret of no bytes */
        "AQCG2v9qORb9KQ==", /* cut before its length */
        "c2VjcmV0IHBhc3N3b3Jk",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (cephx_key_valid(texts[i]))
            fail_msg("'%s' passes for a key", texts[i]);

    char endless[5000];
    memset(endless, 'A', sizeof(endless));
    endless[4096] = '\0';
    assert_false(cephx_key_valid(endless));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(not_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
