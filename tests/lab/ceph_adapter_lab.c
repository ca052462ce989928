#include "ceph_adapter_lab.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static const char *required(const char *variable)
{
    const char *value = getenv(variable);
    if (!value || !*value) {
        fprintf(stderr, "%s is not set\n", variable);
        exit(2);
    }
    return value;
}

static const char *optional(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    return value && *value ? value : otherwise;
}

void assert_done(int result, const struct error *error)
{
    if (result != 0)
        fail_msg("%s (%s)", error->message, error->hint ? error->hint : "no hint");
}

void assert_refused(int result, const struct error *error, enum error_code code)
{
    assert_int_equal(result, -1);
    if (error->code != code)
        fail_msg("code %d, not %d: %s", (int)error->code, (int)code, error->message);
    assert_non_null(error->message);
    assert_null(strchr(error->message, '\n'));
    print_message("    %s\n    hint: %s\n", error->message, error->hint ? error->hint : "none");
}

char *lab_command(struct lab *lab, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *command = text_vformat(format, args);
    va_end(args);
    const char *commands[] = {command};
    char *output = NULL, *status = NULL;
    size_t output_length = 0, status_length = 0;
    int result = rados_mon_command(lab->admin, commands, 1, "", 0, &output, &output_length, &status,
                                   &status_length);
    if (result < 0)
        fail_msg("%s: %d %.*s", command, result, (int)status_length, status);
    char *answer = text_slice(output ? output : "", output_length);
    rados_buffer_free(output);
    rados_buffer_free(status);
    return answer;
}

char *lab_key(struct lab *lab, const char *user, const char *osd_caps)
{
    char *key =
        lab_command(lab,
                    "{\"prefix\":\"auth get-or-create-key\",\"entity\":\"client.%s\","
                    "\"caps\":[\"mon\",\"%s\",\"osd\",\"%s\"]}",
                    user, strstr(osd_caps, "read-only") ? osd_caps : "profile rbd", osd_caps);
    key[strcspn(key, "\n")] = '\0';
    return key;
}

struct ceph_login lab_login(const struct lab *lab)
{
    return (struct ceph_login){.cluster = "lab",
                               .mons = lab->mons,
                               .user = lab->user,
                               .keyring = lab->keyring,
                               .timeout = 10};
}

rados_ioctx_t lab_pool(struct lab *lab, const char *pool, const char *name_space)
{
    rados_ioctx_t handle = NULL;
    assert_int_equal(rados_ioctx_create(lab->admin, pool, &handle), 0);
    rados_ioctx_set_namespace(handle, name_space);
    return handle;
}

static void make_pool(struct lab *lab, const char *pool)
{
    free(lab_command(lab, "{\"prefix\":\"osd pool create\",\"pool\":\"%s\",\"pg_num\":8}", pool));
    /* no splitting of placement groups meanwhile: each time, a dead client's watch starts anew */
    free(lab_command(lab,
                     "{\"prefix\":\"osd pool set\",\"pool\":\"%s\",\"var\":"
                     "\"pg_autoscale_mode\",\"val\":\"off\"}",
                     pool));
    AUTO_POOL rados_ioctx_t handle = lab_pool(lab, pool, NULL);
    assert_int_equal(rbd_pool_init(handle, false), 0);
}

static struct ceph_cluster *connect_as(struct lab *lab, const char *what, const char *osd_caps)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *user = text_format("%s-%s", lab->scratch, what);
    AUTO_FREE char *key = lab_key(lab, user, osd_caps);
    struct ceph_login login = lab_login(lab);
    login.user = user;
    login.keyring = NULL;
    login.key = key;
    struct ceph_cluster *cluster = NULL;
    assert_done(ceph_connect(&login, &cluster, &error), &error);
    return cluster;
}

void lab_open(struct lab *lab)
{
    AUTO_ERROR struct error error = {0};
    *lab = (struct lab){.conf = required("VP_LAB_CONF"),
                        .mons = required("VP_LAB_MONS"),
                        .user = optional("VP_LAB_USER", "libvirt"),
                        .keyring = required("VP_LAB_KEYRING"),
                        .pool = required("VP_LAB_POOL")};
    assert_int_equal(rados_create(&lab->admin, "admin"), 0);
    assert_int_equal(rados_conf_read_file(lab->admin, lab->conf), 0);
    assert_int_equal(rados_connect(lab->admin), 0);
    lab->scratch = text_format("vpa-%d", (int)getpid());
    lab->data = text_format("%s-data", lab->scratch);
    make_pool(lab, lab->scratch);
    make_pool(lab, lab->data);
    AUTO_POOL rados_ioctx_t scratch = lab_pool(lab, lab->scratch, NULL);
    assert_int_equal(rbd_namespace_create(scratch, "tenant"), 0);

    const struct ceph_login login = lab_login(lab);
    assert_done(ceph_connect(&login, &lab->cluster, &error), &error);
    AUTO_FREE char *caps = text_format("profile rbd pool=%s", lab->scratch);
    lab->limited = connect_as(lab, "limited", caps);
    lab->reader = connect_as(lab, "reader", "profile rbd-read-only");
}

