/* Files and block devices, by a real qemu-nbd. */
#include "qemu_tools.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* As of a child that waits for a device that does not answer: even SIGKILL does not end it. */
static bool is_stuck;

pid_t waitpid(pid_t pid, int *status, int flags)
{
    if (is_stuck && !(flags & WNOHANG))
        fail_msg("this would wait for ever");
    return is_stuck ? 0 : wait4(pid, status, flags, NULL);
}

static struct blocks *open_for(const char *path, const char *format, bool writable)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    if (blocks_open_file(path, format, writable, &blocks, &error) < 0)
        fail_msg("%s (%s)", error.message, error.hint ? error.hint : "no hint");
    return blocks;
}

static struct blocks *open_path(const char *path, const char *format)
{
    return open_for(path, format, false);
}

static struct blocks *open_name(const struct scratch *scratch, const char *name, const char *format)
{
    AUTO_FREE char *path = scratch_path(scratch, name);
    return open_path(path, format);
}

static void assert_not_opened_for(const char *path, const char *format, bool writable,
                                  enum error_code code, const char *says, const char *says_too)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    assert_int_equal(blocks_open_file(path, format, writable, &blocks, &error), -1);
    assert_null(blocks);
    if (error.code != code || !strstr(error.message, says) || !strstr(error.message, says_too))
        fail_msg("code %d: %s", (int)error.code, error.message);
    assert_null(strchr(error.message, '\n'));
}

static void assert_not_opened(const char *path, const char *format, enum error_code code,
                              const char *says, const char *says_too)
{
    assert_not_opened_for(path, format, false, code, says, says_too);
}

static void compare(struct blocks *first, struct blocks *second, struct blocks_comparison *found)
{
    AUTO_ERROR struct error error = {0};
    if (blocks_compare(first, second, NULL, found, &error) < 0)
        fail_msg("%s", error.message);
}

/* Our child: the only one that this process has. */
static pid_t child_of(pid_t parent)
{
    AUTO_FREE char *path = text_format("/proc/%d/task/%d/children", (int)parent, (int)parent);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    int pid = 0;
    return file && fscanf(file, "%d", &pid) == 1 ? pid : 0;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* A raw file with data at both ends, and one in the middle. */
static void make_raw(const struct scratch *scratch)
{
    scratch_needs_tools(scratch);
    scratch_run(scratch, "truncate -s 50M a.raw && qemu-io -f raw -c 'write -q -P 7 0 1k' "
                         "-c 'write -q -P 8 20M 3M' -c 'write -q -P 9 52428288 512' a.raw");
}

static void sparse_raw_file(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_DISK struct fake_disk *same = fake_disk_new("same", 50 * MIB, FAKE_BY_THREAD);
    size_t before = count_descriptors();
    struct blocks *blocks = open_name(scratch, "a.raw", "raw");
    assert_int_equal(blocks_size(blocks), 50 * MIB);
    assert_true(blocks_knows_holes(blocks));
    assert_int_equal(scratch_status(scratch, "[ -z \"$(ls run)\" ]"), 0); /* already now */

    memset(same->bytes, 7, 1024);
    memset(same->bytes + 20 * MIB, 8, 3 * MIB);
    memset(same->bytes + 50 * MIB - 512, 9, 512);
    struct blocks_comparison found;
    compare(blocks, &same->blocks, &found);
    assert_true(found.equal);
    assert_in_range(found.read, 3 * MIB, 4 * MIB);
    same->bytes[50 * MIB - 1] = 8;
    compare(blocks, &same->blocks, &found);
    assert_int_equal(found.first_difference, 50 * MIB - 1);

    pid_t child = child_of(getpid());
    assert_true(child > 0);
    blocks_close(blocks);
    assert_int_equal(kill(child, 0), -1);
    assert_int_equal(count_descriptors(), before);
}

static void copied_from_a_file(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    CLEANUP(blocks_closep) struct blocks *source = open_name(scratch, "a.raw", "raw");
    AUTO_DISK struct fake_disk *target = fake_disk_new("target", 50 * MIB, FAKE_BY_THREAD);
    fake_disk_make_writable(target);
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    assert_int_equal(blocks_copy(source, &target->blocks, 0, NULL, &copied, &error), 0);
    assert_int_equal(copied, 50 * MIB);
    assert_int_equal(target->written, 4 * KIB + 3 * MIB + 4 * KIB);
    struct blocks_comparison found;
    compare(source, &target->blocks, &found);
    assert_true(found.equal);
}

/* A file of which the last sector is not whole. */
static void odd_size(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "head -c 5000001 /dev/urandom > odd.raw");
    AUTO_DISK struct fake_disk *same = fake_disk_new("same", 5000001, FAKE_AT_ONCE);
    AUTO_FREE char *path = scratch_path(scratch, "odd.raw");
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    assert_int_equal(fread(same->bytes, 1, 5000001, file), 5000001);
    CLEANUP(blocks_closep) struct blocks *blocks = open_path(path, "raw");
    assert_true(blocks_size(blocks) == 5000001 || blocks_size(blocks) == 5000192);
    struct blocks_comparison found;
    compare(blocks, &same->blocks, &found);
    assert_true(found.equal);
}

