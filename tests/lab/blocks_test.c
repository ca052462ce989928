/* Disks on a real cluster, read, compared and copied. ceph_adapter_lab.h and blocks_lab.h tell the
 * environment that this needs.
 *
 * usage: blocks_test [images | copy | faults]...
 * Started again by itself, it is another client: see blocks_client.h.
 */
#include "blocks_client.h"
#include "blocks_lab.h"

static int run_groups(int count, char *names[])
{
    static const struct {
        const char *name;
        int (*run)(struct lab *lab);
    } groups[] = {
        {"images", blocks_image_tests},
        {"copy", blocks_copy_tests},
        {"faults", blocks_fault_tests},
    };
    struct lab lab;
    lab_open(&lab);
    int failures = 0;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        bool wanted = count == 0;
        for (int j = 0; j < count; j++)
            wanted |= strcmp(names[j], groups[i].name) == 0;
        if (wanted)
            failures += groups[i].run(&lab);
    }
    lab_close(&lab);
    return failures ? 1 : 0;
}

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "--copy") == 0)
        return blocks_client_copy(argc - 2, argv + 2);
    if (getenv("VP_LAB_TEST"))
        cmocka_set_test_filter(getenv("VP_LAB_TEST"));
    return run_groups(argc - 1, argv + 1);
}
