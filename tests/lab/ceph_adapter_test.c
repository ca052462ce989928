/* The Ceph adapter against a real cluster; ceph_adapter_lab.h tells the environment it needs.
 *
 * usage: ceph_adapter_test [connect | create | crash | image | migration | snapshot |
 *                           source | source-crash | trash]...
 * Started again by itself, it is another client:
 *   --hold POOL IMAGE     opens the image and writes to it until it is ended
 *   --make POOL TOKEN     makes an image by the adapter, to be killed meanwhile
 *   --unmake POOL TOKEN   removes one, likewise
 *   --trash POOL TOKEN    puts one into the trash, likewise
 *   --give-up trash|restore|remove POOL IMAGE ID   the same with one that is not ours
 *   --migrate prepare|abort|commit POOL TARGET-POOL ID   and with a migration
 */
#include "ceph_adapter_lab.h"

#include <signal.h>
#include <time.h>

#define BLOCK 4096

static struct ceph_cluster *connect_as_adapter(void)
{
    AUTO_ERROR struct error error = {0};
    const struct lab lab = {.mons = getenv("VP_LAB_MONS"),
                            .user = getenv("VP_LAB_USER") ? getenv("VP_LAB_USER") : "libvirt",
                            .keyring = getenv("VP_LAB_KEYRING")};
    const struct ceph_login login = lab_login(&lab);
    struct ceph_cluster *cluster = NULL;
    if (ceph_connect(&login, &cluster, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(2);
    }
    return cluster;
}

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

/* Whether SIGTERM came within a moment. */
static bool asked_to_end(const sigset_t *term)
{
    const struct timespec moment = {.tv_nsec = 2000000};
    return sigtimedwait(term, NULL, &moment) == SIGTERM;
}

/* A guest, so to say: it writes over the image again and again, until it is asked to end. */
static int hold(const char *pool, const char *image)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    AUTO_OPEN struct ceph_open open = {0};
    const struct ceph_image_name name = {.pool = pool, .image = image};
    if (ceph_image_open(cluster, &name, false, &open, &error) < 0)
        return 2;
    uint64_t size = 0;
    rbd_get_size(open.image, &size);
    char block[BLOCK];
    bool told = false;
    for (uint64_t at = 0;; at = at + MIB + BLOCK <= size ? at + MIB : 0) {
        memset(block, (int)(at / MIB) + 1, sizeof(block));
        if (rbd_write(open.image, at, sizeof(block), block) != BLOCK)
            return 3;
        if (!told)
            ready();
        told = true;
        if (asked_to_end(&term))
            return 0;
    }
}

static int make(const char *pool, const char *token)
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = {.name = {.pool = pool, .image = "made"},
                                         .size = 16 * MIB,
                                         .object_size = MIB,
                                         .token = token,
                                         .domain_name = "db1",
                                         .target = "vda",
                                         .source = "rbd:old/db1"};
    ready();
    return ceph_image_create(cluster, &spec, &error) == 0 ? 0 : 1;
}

static int unmake(const char *pool, const char *token)
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = {.pool = pool, .image = "made"};
    ready();
    return ceph_image_remove_owned(cluster, &name, token, 60, &error) == 0 ? 0 : 1;
}

static int trash(const char *pool, const char *token)
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *id = NULL;
    const struct ceph_image_name name = {.pool = pool, .image = "made"};
    ready();
    return ceph_image_trash_owned(cluster, &name, token, 60, &id, &error) == 0 ? 0 : 1;
}

static int give_up(char *arguments[])
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    const char *verb = arguments[0], *id = arguments[3];
    const struct ceph_image_name name = {.pool = arguments[1], .image = arguments[2]};
    ready();
    int result = strcmp(verb, "trash") == 0     ? ceph_image_trash(cluster, &name, id, 60, &error)
                 : strcmp(verb, "restore") == 0 ? ceph_image_restore(cluster, &name, id, &error)
                                                : ceph_image_remove(cluster, &name, id, &error);
    return result == 0 ? 0 : 1;
}

static int migrate(char *arguments[])
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connect_as_adapter();
    AUTO_ERROR struct error error = {0};
    const char *verb = arguments[0];
    const struct ceph_migration migration = {.source = {.pool = arguments[1], .image = "given"},
                                             .source_id = arguments[3],
                                             .target = {.pool = arguments[2], .image = "taken"},
                                             .token = "t-1"};
    const struct ceph_image_spec spec = {
        .name = migration.target, .size = 16 * MIB, .object_size = MIB, .token = "t-1"};
    ready();
    int result =
        strcmp(verb, "prepare") == 0 ? ceph_migration_prepare(cluster, &migration, &spec, &error)
        : strcmp(verb, "abort") == 0 ? ceph_migration_abort(cluster, &migration, 60, &error)
                                     : ceph_migration_commit(cluster, &migration, &error);
    return result == 0 ? 0 : 1;
}

static int run_groups(int count, char *names[])
{
    static const struct {
        const char *name;
        int (*run)(struct lab *lab);
    } groups[] = {
        {"connect", ceph_adapter_connect_tests},
        {"create", ceph_adapter_create_tests},
        {"crash", ceph_adapter_crash_tests},
        {"image", ceph_adapter_image_tests},
        {"trash", ceph_adapter_trash_tests},
        {"source", ceph_adapter_source_tests},
        {"source-crash", ceph_adapter_source_crash_tests},
        {"snapshot", ceph_adapter_snapshot_tests},
        {"migration", ceph_adapter_migration_tests},
    };
    struct lab lab;
    lab_open(&lab);
    int failures = 0;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        bool wanted = count == 0;
        for (int j = 0; j < count; j++)
            wanted |= strcmp(names[j], groups[i].name) == 0;
        if (!wanted)
            continue;
        print_message("--- %s\n", groups[i].name);
        failures += groups[i].run(&lab);
        lab_sweep(&lab);
    }
    lab_close(&lab);
    return failures ? 1 : 0;
}

int main(int argc, char *argv[])
{
    if (argc == 4 && strcmp(argv[1], "--hold") == 0)
        return hold(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--make") == 0)
        return make(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--unmake") == 0)
        return unmake(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "--trash") == 0)
        return trash(argv[2], argv[3]);
    if (argc == 6 && strcmp(argv[1], "--give-up") == 0)
        return give_up(argv + 2);
    if (argc == 6 && strcmp(argv[1], "--migrate") == 0)
        return migrate(argv + 2);
    if (getenv("VP_LAB_TEST"))
        cmocka_set_test_filter(getenv("VP_LAB_TEST"));
    return run_groups(argc - 1, argv + 1);
}
