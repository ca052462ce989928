/* What an image stands on, as its header has it. Headers are hostile: a guest may have written
 * them. */
#include "base/text.h"
#include "files/private.h"

#include <errno.h>
#include <fcntl.h>

/* docs/interop/qcow2.txt of QEMU */
#define LONGEST_NAME 1023
#define HEADER_2 72 /* bytes, of version 2; later ones say how long they are */
#define BACKING_FORMAT 0xe2792acau
#define LONGEST_FORMAT 15

#define MOST_EXTENSIONS 64
#define MOST_LAYERS 256 /* more than libvirt takes (200) */

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

void file_backing_clear(struct file_backing *backing)
{
    free(backing->path);
    free(backing->format);
    *backing = (struct file_backing){0};
}

/* From the extensions behind the header; NULL if there is none, or none that makes sense. */
static char *read_backing_format(int fd, const unsigned char *head)
{
    uint64_t at = big_endian(head + 4, 4) > 2 ? big_endian(head + 100, 4) : HEADER_2;
    char format[LONGEST_FORMAT + 1] = "";
    unsigned char extension[8];
    for (int i = 0; i < MOST_EXTENSIONS; i++) {
        if (pread(fd, extension, sizeof(extension), (off_t)at) != sizeof(extension))
            return NULL;
        uint64_t kind = big_endian(extension, 4), length = big_endian(extension + 4, 4);
        at += sizeof(extension);
        if (kind == 0)
            return NULL;
        if (kind == BACKING_FORMAT)
            return length > 0 && length <= LONGEST_FORMAT &&
                           pread(fd, format, length, (off_t)at) == (ssize_t)length
                       ? text_dup(format)
                       : NULL;
        at += (length + 7) / 8 * 8;
    }
    return NULL;
}

int files_backing(const char *path, const char *format, struct file_backing *backing,
                  struct error *error)
{
    unsigned char head[104] = {0};
    char name[LONGEST_NAME + 1] = "";
    *backing = (struct file_backing){0};
    if (text_equal(format, "raw"))
        return 0;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return files_fail(path, "opened to see what it stands on", errno, error);
    if (pread(fd, head, sizeof(head), 0) < 0)
        return files_fail(path, "read", errno, error);
    bool is_qcow = memcmp(head, "QFI\xfb", 4) == 0;
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
    backing->path = absolute(path, name);
    backing->format = read_backing_format(fd, head);
    return 0;
}

static int refuse_unnamed(const char *path, const char *below, struct error *error)
{
    error_set(
        error, ERROR_UNSUPPORTED,
        "%s stands on %s and does not say of which format that is: it would be guessed by what "
        "a guest may have written there",
        path, below);
    return error_hint(error,
                      "'qemu-img rebase -u -F FORMAT -b %s %s' writes it down (raw or qcow2, "
                      "as it was made), while the guest is off",
                      below, path);
}

int files_check_chain(const char *path, const char *format, struct error *error)
{
    AUTO_FREE char *layer = text_dup(path);
    AUTO_FREE char *its_format = text_dup(format);
    for (int i = 0; i < MOST_LAYERS && *layer == '/' && text_equal(its_format, "qcow2"); i++) {
        CLEANUP(file_backing_clear) struct file_backing below = {0};
        if (files_backing(layer, its_format, &below, error) < 0)
            return -1;
        if (!below.path)
            return 0;
        if (!below.format)
            return refuse_unnamed(layer, below.path, error);
        free(layer);
        free(its_format);
        layer = STEAL(below.path);
        its_format = STEAL(below.format);
    }
    return 0;
}