static void forget_user(struct lab *lab, const char *what)
{
    free(lab_command(lab, "{\"prefix\":\"auth del\",\"entity\":\"client.%s-%s\"}", lab->scratch,
                     what));
}

void lab_close(struct lab *lab)
{
    ceph_disconnect(lab->cluster);
    ceph_disconnect(lab->limited);
    ceph_disconnect(lab->reader);
    forget_user(lab, "limited");
    forget_user(lab, "reader");
    rados_pool_delete(lab->admin, lab->data); /* where the monitors allow it */
    rados_pool_delete(lab->admin, lab->scratch);
    rados_shutdown(lab->admin);
    free(lab->scratch);
    free(lab->data);
}

void lab_make_image(struct lab *lab, const char *pool, const char *image, uint64_t size,
                    uint64_t features)
{
    AUTO_POOL rados_ioctx_t handle = lab_pool(lab, pool, NULL);
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, features);
    assert_int_equal(rbd_create4(handle, image, size, options), 0);
    rbd_image_options_destroy(options);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool stays(const char *object)
{
    static const char *const lasting[] = {"rbd_directory",      "rbd_info",      "rbd_trash",
                                          "rbd_children",       "rbd_namespace", "rbd_mirroring",
                                          "rbd_group_directory"};
    for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
        if (strcmp(object, lasting[i]) == 0)
            return true;
    return false;
}

char *lab_objects(rados_ioctx_t pool)
{
    struct text_list objects = {0};
    rados_list_ctx_t listing;
    assert_int_equal(rados_nobjects_list_open(pool, &listing), 0);
    const char *entry;
    while (rados_nobjects_list_next(listing, &entry, NULL, NULL) == 0)
        if (!stays(entry))
            text_list_append(&objects, entry);
    rados_nobjects_list_close(listing);
    if (objects.count)
        qsort(objects.items, objects.count, sizeof(*objects.items), compare_texts);
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < objects.count; i++)
        buffer_format(&text, "%s%s", i ? " " : "", objects.items[i]);
    text_list_clear(&objects);
    return buffer_take(&text);
}

char *lab_image_id(rados_ioctx_t pool, const char *image)
{
    AUTO_IMAGE rbd_image_t open = NULL;
    assert_int_equal(rbd_open_read_only(pool, image, &open, NULL), 0);
    char id[64];
    assert_int_equal(rbd_get_id(open, id, sizeof(id)), 0);
    return text_dup(id);
}

void lab_encode(struct buffer *bytes, const char *text)
{
    const size_t length = strlen(text);
    const char header[4] = {(char)length, (char)(length >> 8), 0, 0};
    buffer_add_slice(bytes, header, 4);
    buffer_add_slice(bytes, text, length);
}

static void change(rados_ioctx_t pool, const char *object, const char *method,
                   const struct buffer *bytes)
{
    char answer[64];
    assert_true(rados_exec(pool, object, "rbd", method, bytes->text, bytes->length, answer,
                           sizeof(answer)) >= 0);
}

void lab_directory(rados_ioctx_t pool, const char *method, const char *name, const char *id)
{
    AUTO_BUFFER struct buffer bytes = {0};
    lab_encode(&bytes, name);
    lab_encode(&bytes, id);
    change(pool, "rbd_directory", method, &bytes);
}

void lab_trash_entry(rados_ioctx_t pool, const char *name, const char *id, unsigned seconds,
                     enum lab_trash state)
{
    AUTO_BUFFER struct buffer body = {0};
    AUTO_BUFFER struct buffer bytes = {0};
    const uint32_t now[2] = {(uint32_t)time(NULL), 0};
    const uint32_t then[2] = {now[0] + seconds, 0};
    const char state_byte = (char)state;
    buffer_add_slice(&body, "", 1); /* source: user */
    lab_encode(&body, name);
    buffer_add_slice(&body, (const char *)now, sizeof(now));
    buffer_add_slice(&body, (const char *)then, sizeof(then));
    buffer_add_slice(&body, &state_byte, 1);
    lab_encode(&bytes, id);
    const char header[6] = {2, 1, (char)body.length, 0, 0, 0}; /* version, compatible, length */
    buffer_add_slice(&bytes, header, sizeof(header));
    buffer_add_slice(&bytes, body.text, body.length);
    change(pool, "rbd_trash", "trash_add", &bytes);
}

