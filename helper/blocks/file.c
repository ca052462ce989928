/* A file or block device, read and written by a qemu-nbd of our own. */
#include "blocks/file_idle.h"
#include "blocks/file_lock.h"
#include "blocks/qemu_nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

enum access { READING, WRITING, IDLE };

/* The lock on the file lives as long as the child. */
struct file_server {
    struct blocks_server server;
    struct qemu_nbd *child;
    int lock;
    struct file_state state; /* when it was opened, if it is to stay idle */
};

static char *user_name(void)
{
    char room[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) == 0 && found)
        return text_dup(found->pw_name);
    return text_format("number %u", (unsigned)geteuid());
}

/* What we want to do with it, and may not be able to. */
static const char *wish(enum access access)
{
    return access == WRITING ? "written" : "read";
}

static int denied(const char *what, enum access access, struct error *error)
{
    AUTO_FREE char *user = user_name();
    error_set(error, ERROR_DENIED, "%s may not be %s by user %s", what, wish(access), user);
    return error_hint(error,
                      "give the user that virt-pivot runs as %s access to the file and to the "
                      "folders above it",
                      access == WRITING ? "read and write" : "read");
}

static int cannot_open(const char *name, enum access access, int number, struct error *error)
{
    char room[128];
    if (number == EACCES || number == EPERM)
        return denied(name, access, error);
    if (number == EBUSY)
        return file_is_busy(name, "mounted, or a part of another device", error);
    return error_set(error, number == ENOENT ? ERROR_NOT_FOUND : ERROR_FAILED,
                     "%s cannot be opened: %s", name, strerror_r(number, room, sizeof(room)));
}

/* qemu-nbd alone would share writing: a guest on a raw file, now or later, would not be noticed by
 * one that reads, nor another qemu-nbd by one that writes. */
static int lock_image(int fd, enum access access, const char *name, struct error *error)
{
    if (access == IDLE || file_lock(fd, access == WRITING) == 0)
        return 0;
    return file_is_busy(name, access == WRITING ? "in use elsewhere" : "open for writing elsewhere",
                        error);
}

static int open_checked(const char *path, const char *name, enum access access, const char **driver,
                        struct error *error)
{
    /* O_EXCL: of a block device, which the host itself does not use then. */
    const int flags = access == WRITING ? O_RDWR | O_EXCL : O_RDONLY;
    AUTO_CLOSE int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return cannot_open(name, access, errno, error);
    struct stat status;
    if (fstat(fd, &status) < 0)
        return cannot_open(name, access, errno, error);
    if (S_ISREG(status.st_mode))
        *driver = "file";
    else if (S_ISBLK(status.st_mode))
        *driver = "host_device";
    else
        return error_set(error, ERROR_INPUT, "%s is neither a file nor a block device", name);
    if (lock_image(fd, access, name, error) < 0)
        return -1;
    return steal_fd(&fd);
}

/* How it gets on with others. Not idle, QEMU's qcow2 shares its file with no writer: a guest could
 * not start on it. Of one that writes, the lock is ours (lock_image), and would be in its way. */
static const char *sharing(enum access access)
{
    switch (access) {
    case IDLE:
        return ",force-share=on";
    case WRITING:
        return ",file.locking=off";
    default:
        return "";
    }
}

/* A value in --image-opts: a comma is written twice, and everything else stands for itself. */
static char *image_options(const char *path, const char *format, const char *driver,
                           enum access access)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_format(&text, "driver=%s%s,file.driver=%s,file.filename=", format, sharing(access),
                  driver);
    for (const char *at = path; *at; at++)
        buffer_add(&text, (char[]){*at, *at == ',' ? ',' : '\0', '\0'});
    return buffer_take(&text);
}

static int check_format(const char *format, struct error *error)
{
    if (text_empty(format) ||
        strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(format))
        return error_set(error, ERROR_INPUT, "'%s' is no format of an image", format ? format : "");
    return 0;
}

static char *epitaph(struct blocks_server *server)
{
    struct blocks_server *child = qemu_nbd_server(((struct file_server *)server)->child);
    return child->epitaph(child);
}

