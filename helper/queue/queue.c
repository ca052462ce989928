/* Putting requests there, taking them, setting aside what is none. */
#include "base/crash.h"
#include "queue/private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

#define SUFFIX ".json"
#define WHY ".why"
/* Nobody needs that long to write a request: he was killed over it. */
#define LEFTOVER_SECONDS 3600

static int open_failed(const char *state, struct error *error)
{
    if (errno == ENOENT)
        return 0;
    return folder_error(error, errno, state, "cannot open the folder of requests");
}

/* ---- putting ---- */

/* Sorts by time, and is nobody else's. */
static char *new_name(void)
{
    char stamp[32];
    struct tm utc;
    struct timespec now;
    uint32_t random = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&now.tv_sec, &utc));
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)now.tv_nsec; /* a clash fails by O_EXCL, and nothing is lost */
    return text_format("%s.%09ldZ-%d-%08" PRIx32 SUFFIX, stamp, now.tv_nsec, (int)getpid(), random);
}

int queue_put(const char *state, const struct request *request, struct error *error)
{
    struct request dated = *request; /* borrows the rest */
    if (!dated.created)
        dated.created = (int64_t)time(NULL);
    AUTO_FREE char *text = request_to_json(&dated, error);
    if (!text)
        return error_prefix(error, "this is no request");
    AUTO_CLOSE int folder = folder_make_queue(state, error);
    if (folder < 0)
        return -1;
    AUTO_FREE char *name = new_name();
    if (folder_write(folder, name, text) < 0)
        return folder_error(error, errno, state, "cannot write the request");
    return 0;
}

/* ---- taking ---- */

static bool is_tame(char c)
{
    return isascii(c) && (isalnum((unsigned char)c) || strchr("-_.", c));
}

/* Names go into the journal and onto screens. */
static bool is_request_name(const char *name)
{
    size_t length = strlen(name);
    if (length <= strlen(SUFFIX) || name[0] == '.' ||
        !text_equal(name + length - strlen(SUFFIX), SUFFIX))
        return false;
    for (const char *c = name; *c; c++)
        if (!is_tame(*c))
            return false;
    return true;
}

enum finding {
    FOUND_REQUEST,
    FOUND_GARBAGE, /* the error says why */
    FOUND_NOTHING, /* gone, or not readable just now */
};

static enum finding not_readable(int cause, struct error *error)
{
    static const int lasting[] = {EACCES, EPERM, ELOOP, ENXIO, ENODEV};
    for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
        if (cause == lasting[i]) {
            error_set(error, ERROR_INPUT, "it cannot be read: %s", strerror(cause));
            return FOUND_GARBAGE;
        }
    return FOUND_NOTHING;
}

/* Who may write into the folder may ask for moves; but a file that was moved there need not be his
 * own. */
static bool is_trusted(uid_t owner, const struct stat *folder)
{
    return owner == 0 || owner == geteuid() || owner == folder->st_uid;
}

/* Looked at before it is opened: opening a device may already do something. */
static enum finding open_file(int folder, const char *name, int *fd, struct stat *status,
                              struct error *error)
{
    struct stat of_folder;
    if (fstat(folder, &of_folder) < 0 || fstatat(folder, name, status, AT_SYMLINK_NOFOLLOW) < 0)
        return FOUND_NOTHING;
    if (S_ISREG(status->st_mode)) {
        *fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (*fd < 0)
            return not_readable(errno, error);
        if (fstat(*fd, status) < 0)
            return FOUND_NOTHING;
    }
    if (!S_ISREG(status->st_mode))
        error_set(error, ERROR_INPUT, "it is not a regular file");
    else if (!is_trusted(status->st_uid, &of_folder))
        error_set(error, ERROR_INPUT, "it belongs to user %u", (unsigned)status->st_uid);
    else if (status->st_size > (off_t)QUEUE_FILE_MAX_BYTES)
        error_set(error, ERROR_INPUT, "it is larger than %u bytes", QUEUE_FILE_MAX_BYTES);
    return error_is_set(error) ? FOUND_GARBAGE : FOUND_REQUEST;
}

/* The file may grow while it is read; no more than the limit is. */
static bool read_all(int fd, struct buffer *bytes)
{
    char chunk[4096];
    while (bytes->length <= QUEUE_FILE_MAX_BYTES) {
        ssize_t count = read(fd, chunk, sizeof(chunk));
        if (count == 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0)
            buffer_add_slice(bytes, chunk, (size_t)count);
    }
    return true;
}

static enum finding read_file(int folder, const char *name, struct request *request,
                              struct error *error)
{
    struct stat status;
    AUTO_CLOSE int fd = -1;
    enum finding found = open_file(folder, name, &fd, &status, error);
    if (found != FOUND_REQUEST)
        return found;
    AUTO_BUFFER struct buffer bytes = {0};
    if (!read_all(fd, &bytes))
        return FOUND_NOTHING;
    if (bytes.length == 0)
        error_set(error, ERROR_INPUT, "it is empty");
    else if (bytes.length > QUEUE_FILE_MAX_BYTES)
        error_set(error, ERROR_INPUT, "it is larger than %u bytes", QUEUE_FILE_MAX_BYTES);
    if (error_is_set(error) || request_from_json(bytes.text, bytes.length, request, error) < 0)
        return FOUND_GARBAGE;
    request->file = text_dup(name);
    if (!request->created)
        request->created = (int64_t)status.st_mtime;
    return FOUND_REQUEST;
}

