/* The policy's files: which, in which order, and read within bounds. */
#include "base/text.h"
#include "policy/draft.h"
#include "policy/mons.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { MAX_FILES = 256 };

static int cannot_read(const char *path, int number, struct error *error)
{
    enum error_code code = number == ENOENT || number == ENOTDIR ? ERROR_NOT_FOUND
                           : number == EACCES || number == EPERM ? ERROR_DENIED
                                                                 : ERROR_FAILED;
    return error_set(error, code, "cannot read '%s': %s", path, strerror(number));
}

static int too_large(const char *path, struct error *error)
{
    return error_set(error, ERROR_INPUT, "'%s' is larger than %u bytes", path, POLICY_MAX_BYTES);
}

static int read_all(int fd, const char *path, struct buffer *content, struct error *error)
{
    char block[16384];
    for (;;) {
        ssize_t count = read(fd, block, sizeof(block));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return cannot_read(path, errno, error);
        if (count == 0)
            return 0;
        buffer_add_slice(content, block, (size_t)count);
        if (content->length > POLICY_MAX_BYTES)
            return too_large(path, error);
    }
}

int policy_file_read(const char *path, char **text, size_t *length, struct error *error)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return cannot_read(path, errno, error);
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_INPUT, "'%s' is not a regular file", path);
    if (status.st_size > (off_t)POLICY_MAX_BYTES)
        return too_large(path, error);
    AUTO_BUFFER struct buffer content = {0};
    if (read_all(fd, path, &content, error) < 0)
        return -1;
    *length = content.length;
    *text = buffer_take(&content);
    return 0;
}

/* Of what was found to be there: a dangling link is a fault of the policy, not the lack of one. */
static int add_file(struct policy_draft *draft, const char *path, bool version_required,
                    struct error *error)
{
    AUTO_FREE char *text = NULL;
    size_t length = 0;
    if (policy_file_read(path, &text, &length, error) < 0) {
        error->code = ERROR_POLICY;
        return -1;
    }
    return policy_draft_add(draft, text, length, path, version_required, error);
}

/* Hidden files are left out: editors keep their locks and backups so. */
static bool is_drop_in(const char *name)
{
    static const char suffix[] = ".yaml";
    size_t length = strlen(name);
    return *name != '.' && length >= sizeof(suffix) &&
           strcmp(name + length - strlen(suffix), suffix) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void closedirp(DIR *const *directory)
{
    if (*directory)
        closedir(*directory);
}

/* The paths of the drop-ins, sorted by name whatever the locale; none when there is no folder. */
static int list_drop_ins(const char *folder, struct text_list *paths, struct error *error)
{
    CLEANUP(closedirp) DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT)
        return 0;
    if (!directory) {
        cannot_read(folder, errno, error);
        error->code = ERROR_POLICY;
        return -1;
    }
    errno = 0; /* readdir(3) tells its end and its failure apart by errno alone */
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (!is_drop_in(entry->d_name))
            continue;
        if (paths->count == MAX_FILES)
            return error_set(error, ERROR_POLICY, "'%s' has more than %d files", folder, MAX_FILES);
        *text_list_add(paths) = text_format("%s/%s", folder, entry->d_name);
        errno = 0;
    }
    if (errno != 0) {
        cannot_read(folder, errno, error);
        error->code = ERROR_POLICY;
        return -1;
    }
    if (paths->count > 0)
        qsort(paths->items, paths->count, sizeof(*paths->items), compare_names);
    return 0;
}

static int add_main_file(struct policy_draft *draft, const char *folder, struct error *error)
{
    AUTO_FREE char *path = text_format("%s/policy.yaml", folder);
    struct stat status;
    if (lstat(path, &status) < 0 && errno == ENOENT)
        return 0;
    return add_file(draft, path, true, error);
}

static int add_folder(struct policy_draft *draft, const char *folder, struct error *error)
{
    if (add_main_file(draft, folder, error) < 0)
        return -1;
    AUTO_FREE char *drop_in_folder = text_format("%s/policy.d", folder);
    CLEANUP(text_list_clear) struct text_list paths = {0};
    if (list_drop_ins(drop_in_folder, &paths, error) < 0)
        return -1;
    for (size_t i = 0; i < paths.count; i++)
        if (add_file(draft, paths.items[i], false, error) < 0)
            return -1;
    if (draft->policy->files.count > 0)
        return 0;
    error_set(error, ERROR_NOT_FOUND, "there is no policy: neither %s/policy.yaml nor %s/*.yaml",
              folder, drop_in_folder);
    return error_hint(error, "see virt-pivot-policy(5) for how to write one");
}

int policy_load(const char *path, const struct policy **policy, struct error *error)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        cannot_read(path, errno, error);
        if (error->code != ERROR_NOT_FOUND)
            error->code = ERROR_POLICY;
        return error_hint(error, "see virt-pivot-policy(5) for how to write a policy");
    }
    CLEANUP(policy_draft_clear) struct policy_draft draft = {0};
    if (policy_draft_begin(&draft, error) < 0)
        return -1;
    draft.reads_files = true;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    AUTO_FREE char *plain = text_slice(path, length);
    int result = S_ISDIR(status.st_mode) ? add_folder(&draft, plain, error)
                                         : add_file(&draft, plain, true, error);
    return result < 0 ? -1 : policy_draft_finish(&draft, policy, error);
}