static void chain_of_qcow2(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    scratch_run(scratch,
                "qemu-img convert -f raw -O qcow2 a.raw 1.qcow2 &&"
                "qemu-img create -q -f qcow2 -F qcow2 -b 1.qcow2 2.qcow2 &&"
                "qemu-img create -q -f qcow2 -F qcow2 -b 2.qcow2 3.qcow2 60M &&"
                "qemu-io -c 'write -q -P 1 21M 64k' -c 'write -q -z 22M 512k' 2.qcow2 &&"
                "qemu-io -c 'write -q -P 2 59M 1M' -c 'discard -q 0 64k' 3.qcow2 &&"
                "qemu-img convert -O raw 3.qcow2 flat.raw && qemu-img convert 3.qcow2 flat.qcow2 "
                "-O qcow2 -c");
    CLEANUP(blocks_closep) struct blocks *chain = open_name(scratch, "3.qcow2", "qcow2");
    assert_int_equal(blocks_size(chain), 60 * MIB);
    static const char *const same[][2] = {{"flat.raw", "raw"}, {"flat.qcow2", "qcow2"}};
    struct blocks_comparison found[2];
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(blocks_closep) struct blocks *flat = open_name(scratch, same[i][0], same[i][1]);
        compare(chain, flat, &found[i]);
        assert_true(found[i].equal);
        assert_in_range(found[i].read, 3 * MIB, 6 * MIB);
    }
    assert_string_equal(found[0].first.text, found[1].second.text);
}

static void odd_names(void **state)
{
    static const char *const names[] = {"-x",
                                        "--help",
                                        "a,b",
                                        ",",
                                        "a,,b=c,file.driver=nbd",
                                        "a:b",
                                        "nbd:unix:/x",
                                        "json:{\"driver\":\"raw\"}",
                                        "a b",
                                        "\xc3\xbc\xff",
                                        "a\nb",
                                        "%s%n",
                                        "fd:0",
                                        "$(id)",
                                        "'\"\\"};
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_FREE char *original = scratch_path(scratch, "a.raw");
    AUTO_FREE char *here = getcwd(NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *path = scratch_path(scratch, names[i]);
        AUTO_FREE char *slash = strchr(names[i], '/') ? text_dup(path) : NULL;
        if (slash) { /* its folder */
            *strrchr(slash, '/') = '\0';
            AUTO_FREE char *command = text_format("mkdir -p -- '%s'", slash);
            scratch_run(scratch, command);
        }
        assert_int_equal(link(original, path), 0);
        struct blocks *blocks = open_path(path, "raw");
        assert_int_equal(blocks_size(blocks), 50 * MIB);
        blocks_close(blocks);
        /* and where it is the whole name */
        assert_int_equal(chdir(scratch->folder), 0);
        blocks = open_path(names[i], "raw");
        assert_int_equal(blocks_size(blocks), 50 * MIB);
        blocks_close(blocks);
        assert_int_equal(chdir(here), 0);
    }
}

