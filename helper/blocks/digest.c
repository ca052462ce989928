#include "blocks/digest.h"

#define STEP 4096

/* SHA-256 cannot fail but for want of memory. */
static void must(int done)
{
    if (!done)
        abort();
}

bool blocks_all_zeros(const char *data, size_t length)
{
    static const char zeros[16];
    if (length <= sizeof(zeros))
        return memcmp(data, zeros, length) == 0;
    /* The first 16 are zeros, and each byte equals the one 16 further on. */
    return memcmp(data, zeros, sizeof(zeros)) == 0 &&
           memcmp(data, data + sizeof(zeros), length - sizeof(zeros)) == 0;
}

size_t blocks_first_difference(const char *first, const char *second, size_t length)
{
    size_t at = 0;
    while (length - at > STEP && memcmp(first + at, second + at, STEP) == 0)
        at += STEP;
    while (at < length && first[at] == second[at])
        at++;
    return at;
}

struct blocks_hash blocks_piece_hash(const char *data, size_t length)
{
    struct blocks_hash hash = {{0}};
    if (!blocks_all_zeros(data, length))
        must(EVP_Digest(data, length, hash.bytes, NULL, EVP_sha256(), NULL));
    return hash;
}

void blocks_digest_start(struct blocks_digester *digester)
{
    digester->context = EVP_MD_CTX_new();
    must(digester->context != NULL && EVP_DigestInit_ex(digester->context, EVP_sha256(), NULL));
}

void blocks_digest_add(struct blocks_digester *digester, const struct blocks_hash *hash)
{
    must(EVP_DigestUpdate(digester->context, hash->bytes, sizeof(hash->bytes)));
}

void blocks_digest_add_zeros(struct blocks_digester *digester, uint64_t pieces)
{
    const struct blocks_hash zeros = {{0}};
    for (; pieces; pieces--)
        blocks_digest_add(digester, &zeros);
}

void blocks_digest_end(struct blocks_digester *digester, struct blocks_digest *digest)
{
    struct blocks_hash hash;
    must(EVP_DigestFinal_ex(digester->context, hash.bytes, NULL));
    for (size_t i = 0; i < sizeof(hash.bytes); i++)
        snprintf(digest->text + 2 * i, 3, "%02x", hash.bytes[i]);
    blocks_digest_clear(digester);
}

void blocks_digest_clear(struct blocks_digester *digester)
{
    EVP_MD_CTX_free(digester->context);
    digester->context = NULL;
}