static int check_idle(struct blocks_server *server, struct error *error)
{
    const struct file_server *file = (const struct file_server *)server;
    return file_check_idle(file->lock, &file->state, error);
}

static void end(struct blocks_server *server)
{
    struct file_server *file = (struct file_server *)server;
    if (file->child)
        qemu_nbd_end(file->child);
    cleanup_close(&file->lock);
    file_state_clear(&file->state);
    free(file);
}

/* A file as it is to be served. */
struct serving {
    const char *name, *options;
    enum access access;
};

/* Why the handshake failed, by what qemu-nbd said. `direct` was tried; *again: worth another try
 * without. */
static int explain(struct file_server *file, const struct serving *serving, bool direct,
                   bool *again, struct error *error)
{
    AUTO_FREE char *ended = epitaph(&file->server);
    if (!ended)
        return -1; /* it runs: the handshake's own error stands */
    AUTO_FREE char *said = qemu_nbd_complaint(file->child);
    *again = direct && (strstr(said, "O_DIRECT") || strstr(said, "direct I/O"));
    if (!*said)
        return error_set(error, ERROR_FAILED, "%s: %s", serving->name, ended);
    bool missing = text_starts_with(said, "qemu-nbd cannot be started");
    enum error_code code = missing                             ? ERROR_FAILED
                           : strstr(said, "Permission denied") ? ERROR_DENIED
                           : strstr(said, " lock")             ? ERROR_BUSY
                           : strstr(said, "No such file")      ? ERROR_NOT_FOUND
                                                               : ERROR_FAILED;
    AUTO_FREE char *user = code == ERROR_DENIED ? user_name() : NULL;
    error_set(error, code, "%s cannot be %s%s%s: %s", serving->name, wish(serving->access),
              user ? " by user " : "", user ? user : "", said);
    if (missing)
        error_hint(error, "it comes with qemu-img (package qemu-img or qemu-utils)");
    return -1;
}

static int open_served(struct file_server *file, const struct serving *serving, bool direct,
                       struct blocks **blocks, bool *again, struct error *error)
{
    const struct qemu_nbd_launch launch = {
        .image_options = serving->options,
        .direct = direct,
        .writable = serving->access == WRITING,
        .lock = file->lock,
    };
    int socket = -1;
    if (qemu_nbd_start(&launch, &file->child, &socket, error) < 0)
        return -1;
    if (blocks_open_socket(socket, serving->name, launch.writable, &file->server, blocks, error) ==
        0)
        return 0;
    explain(file, serving, direct, again, error);
    qemu_nbd_end(STEAL(file->child));
    return -1;
}

static int open_as(const char *path, const char *format, enum access access, struct blocks **blocks,
                   struct error *error)
{
    AUTO_FREE char *name = text_format("file %s", path);
    const char *driver = NULL;
    if (check_format(format, error) < 0)
        return -1;
    int lock = open_checked(path, name, access, &driver, error);
    if (lock < 0)
        return -1;
    struct file_server *file = NEW(struct file_server);
    file->server = (struct blocks_server){
        .epitaph = epitaph, .check_idle = access == IDLE ? check_idle : NULL, .end = end};
    file->lock = lock;
    if (access == IDLE && file_look(lock, name, &file->state, error) < 0) {
        end(&file->server);
        return -1;
    }

    AUTO_FREE char *options = image_options(path, format, driver, access);
    const struct serving serving = {name, options, access};
    bool again = false;
    int result = open_served(file, &serving, true, blocks, &again, error);
    if (result < 0 && again) {
        error_clear(error);
        result = open_served(file, &serving, false, blocks, &again, error);
    }
    if (result < 0)
        end(&file->server);
    return result;
}

int blocks_open_file(const char *path, const char *format, bool writable, struct blocks **blocks,
                     struct error *error)
{
    return open_as(path, format, writable ? WRITING : READING, blocks, error);
}

int blocks_open_file_idle(const char *path, const char *format, struct blocks **blocks,
                          struct error *error)
{
    return open_as(path, format, IDLE, blocks, error);
}