static void what_cannot_be_opened(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_FREE char *raw = scratch_path(scratch, "a.raw");
    AUTO_FREE char *none = scratch_path(scratch, "none");
    AUTO_FREE char *top = scratch_path(scratch, "top.qcow2");
    assert_not_opened(none, "raw", ERROR_NOT_FOUND, none, "No such file");
    assert_not_opened(scratch->folder, "raw", ERROR_INPUT, scratch->folder, "neither a file");
    assert_not_opened("/dev/zero", "raw", ERROR_INPUT, "/dev/zero", "neither a file");
    assert_not_opened(raw, "qcow2", ERROR_FAILED, raw, "not in qcow2 format");
    assert_not_opened(raw, "nonsense", ERROR_FAILED, raw, "nonsense");
    assert_not_opened(raw, "", ERROR_INPUT, "''", "no format");
    assert_not_opened(raw, NULL, ERROR_INPUT, "''", "no format");
    assert_not_opened(raw, "raw,file.filename=/etc/passwd", ERROR_INPUT, "raw,", "no format");

    scratch_run(scratch, "qemu-img create -q -f qcow2 base.qcow2 1M && qemu-img create -q -f qcow2 "
                         "-F qcow2 -b base.qcow2 top.qcow2 && rm base.qcow2");
    assert_not_opened(top, "qcow2", ERROR_NOT_FOUND, top, "base.qcow2");
    setenv("PATH", scratch->folder, 1);
    assert_not_opened(raw, "raw", ERROR_FAILED, raw, "qemu-nbd cannot be started");
}

/* As a user who may not: root may everything. */
static void unreadable(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    scratch_run(scratch, "chmod 0600 a.raw; qemu-img create -q -f qcow2 -F raw -b a.raw top.qcow2; "
                         "chmod 0644 top.qcow2; mkdir -m 0700 closed; cp a.raw closed/");
    AUTO_FREE char *raw = scratch_path(scratch, "a.raw");
    AUTO_FREE char *top = scratch_path(scratch, "top.qcow2");
    AUTO_FREE char *closed = scratch_path(scratch, "closed/a.raw");
    bool root = geteuid() == 0;
    const char *user = root ? "nobody" : getenv("USER");
    if (root) {
        assert_int_equal(seteuid(65534), 0);
        setenv("XDG_RUNTIME_DIR", "/tmp", 1);
    } else {
        scratch_run(scratch, "chmod 0 a.raw closed");
    }
    assert_not_opened(raw, "raw", ERROR_DENIED, raw, user ? user : "");
    assert_not_opened(closed, "raw", ERROR_DENIED, closed, user ? user : "");
    assert_not_opened(top, "qcow2", ERROR_DENIED, top, "a.raw");
    if (root) /* may read it, and not write */
        assert_not_opened_for(top, "qcow2", true, ERROR_DENIED, top, "may not be written by user");
    if (root)
        assert_int_equal(seteuid(0), 0);
    AUTO_FREE char *runtime = scratch_path(scratch, "run");
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    scratch_run(scratch, "chmod 0700 closed");
}

struct killer {
    pid_t child;
    unsigned asked;
};

static bool kill_soon(void *opaque, uint64_t done UNUSED, uint64_t read UNUSED)
{
    struct killer *killer = opaque;
    if (++killer->asked == 3)
        kill(killer->child, SIGKILL);
    return true;
}

static void qemu_nbd_is_killed(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "head -c 64M /dev/urandom > full.raw");
    CLEANUP(blocks_closep) struct blocks *blocks = open_name(scratch, "full.raw", "raw");
    AUTO_DISK struct fake_disk *other = fake_disk_new("other", 64 * MIB, FAKE_BY_THREAD);
    struct killer killer = {.child = child_of(getpid())};
    const struct blocks_watch watch = {
        .opaque = &killer, .progress = kill_soon, .bandwidth = 16 * MIB};
    AUTO_ERROR struct error error = {0};
    struct blocks_comparison found;
    assert_int_equal(blocks_compare(blocks, &other->blocks, &watch, &found, &error), -1);
    assert_int_equal(error.code, ERROR_DISCONNECTED);
    assert_non_null(strstr(error.message, "full.raw"));
    assert_non_null(strstr(error.message, "ended by signal 9"));

    error_clear(&error);
    assert_int_equal(blocks_compare(blocks, &other->blocks, NULL, &found, &error), -1);
    assert_int_equal(error.code, ERROR_DISCONNECTED);
}

