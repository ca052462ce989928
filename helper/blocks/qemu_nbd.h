/* A qemu-nbd of our own: a child process with one client, us, over a socket that has no name any
 * more when the child starts. It ends with us, whatever ends us. */
#ifndef VP_BLOCKS_QEMU_NBD_H
#define VP_BLOCKS_QEMU_NBD_H

#include "blocks/nbd.h"

struct qemu_nbd;

struct qemu_nbd_launch {
    const char *image_options; /* the image, in the form of --image-opts */
    bool direct;               /* without the page cache */
    bool writable;
    int lock; /* of the image, if we have it: the child keeps it until it is gone itself */
};

/* *socket is our end, connected: it shakes hands when the image is open. The thread that calls this
 * has to live as long as the child is needed. */
int qemu_nbd_start(const struct qemu_nbd_launch *launch, struct qemu_nbd **child, int *socket,
                   struct error *error) MUST_CHECK;
/* Ends it. One that writes is given a while to close its image, if its client is gone; else nothing
 * is waited for. */
void qemu_nbd_end(struct qemu_nbd *child);
DEFINE_CLEANUP(struct qemu_nbd, qemu_nbd_end);

/* For blocks_open_socket, which then ends the child with the disk. */
struct blocks_server *qemu_nbd_server(struct qemu_nbd *child);

/* What it said on stderr, its last line, without control characters; new string, "" if nothing.
 * Call it when the handshake has failed: waits a moment for it to end. */
char *qemu_nbd_complaint(struct qemu_nbd *child) MUST_CHECK;

/* Whether the PATH that we have leads to one. */
bool qemu_nbd_is_installed(void);

#endif
