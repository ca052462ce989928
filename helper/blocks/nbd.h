/* NBD: what a server exports, whoever started it. */
#ifndef VP_BLOCKS_NBD_H
#define VP_BLOCKS_NBD_H

#include "blocks/private.h"

/* The server that we started for it: told when something fails, and ended when the disk is closed.
 */
struct blocks_server {
    /* Why it is gone, new string; NULL: it is not. */
    char *(*epitaph)(struct blocks_server *server);
    /* blocks_check_idle; NULL: nothing can be known. */
    int (*check_idle)(struct blocks_server *server, struct error *error);
    void (*end)(struct blocks_server *server);
};

/* Shakes hands on a connected socket, which is taken over. On failure the server is left alone. */
int blocks_open_socket(int socket, const char *name, bool writable, struct blocks_server *server,
                       struct blocks **blocks, struct error *error) MUST_CHECK;

#endif