static void cancelled(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "head -c 64M /dev/urandom > full.raw");
    CLEANUP(blocks_closep) struct blocks *blocks = open_name(scratch, "full.raw", "raw");
    AUTO_DISK struct fake_disk *other = fake_disk_new("other", 64 * MIB, FAKE_BY_THREAD);
    for (unsigned n = 1; n < 20; n++) {
        struct onlooker onlooker = {.end_at = n};
        onlooker_start(&onlooker);
        AUTO_ERROR struct error error = {0};
        struct blocks_comparison found;
        fake_clock_step(0.3);
        int result = blocks_compare(blocks, &other->blocks, &onlooker.watch, &found, &error);
        fake_clock_step(0);
        assert_int_equal(result, -1);
        assert_int_equal(error.code, ERROR_CANCELLED);
    }
    struct blocks_comparison found;
    compare(blocks, &other->blocks, &found); /* it still works */
    assert_int_equal(found.differing, 16);
}

/* Whoever opens the file is killed: qemu-nbd goes with him, though nobody has told it. */
static void it_ends_with_us(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_FREE char *path = scratch_path(scratch, "a.raw");
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t opener = fork();
    if (opener == 0) {
        AUTO_ERROR struct error error = {0};
        struct blocks *blocks = NULL;
        if (blocks_open_file(path, "raw", false, &blocks, &error) < 0 ||
            write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    pid_t child = child_of(opener);
    assert_true(child > 0 && kill(child, 0) == 0);
    kill(opener, SIGKILL);
    assert_int_equal(waitpid(opener, NULL, 0), opener);
    int waited = 0;
    AUTO_FREE char *proc = text_format("/proc/%d/stat", (int)child);
    for (char running = 'R'; running != 'Z' && access(proc, F_OK) == 0; waited++) {
        AUTO_FCLOSE FILE *file = fopen(proc, "r");
        if (!file || fscanf(file, "%*d %*s %c", &running) != 1)
            break;
        assert_true(waited < 300);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    close(ends[0]);
    close(ends[1]);
}

static void it_cannot_be_ended(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    struct blocks *blocks = open_name(scratch, "a.raw", "raw");
    pid_t child = child_of(getpid());
    is_stuck = true;
    blocks_close(blocks);
    is_stuck = false;
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The signals of a terminal, and blocked ones, are not passed on. */
static void signals_are_ours(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    CLEANUP(blocks_closep) UNUSED struct blocks *blocks = open_name(scratch, "a.raw", "raw");
    sigprocmask(SIG_SETMASK, &before, NULL);
    pid_t child = child_of(getpid());
    assert_int_equal(getpgid(child), child);
    AUTO_FREE char *path = text_format("/proc/%d/status", (int)child);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    char line[256];
    unsigned long long blocked = ~0ull;
    while (fgets(line, sizeof(line), file))
        if (text_starts_with(line, "SigBlk:"))
            blocked = strtoull(line + 7, NULL, 16);
    assert_int_equal(blocked & (1ull << (SIGTERM - 1)), 0);
}

static const char *const guest_files[][2] = {{"a.raw", "raw"}, {"b.qcow2", "qcow2"}};

static void make_guest_files(const struct scratch *scratch)
{
    make_raw(scratch);
    scratch_run(scratch, "qemu-img create -q -f qcow2 b.qcow2 50M");
}

/* A command that is a guest for a moment, new string. */
static char *guest_on(const char *const file[2])
{
    return text_format("qemu-io -f %s -c 'write -q 0 4k' %s 2>/dev/null", file[1], file[0]);
}

/* Starts one that stays for two seconds: as long as its input is not at its end. */
static void start_guest(const struct scratch *scratch, const char *const file[2])
{
    AUTO_FREE char *running =
        text_format("rm -f ended out && mkfifo in && "
                    "{ { qemu-io -f %s %s < in > out; touch ended; } & } && exec 9> in && "
                    "while ! grep -q qemu-io out; do sleep 0.05; done && rm in && "
                    "{ sleep 2 & }",
                    file[1], file[0]);
    scratch_run(scratch, running);
}

static void await_guest(const struct scratch *scratch)
{
    scratch_run(scratch, "while [ ! -e ended ]; do sleep 0.05; done");
}

/* In both directions, for each format: whoever comes second is refused. */
static void guests_are_noticed(void **state)
{
    const char *const(*files)[2] = guest_files;
    struct scratch *scratch = *state;
    make_guest_files(scratch);
    for (size_t i = 0; i < ARRAY_SIZE(guest_files); i++) {
        AUTO_FREE char *guest = guest_on(files[i]);
        AUTO_FREE char *path = scratch_path(scratch, files[i][0]);
        struct blocks *blocks = open_path(path, files[i][1]);
        assert_int_not_equal(scratch_status(scratch, guest), 0);
        struct blocks *second = open_path(path, files[i][1]); /* readers do not mind each other */
        blocks_close(second);
        assert_int_not_equal(scratch_status(scratch, guest), 0);
        blocks_close(blocks);
        assert_int_equal(scratch_status(scratch, guest), 0);

        start_guest(scratch, files[i]);
        assert_not_opened(path, files[i][1], ERROR_BUSY, path, "");
        await_guest(scratch);
        blocks_close(open_path(path, files[i][1]));
    }
}

/* ---- written ---- */

static void update(struct fake_disk *source, struct blocks *target, uint64_t *written)
{
    AUTO_ERROR struct error error = {0};
    uint64_t updated = 0;
    if (blocks_update(&source->blocks, target, 0, NULL, &updated, written, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(updated, blocks_size(&source->blocks));
}

/* What a.raw holds, and since then some data, a hole, and the very end. */
static struct fake_disk *changed_disk(void)
{
    struct fake_disk *disk = fake_disk_new("changed", 50 * MIB, FAKE_BY_THREAD);
    memset(disk->bytes, 7, 1024);
    memset(disk->bytes + 20 * MIB, 8, 2 * MIB);
    memset(disk->bytes + 31 * MIB, 3, 100 * KIB);
    memset(disk->bytes + 50 * MIB - 512, 1, 512);
    fake_disk_tell_truth(disk, 4 * KIB);
    return disk;
}
#define CHANGED (MIB + 100 * KIB + 4 * KIB)

static void raw_is_written(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_DISK struct fake_disk *source = changed_disk();
    AUTO_FREE char *path = scratch_path(scratch, "a.raw");
    uint64_t written = 0;
    struct blocks *target = open_for(path, "raw", true);
    update(source, target, &written);
    assert_int_equal(written, CHANGED);
    update(source, target, &written);
    assert_int_equal(written, 0);
    blocks_close(target);
    AUTO_FREE char *bytes = memory_new(50 * MIB, 1);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    assert_int_equal(fread(bytes, 1, 50 * MIB, file), 50 * MIB);
    assert_memory_equal(bytes, source->bytes, 50 * MIB);
}

/* The chain below stays as it is, and whoever follows the image's changes learns of these. */
static void qcow2_is_written(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    scratch_run(scratch,
                "qemu-img create -q -f qcow2 -o compat=1.1,lazy_refcounts=on -F raw "
                "-b a.raw top.qcow2 && qemu-img bitmap --add top.qcow2 backup && "
                "qemu-io -c 'write -q -P 5 40M 64k' top.qcow2 && sha256sum a.raw > before");
    AUTO_DISK struct fake_disk *source = changed_disk();
    AUTO_FREE char *path = scratch_path(scratch, "top.qcow2");
    uint64_t written = 0;
    struct blocks *target = open_for(path, "qcow2", true);
    update(source, target, &written);
    assert_int_equal(written, CHANGED + 64 * KIB);
    blocks_close(target);
    scratch_run(scratch, "sha256sum --quiet -c before && qemu-img check -q top.qcow2 && "
                         "! qemu-img info top.qcow2 | grep -q in-use");
    CLEANUP(blocks_closep) struct blocks *read = open_path(path, "qcow2");
    struct blocks_comparison found;
    compare(&source->blocks, read, &found);
    assert_true(found.equal);
}

/* A last sector that is not whole. */
static void odd_size_is_written(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "head -c 5000001 /dev/urandom > odd.raw");
    AUTO_DISK struct fake_disk *source = fake_disk_new("source", 5000001, FAKE_AT_ONCE);
    fake_disk_fill(source, 0, 5000001);
    AUTO_FREE char *path = scratch_path(scratch, "odd.raw");
    uint64_t written = 0;
    struct blocks *target = open_for(path, "raw", true);
    update(source, target, &written);
    blocks_close(target);
    AUTO_FREE char *bytes = memory_new(5000001, 1);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    assert_int_equal(fread(bytes, 1, 5000001, file), 5000001);
    assert_memory_equal(bytes, source->bytes, 5000001);
}

static void nobody_beside_a_writer(void **state)
{
    const char *const(*files)[2] = guest_files;
    struct scratch *scratch = *state;
    make_guest_files(scratch);
    for (size_t i = 0; i < ARRAY_SIZE(guest_files); i++) {
        AUTO_FREE char *guest = guest_on(files[i]);
        AUTO_FREE char *path = scratch_path(scratch, files[i][0]);
        struct blocks *writer = open_for(path, files[i][1], true);
        assert_int_not_equal(scratch_status(scratch, guest), 0);
        assert_not_opened(path, files[i][1], ERROR_BUSY, path, "open for writing");
        assert_not_opened_for(path, files[i][1], true, ERROR_BUSY, path, "in use");
        AUTO_ERROR struct error error = {0};
        struct blocks *idle = NULL;
        assert_int_equal(blocks_open_file_idle(path, files[i][1], &idle, &error), -1);
        assert_int_equal(error.code, ERROR_BUSY);
        blocks_close(writer);
        assert_int_equal(scratch_status(scratch, guest), 0);

        struct blocks *ours = open_path(path, files[i][1]);
        assert_not_opened_for(path, files[i][1], true, ERROR_BUSY, path, "in use");
        blocks_close(ours);
        start_guest(scratch, files[i]);
        assert_not_opened_for(path, files[i][1], true, ERROR_BUSY, path, "in use");
        await_guest(scratch);
        blocks_close(open_for(path, files[i][1], true));
    }
}

/* We are dead, and our qemu-nbd may still write: as long as it does, nobody else may. */
static void the_lock_outlives_us(void **state)
{
    struct scratch *scratch = *state;
    make_raw(scratch);
    AUTO_FREE char *path = scratch_path(scratch, "a.raw");
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t opener = fork();
    if (opener == 0) {
        AUTO_ERROR struct error error = {0};
        struct blocks *blocks = NULL;
        if (blocks_open_file(path, "raw", true, &blocks, &error) < 0)
            _exit(1);
        pid_t child = child_of(getpid());
        kill(child, SIGSTOP);
        if (write(ends[1], &child, sizeof(child)) != sizeof(child))
            _exit(1);
        for (;;)
            pause();
    }
    pid_t child = 0;
    assert_int_equal(read(ends[0], &child, sizeof(child)), sizeof(child));
    AUTO_FREE char *held = text_format("ls -l /proc/%d/fd/4 | grep -q a.raw", (int)child);
    scratch_run(scratch, held);
    kill(opener, SIGKILL);
    assert_int_equal(waitpid(opener, NULL, 0), opener);
    scratch_run(scratch, "for i in $(seq 100); do qemu-io -f raw -c 'write -q 0 4k' a.raw "
                         "2>/dev/null && exit; sleep 0.05; done; exit 1");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sparse_raw_file, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(copied_from_a_file, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(odd_size, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(chain_of_qcow2, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(odd_names, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(unreadable, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(qemu_nbd_is_killed, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(cancelled, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(it_ends_with_us, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(it_cannot_be_ended, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(signals_are_ours, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(guests_are_noticed, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(raw_is_written, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(qcow2_is_written, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(odd_size_is_written, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(nobody_beside_a_writer, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(the_lock_outlives_us, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
