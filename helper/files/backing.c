/* What an image stands on, as its header has it. Headers are hostile: a guest may have written
 * them. */
#include "base/text.h"
#include "files/private.h"

#include <errno.h>
#include <fcntl.h>

#define LONGEST_NAME 1023 /* QEMU's own limit (docs/interop/qcow2.txt) */

static uint64_t big_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* "json:{…"filename":"PATH"…}", as QEMU and libvirt write it where a plain path would not do. */
static char *file_of_json(const char *text)
{
    static const char key[] = "\"filename\"";
    const char *at = strstr(text, key);
    at = at ? strchr(at + strlen(key), '"') : NULL;
    const char *end = at ? strchr(at + 1, '"') : NULL;
    return end ? text_slice(at + 1, (size_t)(end - at - 1)) : text_dup(text);
}

static char *absolute(const char *path, const char *name)
{
    if (text_starts_with(name, "json:"))
        return file_of_json(name);
    if (text_starts_with(name, "file:"))
        name += strlen("file:");
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
    bool is_protocol = colon && (!slash || colon < slash);
    const char *end = strrchr(path, '/');
    if (*name == '/' || is_protocol || !end)
        return text_dup(name);
    return text_format("%.*s/%s", (int)(end - path), path, name);
}

int files_backing(const char *path, const char *format, char **backing, struct error *error)
{
    unsigned char head[20];
    char name[LONGEST_NAME + 1] = "";
    *backing = NULL;
    if (text_equal(format, "raw"))
        return 0;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return files_fail(path, "opened to see what it stands on", errno, error);
    ssize_t got = pread(fd, head, sizeof(head), 0);
    if (got < 0)
        return files_fail(path, "read", errno, error);
    bool is_qcow = got == sizeof(head) && memcmp(head, "QFI\xfb", 4) == 0;
    if (!is_qcow && format && !text_starts_with(format, "qcow"))
        return error_set(error, ERROR_UNSUPPORTED,
                         "what %s stands on is not known: its format %s is not one that virt-pivot "
                         "reads",
                         path, format);
    uint64_t offset = is_qcow ? big_endian(head + 8, 8) : 0;
    uint64_t length = is_qcow ? big_endian(head + 16, 4) : 0;
    if (offset == 0 || length == 0)
        return 0;
    if (length > LONGEST_NAME || offset > INT64_MAX ||
        pread(fd, name, length, (off_t)offset) != (ssize_t)length)
        return error_set(error, ERROR_INPUT, "the header of %s is damaged", path);
    *backing = absolute(path, name);
    return 0;
}
