/* What the adapter's tests need of a real cluster: an administrator's view of it, beside the
 * adapter's own, and other clients.
 *
 *   VP_LAB_CONF     configuration with the administrator's keyring (pools and users are made)
 *   VP_LAB_MONS     monitors for the adapter's connection, which gets no configuration file
 *   VP_LAB_USER     its user, with mon 'profile rbd' and osd 'profile rbd'; "libvirt" if not set
 *   VP_LAB_KEYRING  and that user's keyring
 *   VP_LAB_POOL     an rbd pool that is there already
 *   VP_LAB_OSD_PID  the cluster's only OSD, to be stopped and continued; tests with it are skipped
 *                   if it is not set
 *   VP_LAB_KILLS    how often a process is killed in the middle of its work; 20 if not set
 *   VP_LAB_TEST     only the tests whose name matches this pattern (*, ?)
 */
#ifndef TESTS_LAB_CEPH_ADAPTER_LAB_H
#define TESTS_LAB_CEPH_ADAPTER_LAB_H

#include "ceph/image_create.h"
#include "ceph/image_names.h"
#include "cmocka_compat.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define MIB ((uint64_t)1 << 20)

struct lab {
    const char *conf, *mons, *user, *keyring, *pool; /* of the environment */
    rados_t admin;
    struct ceph_cluster *cluster; /* the adapter's */
    char *scratch;                /* a pool of our own, with the namespace "tenant" */
    char *data;                   /* a second one, for data */
    struct ceph_cluster *limited; /* as a user who may use `scratch` only */
    struct ceph_cluster *reader;  /* as a user with 'profile rbd-read-only' */
};

/* Fills the structure and makes pools and users. Fails the test group when something is missing. */
void lab_open(struct lab *lab);
void lab_close(struct lab *lab);

/* Sends a command as the administrator; the test fails if it does. The answer, new string. */
char *lab_command(struct lab *lab, const char *format, ...) PRINTF(2, 3);
/* The key of a user, who is made with these osd caps if need be; new string. */
char *lab_key(struct lab *lab, const char *user, const char *osd_caps);
/* The adapter's login, for tests that connect by themselves. */
struct ceph_login lab_login(const struct lab *lab);

/* The administrator's handle on a pool of ours; namespace NULL or "tenant". */
rados_ioctx_t lab_pool(struct lab *lab, const char *pool, const char *name_space);
/* Makes an image as the administrator. */
void lab_make_image(struct lab *lab, const char *pool, const char *image, uint64_t size,
                    uint64_t features);
/* Every object of the pool, sorted, but for those that stay once there was any image. New string.
 */
char *lab_objects(rados_ioctx_t pool);
/* An image's id, new string. */
char *lab_image_id(rados_ioctx_t pool, const char *image);

/* What librbd writes, step by step, to leave it half done. A string as Ceph encodes it, appended:
 */
void lab_encode(struct buffer *bytes, const char *text);
/* A change of the directory: dir_add_image, dir_remove_image. */
void lab_directory(rados_ioctx_t pool, const char *method, const char *name, const char *id);
/* A user's entry in the trash, kept for so many seconds. */
enum lab_trash {
    LAB_TRASH_NORMAL,
    LAB_TRASH_MOVING,
    LAB_TRASH_REMOVING,
    LAB_TRASH_RESTORING,
};
void lab_trash_entry(rados_ioctx_t pool, const char *name, const char *id, unsigned seconds,
                     enum lab_trash state);
/* Ends every image and every leftover in the scratch pools. */
void lab_sweep(struct lab *lab);

/* Runs this program again with these arguments (the last is NULL) and waits for its first line of
 * output. A child reads the same environment. */
struct child {
    pid_t pid;
    int output;
};
struct child lab_spawn(const char *first, ...);
/* Ends it, and returns its exit status, or -signal. */
int lab_kill(struct child *child, int signal);
int lab_wait(struct child *child);

/* A dead client's watch lasts 3 s instead of 30: setup and teardown of tests that kill many. */
int lab_short_watches(void **state);
int lab_usual_watches(void **state);
/* VP_LAB_KILLS */
unsigned lab_kills(void);

/* Another client that opens an image and closes it, again and again. */
struct visitor {
    struct ceph_cluster *cluster;
    struct ceph_image_name name;
    unsigned visits;
    atomic_bool end;
    pthread_t thread;
};
void lab_visit(struct visitor *visitor);
void lab_visit_end(struct visitor *visitor);

/* What `rbd` of the command line prints; its arguments end with NULL. New string. */
char *lab_rbd(const struct lab *lab, const char *first, ...);

/* Asserts a failure: result -1, this code, a message, and that neither holds the key. */
void assert_refused(int result, const struct error *error, enum error_code code);
/* Asserts success and shows the error otherwise. */
void assert_done(int result, const struct error *error);

/* The groups, one file each. */
int ceph_adapter_connect_tests(struct lab *lab);
int ceph_adapter_create_tests(struct lab *lab);
int ceph_adapter_crash_tests(struct lab *lab);
int ceph_adapter_image_tests(struct lab *lab);
int ceph_adapter_migration_tests(struct lab *lab);
int ceph_adapter_snapshot_tests(struct lab *lab);
int ceph_adapter_source_tests(struct lab *lab);
int ceph_adapter_source_crash_tests(struct lab *lab);
int ceph_adapter_trash_tests(struct lab *lab);

#endif