/* ---- setting aside ---- */

static bool is_why(const char *name)
{
    size_t length = strlen(name);
    return length >= strlen(WHY) && text_equal(name + length - strlen(WHY), WHY);
}

/* A name for it that is free, that can be shown, and that does not look like a reason. */
static char *name_aside(int bad, const char *name)
{
    char tame[128];
    size_t length = 0;
    for (; name[length] && length < sizeof(tame) - 1; length++)
        tame[length] = is_tame(name[length]) && (length || *name != '.') ? name[length] : '_';
    tame[length] = '\0';
    struct stat status;
    for (unsigned i = 0;; i++) {
        char *candidate = i || is_why(tame) ? text_format("%s.%u", tame, i) : text_dup(tame);
        if (fstatat(bad, candidate, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return candidate;
        free(candidate);
    }
}

/* Not synced: a thousand files at once must not take minutes, and the reason is a comfort only. */
static void write_why(int bad, const char *name, const char *reason)
{
    AUTO_FREE char *path = text_format("%s" WHY, name);
    AUTO_FREE char *text = text_format("%s\n", reason);
    for (char *c = text; c[1]; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
    CRASH_AROUND(unlinkat(bad, path, 0));
    AUTO_CLOSE int fd =
        openat(bad, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t length = (ssize_t)strlen(text);
    if (fd >= 0 && write(fd, text, (size_t)length) != length)
        CRASH_AROUND(unlinkat(bad, path, 0));
}

/* False when it cannot be moved: then it stays, and is looked at again the next time. */
static bool set_aside(int folder, const char *name, const char *reason)
{
    AUTO_CLOSE int bad = folder_open_or_make(folder, QUEUE_BAD);
    if (bad < 0)
        return false;
    AUTO_FREE char *aside = name_aside(bad, name);
    if (CRASH_AROUND(renameat(folder, name, bad, aside)) < 0)
        return false;
    write_why(bad, aside, reason);
    return true;
}

/* What a killed writer has left. */
static void remove_leftover(int folder, const char *name)
{
    struct stat status;
    if (text_starts_with(name, QUEUE_NEW) &&
        fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
        status.st_mtime + LEFTOVER_SECONDS < time(NULL))
        CRASH_AROUND(unlinkat(folder, name, 0));
}

/* ---- the whole folder ---- */

static void take_one(int folder, const char *name, struct requests *requests, size_t *bad)
{
    AUTO_ERROR struct error why = {0};
    CLEANUP(request_clear) struct request request = {0};
    enum finding found = FOUND_GARBAGE;
    if (is_request_name(name))
        found = read_file(folder, name, &request, &why);
    else
        error_set(&why, ERROR_INPUT, "its name is not a request's: NAME" SUFFIX);
    if (found == FOUND_GARBAGE && set_aside(folder, name, why.message))
        (*bad)++;
    if (found != FOUND_REQUEST)
        return;
    *requests_add(requests) = request;
    request = (struct request){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int queue_take(const char *state, struct requests *requests, size_t *bad, struct error *error)
{
    *bad = 0;
    AUTO_CLOSE int folder = folder_open_queue(state);
    if (folder < 0)
        return open_failed(state, error);
    CLEANUP(text_list_clear) struct text_list names = {0};
    if (folder_list(folder, &names) < 0)
        return folder_error(error, errno, state, "cannot read the requests");
    if (names.count)
        qsort(names.items, names.count, sizeof(*names.items), by_name);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i];
        if (text_equal(name, QUEUE_BAD))
            continue;
        if (*name == '.')
            remove_leftover(folder, name);
        else
            take_one(folder, name, requests, bad);
    }
    return 0;
}

int queue_done(const char *state, const char *file, struct error *error)
{
    if (!is_request_name(file))
        return error_set(error, ERROR_INPUT, "this is not the name of a request");
    AUTO_CLOSE int folder = folder_open_queue(state);
    if (folder < 0)
        return open_failed(state, error);
    if (CRASH_AROUND(unlinkat(folder, file, 0)) < 0 && errno != ENOENT)
        return folder_error(error, errno, state, "cannot remove a request that was taken");
    /* Also when it was gone already: whoever removed it may have died before this. */
    if (fsync(folder) < 0)
        return folder_error(error, errno, state, "cannot remove a request that was taken");
    return 0;
}

size_t queue_bad(const char *state, char **example)
{
    *example = NULL;
    AUTO_CLOSE int folder = folder_open_queue(state);
    AUTO_CLOSE int bad = folder < 0 ? -1 : folder_open(folder, QUEUE_BAD);
    CLEANUP(text_list_clear) struct text_list names = {0};
    size_t count = 0;
    if (bad < 0 || folder_list(bad, &names) < 0)
        return 0;
    for (size_t i = 0; i < names.count; i++) {
        if (is_why(names.items[i]) || *names.items[i] == '.')
            continue;
        if (!*example)
            *example = text_format("%s/" QUEUE_FOLDER "/" QUEUE_BAD "/%s", state, names.items[i]);
        count++;
    }
    return count;
}
