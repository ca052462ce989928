/* Image files, as things with a name in a folder: who has them open, renamed aside and back,
 * removed. What is in them is none of this layer's business. */
#ifndef VP_FILES_FILES_H
#define VP_FILES_FILES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A file's inode number and, where it is known, its time of birth. */
#define FILES_IDENTITY 64

struct file_look {
    bool exists;
    bool regular;                  /* else it is a block device, a folder, … */
    uint64_t size, allocated;      /* bytes */
    unsigned links;                /* names that the file has */
    bool is_link;                  /* the path is a symbolic link */
    char identity[FILES_IDENTITY]; /* tells it from another file that gets its name */
};
/* Follows symbolic links, as QEMU does. ERROR_DENIED when a folder may not be entered. */
int files_look(const char *path, struct file_look *look, struct error *error) MUST_CHECK;

/* Whether two paths lead to one file. */
bool files_are_one(const char *a, const char *b);

/* Who has the file open: *holder is a new string ("process 4711 (qemu-system-x86)", "a process that
 * cannot be seen"), NULL when nobody has, or there is no such file. It asks for QEMU's image locks,
 * for any other lock, for a lease, which the kernel grants only when nobody else has the file open,
 * and looks at every process's open files that it may see. ERROR_DENIED when the file may not be
 * opened: then nobody knows. */
int files_holder(const char *path, char **holder, struct error *error) MUST_CHECK;

/* Both within one folder, and durable when they return.
 * Never replaces anything: ERROR_EXISTS when both names exist. Success when only `to` exists: it
 * was done before. ERROR_NOT_FOUND when neither does. A symbolic link is renamed itself. */
int files_rename(const char *from, const char *to, struct error *error) MUST_CHECK;
/* Success when there is no such file. Refuses what is no regular file or link to one
 * (ERROR_UNSUPPORTED). Other names of the file stay. */
int files_remove(const char *path, struct error *error) MUST_CHECK;

/* What a qcow2 image stands on, as its header has it; new strings. */
struct file_backing {
    char *path; /* made absolute; not of a file's kind ("rbd:…", "json:…", "nbd://…"): as it is
                   written; NULL: there is none */
    char *format; /* NULL: the header does not say */
};
void file_backing_clear(struct file_backing *backing);
int files_backing(const char *path, const char *format, struct file_backing *backing,
                  struct error *error) MUST_CHECK;
/* Whether every layer below a qcow2 image is named with its format, so that QEMU's tools need not
 * guess it by what a guest may have written there: ERROR_UNSUPPORTED if not. */
int files_check_chain(const char *path, const char *format, struct error *error) MUST_CHECK;

struct file_disk {
    uint64_t size; /* bytes that a guest sees; 0: not known, for formats other than raw and qcow2 */
    bool cannot_hide; /* qcow2 of version 2, on a backing file: it cannot hold a zero where that one
                         has data */
};
/* ERROR_NOT_FOUND when there is no such file; ERROR_DENIED when it may not be read. */
int files_disk(const char *path, const char *format, struct file_disk *disk, struct error *error)
    MUST_CHECK;

#endif