static void sweep_snapshots(rados_ioctx_t pool, const char *name)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    rbd_snap_info_t snapshots[16];
    int room = ARRAY_SIZE(snapshots);
    if (rbd_open(pool, name, &image, NULL) < 0) {
        image = NULL;
        return;
    }
    int count = rbd_snap_list(image, snapshots, &room);
    for (int i = 0; i < count; i++) {
        rbd_snap_unprotect(image, snapshots[i].name);
        rbd_snap_remove(image, snapshots[i].name);
    }
    if (count > 0)
        rbd_snap_list_end(snapshots);
}

static void sweep_pool(rados_ioctx_t pool)
{
    rbd_image_spec_t images[64];
    size_t count = ARRAY_SIZE(images);
    if (rbd_list2(pool, images, &count) >= 0) {
        for (size_t i = 0; i < count; i++) {
            sweep_snapshots(pool, images[i].name);
            rbd_remove(pool, images[i].name);
        }
        rbd_image_spec_list_cleanup(images, count);
    }
    rbd_trash_image_info_t trash[64];
    size_t entries = ARRAY_SIZE(trash);
    if (rbd_trash_list(pool, trash, &entries) >= 0) {
        for (size_t i = 0; i < entries; i++)
            rbd_trash_remove(pool, trash[i].id, true);
        rbd_trash_list_cleanup(trash, entries);
    }
}

void lab_sweep(struct lab *lab)
{
    const struct {
        const char *pool, *name_space;
    } places[] = {{lab->scratch, NULL}, {lab->scratch, "tenant"}, {lab->data, NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        AUTO_POOL rados_ioctx_t pool = lab_pool(lab, places[i].pool, places[i].name_space);
        sweep_pool(pool);
    }
}

#define MAX_ARGUMENTS 16

/* Starts a program with its stdout in a pipe. */
static struct child start(const char *program, char *const arguments[])
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    struct child child = {.output = ends[0]};
    assert_int_equal(posix_spawnp(&child.pid, program, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return child;
}

struct child lab_spawn(const char *first, ...)
{
    char *arguments[MAX_ARGUMENTS] = {"ceph_adapter_test", (char *)first};
    va_list args;
    va_start(args, first);
    for (size_t i = 2; i + 1 < MAX_ARGUMENTS; i++)
        if (!(arguments[i] = va_arg(args, char *)))
            break;
    va_end(args);
    struct child child = start("/proc/self/exe", arguments);
    char byte = 0;
    while (byte != '\n')
        if (read(child.output, &byte, 1) != 1)
            fail_msg("the child '%s' ended before it was ready", first);
    return child;
}

int lab_wait(struct child *child)
{
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->output);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int lab_kill(struct child *child, int signal)
{
    kill(child->pid, signal);
    return lab_wait(child);
}

int lab_short_watches(void **state)
{
    free(lab_command(*state, "{\"prefix\":\"config set\",\"who\":\"osd\",\"name\":"
                             "\"osd_client_watch_timeout\",\"value\":\"3\"}"));
    ceph_pause(1000);
    return 0;
}

int lab_usual_watches(void **state)
{
    free(lab_command(*state, "{\"prefix\":\"config rm\",\"who\":\"osd\",\"name\":"
                             "\"osd_client_watch_timeout\"}"));
    return 0;
}

unsigned lab_kills(void)
{
    return (unsigned)strtoul(optional("VP_LAB_KILLS", "20"), NULL, 10);
}

static void *visit(void *opaque)
{
    struct visitor *visitor = opaque;
    while (!visitor->end) {
        AUTO_ERROR struct error error = {0};
        AUTO_OPEN struct ceph_open open = {0};
        if (ceph_image_open(visitor->cluster, &visitor->name, false, &open, &error) == 0)
            visitor->visits++;
    }
    return NULL;
}

void lab_visit(struct visitor *visitor)
{
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

void lab_visit_end(struct visitor *visitor)
{
    visitor->end = true;
    pthread_join(visitor->thread, NULL);
}

char *lab_rbd(const struct lab *lab, const char *first, ...)
{
    char *arguments[MAX_ARGUMENTS] = {"rbd", "-c", (char *)lab->conf, (char *)first};
    va_list args;
    va_start(args, first);
    for (size_t i = 4; i + 1 < MAX_ARGUMENTS; i++)
        if (!(arguments[i] = va_arg(args, char *)))
            break;
    va_end(args);
    struct child child = start("rbd", arguments);
    AUTO_BUFFER struct buffer text = {0};
    char piece[4096];
    ssize_t count;
    while ((count = read(child.output, piece, sizeof(piece))) > 0)
        buffer_add_slice(&text, piece, (size_t)count);
    assert_int_equal(lab_wait(&child), 0);
    return buffer_take(&text);
}
