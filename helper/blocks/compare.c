#include "blocks/digest.h"
#include "blocks/pipeline.h"

struct comparing {
    struct pipeline pipeline;
    struct blocks_digester digesters[2];
    struct blocks_comparison *found;
};

/* Where two pieces that differ do so first; one of them may be all zeros without being there. */
static size_t first_difference(const struct piece *piece)
{
    if (!piece->sides[0].hole && !piece->sides[1].hole)
        return blocks_first_difference(piece->sides[0].data, piece->sides[1].data, piece->length);
    const char *data = piece->sides[piece->sides[0].hole ? 1 : 0].data;
    size_t at = 0;
    while (at < piece->length && data[at] == 0)
        at++;
    return at;
}

static struct blocks_hash side_hash(const struct piece *piece, size_t side)
{
    const struct blocks_hash zeros = {{0}};
    return piece->sides[side].hole ? zeros
                                   : blocks_piece_hash(piece->sides[side].data, piece->length);
}

static int compare_piece(void *user, struct piece *piece, struct error *error UNUSED)
{
    struct comparing *comparing = user;
    struct blocks_comparison *found = comparing->found;
    bool both = !piece->sides[0].hole && !piece->sides[1].hole;
    bool same = both && memcmp(piece->sides[0].data, piece->sides[1].data, piece->length) == 0;
    struct blocks_hash hashes[2];
    hashes[0] = side_hash(piece, 0);
    hashes[1] = same ? hashes[0] : side_hash(piece, 1);

    bool equal = same || (!both && memcmp(&hashes[0], &hashes[1], sizeof(hashes[0])) == 0);
    if (!equal && found->differing++ == 0) {
        found->equal = false;
        found->first_difference = piece->offset + first_difference(piece);
    }
    for (size_t i = 0; i < 2; i++) {
        blocks_digest_add_zeros(&comparing->digesters[i], piece->zeros);
        blocks_digest_add(&comparing->digesters[i], &hashes[i]);
    }
    return 0;
}

static int compare(struct comparing *comparing, struct error *error)
{
    struct pipeline *pipeline = &comparing->pipeline;
    if (pipeline_open(pipeline, error) < 0 || pipeline_run(pipeline, error) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++)
        blocks_digest_add_zeros(&comparing->digesters[i], pipeline->zeros);
    blocks_digest_end(&comparing->digesters[0], &comparing->found->first);
    blocks_digest_end(&comparing->digesters[1], &comparing->found->second);
    comparing->found->read = pipeline->read;
    if (pipeline->watch && pipeline->watch->progress)
        pipeline->watch->progress(pipeline->watch->opaque, pipeline_progress(pipeline),
                                  pipeline->read);
    return 0;
}

int blocks_compare(struct blocks *first, struct blocks *second, const struct blocks_watch *watch,
                   struct blocks_comparison *comparison, struct error *error)
{
    static const struct pipeline_use use = {.piece = BLOCKS_PIECE, .done = compare_piece};
    *comparison = (struct blocks_comparison){.equal = true};
    if (blocks_check_sizes(first, second, error) < 0)
        return -1;

    AUTO_FREE struct comparing *comparing = NEW(struct comparing);
    struct pipeline *pipeline = &comparing->pipeline;
    comparing->found = comparison;
    *pipeline = (struct pipeline){.use = &use,
                                  .user = comparing,
                                  .disks = {first, second},
                                  .readers = 2,
                                  .size = blocks_padded(first->size),
                                  .watch = watch,
                                  .progress = &pipeline->position};
    for (size_t i = 0; i < 2; i++)
        blocks_digest_start(&comparing->digesters[i]);
    int result = compare(comparing, error);
    pipeline_close(pipeline);
    for (size_t i = 0; i < 2; i++)
        blocks_digest_clear(&comparing->digesters[i]);
    return result;
}
