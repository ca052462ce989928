#include "blocks_client.h"

#include "blocks/blocks.h"

#include <inttypes.h>

struct place {
    struct ceph_login login;
    struct ceph_image_name name;
};

static struct place place_of(char *arguments[])
{
    const char *user = getenv("VP_LAB_USER");
    return (struct place){.login = {.cluster = "lab",
                                    .mons = arguments[0],
                                    .user = user ? user : "libvirt",
                                    .keyring = arguments[1],
                                    .timeout = 10},
                          .name = {.pool = arguments[2], .image = arguments[3]}};
}

static bool print(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    uint64_t *printed = opaque;
    if (done != *printed)
        printf("%" PRIu64 "\n", done);
    fflush(stdout);
    *printed = done;
    return true;
}

static int make_target(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       uint64_t size, struct error *error)
{
    const struct ceph_image_spec spec = {.name = *name,
                                         .size = size,
                                         .object_size = 4 << 20,
                                         .token = "blocks-client",
                                         .domain_name = "db1",
                                         .target = "vda",
                                         .source = "lab"};
    return ceph_image_create(cluster, &spec, error);
}

struct options {
    uint64_t offset, bandwidth;
    bool existing;
};

static int copy(const struct place *from, const struct place *to, const struct options *options,
                struct error *error)
{
    CLEANUP(ceph_disconnectp) struct ceph_cluster *there = NULL;
    CLEANUP(ceph_disconnectp) struct ceph_cluster *here = NULL;
    CLEANUP(blocks_closep) struct blocks *source = NULL;
    CLEANUP(blocks_closep) struct blocks *target = NULL;
    if (ceph_connect(&from->login, &there, error) < 0 ||
        ceph_connect(&to->login, &here, error) < 0 ||
        blocks_open_rbd(there, &from->name, NULL, false, &source, error) < 0)
        return -1;
    if (!options->existing && make_target(here, &to->name, blocks_size(source), error) < 0)
        return -1;
    uint64_t printed = UINT64_MAX, copied = 0;
    const struct blocks_watch watch = {
        .opaque = &printed, .progress = print, .bandwidth = options->bandwidth};
    if (blocks_open_rbd(here, &to->name, NULL, true, &target, error) < 0)
        return -1;
    return blocks_copy(source, target, options->offset, &watch, &copied, error);
}

int blocks_client_copy(int count, char *arguments[])
{
    struct options options = {0};
    while (count > 8) {
        const char *option = *arguments++;
        count--;
        if (strcmp(option, "--existing") == 0) {
            options.existing = true;
            continue;
        }
        uint64_t number = strtoull(*arguments++, NULL, 10);
        count--;
        *(strcmp(option, "--offset") == 0 ? &options.offset : &options.bandwidth) = number;
    }
    if (count < 8)
        return 2;
    AUTO_ERROR struct error error = {0};
    const struct place from = place_of(arguments), to = place_of(arguments + 4);
    if (copy(&from, &to, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    puts("done");
    return 0;
}
