/* An NBD server that does what a good one does not: it knows no holes, breaks off, answers with
 * errors, or not at all. */
#ifndef TESTS_UNIT_BLOCKS_TINY_SERVER_H
#define TESTS_UNIT_BLOCKS_TINY_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct tiny_server {
    uint64_t size; /* of zeros */
    bool silent;   /* says nothing, not even hello */
    int fail_at;   /* this read is answered with EIO; the first is 1, 0: none */
    int hang_up_at;
    int stop_at; /* from this one on, none is answered */

    char folder[64], uri[160];
    int listening, reads;
    pthread_t thread;
};

void tiny_server_start(struct tiny_server *server);
void tiny_server_end(struct tiny_server *server); /* its client is gone */

#endif
