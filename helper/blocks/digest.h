/* SHA-256 of a disk, by pieces (blocks.h says how), and what else is asked of bytes. */
#ifndef VP_BLOCKS_DIGEST_H
#define VP_BLOCKS_DIGEST_H

#include "blocks/private.h"

#include <openssl/evp.h>

#define BLOCKS_HASH 32

struct blocks_hash {
    unsigned char bytes[BLOCKS_HASH];
};

bool blocks_all_zeros(const char *data, size_t length);
/* Where two buffers that differ do so first. */
size_t blocks_first_difference(const char *first, const char *second, size_t length);

/* Of one piece; all zeros have the hash of 32 zero bytes. */
struct blocks_hash blocks_piece_hash(const char *data, size_t length);

/* Of the disk: each piece's hash, in order. */
struct blocks_digester {
    EVP_MD_CTX *context;
};
void blocks_digest_start(struct blocks_digester *digester);
void blocks_digest_add(struct blocks_digester *digester, const struct blocks_hash *hash);
void blocks_digest_add_zeros(struct blocks_digester *digester, uint64_t pieces);
/* May be called once; releases the digester. */
void blocks_digest_end(struct blocks_digester *digester, struct blocks_digest *digest);
void blocks_digest_clear(struct blocks_digester *digester);

#endif
