#include "ceph/image_create.h"

#include "base/crash.h"
#include "ceph/image_names.h"

#include <time.h>

#define FEATURES                                                                                   \
    (RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP |                  \
     RBD_FEATURE_FAST_DIFF | RBD_FEATURE_DEEP_FLATTEN)
#define MAX_IMAGE_NAME 96
#define MAX_TOKEN 64
#define MIN_ORDER 12
#define MAX_ORDER 25

/* The watch of a client that was killed lasts 30 s: the half-made image of an earlier try may still
 * be watched by that try. */
#define STALE_WATCH_SECONDS 40

char *ceph_draft_name(const char *token)
{
    return text_format(".virt-pivot.%s", token);
}

int ceph_token_check(const char *token, struct error *error)
{
    size_t length = token ? strlen(token) : 0;
    if (length == 0 || length > MAX_TOKEN ||
        strspn(token, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != length)
        return error_set(error, ERROR_INPUT,
                         "a token has 1 to %d letters, digits and dashes, which this one has not",
                         MAX_TOKEN);
    return 0;
}

int ceph_image_name_check(const char *image, struct error *error)
{
    const char *problem = NULL;
    if (text_empty(image))
        problem = "it is empty";
    else if (*image == '.')
        problem = "it begins with a dot";
    else if (strpbrk(image, "/@"))
        problem = "rbd reads '/' and '@' as separators";
    else if (strlen(image) > MAX_IMAGE_NAME)
        problem = "it is longer than 96 bytes";
    for (const char *at = image; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            problem = "it holds a control character";
    if (!problem)
        return 0;

    AUTO_FREE char *shown = ceph_printable(image ? image : "");
    error_set(error, ERROR_INPUT, "'%s' cannot be an image's name: %s", shown, problem);
    return error_hint(error, "the tier's 'image:' in the policy makes the name");
}

static unsigned order_of(uint64_t object_size)
{
    unsigned order = 0;
    while (order < 63 && (1ull << order) < object_size)
        order++;
    return order;
}

int ceph_image_spec_check(const struct ceph_image_spec *spec, struct error *error)
{
    if (ceph_token_check(spec->token, error) < 0 ||
        ceph_image_name_check(spec->name.image, error) < 0)
        return -1;
    if (spec->size == 0)
        return error_set(error, ERROR_INPUT, "image '%s' would have no size", spec->name.image);
    unsigned order = order_of(spec->object_size);
    if (order < MIN_ORDER || order > MAX_ORDER || (1ull << order) != spec->object_size)
        return error_set(error, ERROR_INPUT,
                         "an object size of %llu is not a power of two from 4 KiB to 32 MiB",
                         (unsigned long long)spec->object_size);
    return 0;
}

int ceph_claim_read(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    struct ceph_claim *claim, struct error *error)
{
    *claim = (struct ceph_claim){0};
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    int result = rbd_get_size(open.image, &claim->size);
    if (result == 0)
        result = ceph_metadata_read(open.image, CEPH_KEY_TOKEN, &claim->token);
    if (result < 0) {
        AUTO_FREE char *text = ceph_image_text(name);
        return ceph_failure(error, cluster, name->pool, result,
                            "image %s: whose it is cannot be read", text);
    }
    claim->exists = true;
    return 0;
}

void ceph_claim_clear(struct ceph_claim *claim)
{
    free(claim->token);
    *claim = (struct ceph_claim){0};
}

/* An image being made. */
struct making {
    struct ceph_cluster *cluster;
    const struct ceph_image_spec *spec;
    rados_ioctx_t pool;
    struct ceph_image_name draft; /* the same place, under the draft's name */
    char *text;                   /* the final name, for messages */
};

static int making_failed(const struct making *making, int result, const char *what,
                         struct error *error)
{
    return ceph_failure(error, making->cluster, making->spec->name.pool, result, "image %s: %s",
                        making->text, what);
}

static int check_place(const struct making *making, struct error *error)
{
    const struct ceph_image_name *name = &making->spec->name;
    bool exists = false;
    if (ceph_namespace_exists(making->cluster, name->pool, name->name_space, &exists, error) < 0)
        return -1;
    if (!exists) {
        error_set(error, ERROR_NOT_FOUND, "cluster '%s': pool '%s' has no namespace '%s'",
                  making->cluster->name, name->pool, name->name_space);
        return error_hint(error, "'rbd namespace create %s/%s' makes it", name->pool,
                          name->name_space);
    }
    if (!making->spec->data_pool)
        return 0;
    AUTO_POOL rados_ioctx_t data = NULL;
    if (ceph_pool_open(making->cluster, making->spec->data_pool, NULL, &data, error) < 0)
        return error_prefix(error, "data pool of image %s", making->text);
    return 0;
}

static int exists_error(const struct making *making, const char *why, struct error *error)
{
    error_set(error, ERROR_EXISTS, "cluster '%s': image %s exists already%s; it was not touched",
              making->cluster->name, making->text, why);
    return error_hint(error,
                      "'rbd info %s' and 'rbd image-meta ls %s' tell what it is; rename or remove "
                      "it, or choose another 'image:' in the policy's tier",
                      making->text, making->text);
}

/* What stands under the final name: nothing, our own finished image, or somebody else's. */
static int look_at_final(const struct making *making, bool *finished, struct error *error)
{
    AUTO_CLAIM struct ceph_claim claim = {0};
    if (ceph_claim_read(making->cluster, &making->spec->name, &claim, error) < 0)
        return -1;
    *finished = claim.exists && text_equal(claim.token, making->spec->token) &&
                claim.size == making->spec->size;
    if (!claim.exists || *finished)
        return 0;
    if (text_equal(claim.token, making->spec->token))
        return exists_error(making, ", of this move, but with another size", error);
    return exists_error(making, claim.token ? ", of another move" : "", error);
}

int ceph_image_set_options(const struct ceph_image_spec *spec, rbd_image_options_t options)
{
    int result = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FORMAT, 2);
    if (result == 0)
        result = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, FEATURES);
    if (result == 0)
        result = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_ORDER,
                                              order_of(spec->object_size));
    if (result == 0) /* one object after the other, whatever a configuration says */
        result =
            rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_STRIPE_UNIT, spec->object_size);
    if (result == 0)
        result = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_STRIPE_COUNT, 1);
    if (result == 0 && spec->data_pool)
        result = rbd_image_options_set_string(options, RBD_IMAGE_OPTION_DATA_POOL, spec->data_pool);
    return result;
}

static int create_draft(const struct making *making, struct error *error)
{
    rbd_image_options_t options = NULL;
    rbd_image_options_create(&options);
    int result = ceph_image_set_options(making->spec, options);
    if (result == 0)
        result = CRASH_AROUND(
            rbd_create4(making->pool, making->draft.image, making->spec->size, options));
    rbd_image_options_destroy(options);
    return result < 0 ? making_failed(making, result, "cannot be created", error) : 0;
}

/* The token first: from then on the image itself says whose it is. */
int ceph_image_write_metadata(struct ceph_cluster *cluster, const struct ceph_image_name *draft,
                              const struct ceph_image_spec *spec, struct error *error)
{
    struct tm now;
    time_t seconds = time(NULL);
    char created[32];
    strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &now));
    const struct {
        const char *key, *value;
    } entries[] = {
        {CEPH_KEY_TOKEN, spec->token},
        {"virt-pivot.domain", spec->domain_name},
        {"virt-pivot.domain-uuid", spec->domain_uuid},
        {"virt-pivot.target", spec->target},
        {"virt-pivot.source", spec->source},
        {"virt-pivot.created", created},
    };

    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, draft, false, &open, error) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        int result =
            text_empty(entries[i].value)
                ? 0
                : CRASH_AROUND(rbd_metadata_set(open.image, entries[i].key, entries[i].value));
        if (result < 0) {
            AUTO_FREE char *text = ceph_image_text(&spec->name);
            return ceph_failure(error, cluster, spec->name.pool, result,
                                "image %s: its metadata cannot be written", text);
        }
    }
    return 0;
}

static int publish(const struct making *making, struct error *error)
{
    int result =
        CRASH_AROUND(rbd_rename(making->pool, making->draft.image, making->spec->name.image));
    if (result == -EEXIST)
        return exists_error(making, ": somebody made it in this moment", error);
    return result < 0 ? making_failed(making, result, "cannot be given its name", error) : 0;
}

static int make(const struct making *making, struct error *error)
{
    int result = ceph_names_prepare_trash(making->pool);
    if (result < 0)
        return making_failed(making, result, "cannot be created", error);
    if (ceph_draft_remove(making->cluster, &making->draft, making->pool,
                          ceph_clock() + STALE_WATCH_SECONDS, error) < 0)
        return error_prefix(error, "half-made image of an earlier try");
    if (create_draft(making, error) < 0 ||
        ceph_image_write_metadata(making->cluster, &making->draft, making->spec, error) < 0)
        return -1;
    return publish(making, error);
}

/* After a failure: nothing of ours is left, if the cluster answers. The error stays what it was. */
static void clean_up(const struct making *making, struct error *error)
{
    AUTO_ERROR struct error trouble = {0};
    bool reachable = error->code != ERROR_UNREACHABLE && error->code != ERROR_DISCONNECTED;
    if (reachable &&
        ceph_draft_remove(making->cluster, &making->draft, making->pool, 0, &trouble) == 0)
        return;
    AUTO_FREE char *message =
        text_format("%s (a half-made image %s may be left in pool '%s'; the next try or "
                    "'virt-pivot recover' removes it)",
                    error->message, making->draft.image, making->draft.pool);
    free(error->message);
    error->message = STEAL(message);
}

static int create(const struct making *making, struct error *error)
{
    if (check_place(making, error) < 0)
        return -1;
    int result = ceph_names_settle(making->pool, making->draft.image, making->spec->name.image);
    if (result < 0)
        return making_failed(making, result,
                             "what an earlier try may have left cannot be looked at", error);

    bool finished = false;
    if (look_at_final(making, &finished, error) == 0 && (finished || make(making, error) == 0))
        return 0;
    clean_up(making, error);
    return -1;
}

int ceph_image_create(struct ceph_cluster *cluster, const struct ceph_image_spec *spec,
                      struct error *error)
{
    if (ceph_image_spec_check(spec, error) < 0)
        return -1;
    AUTO_POOL rados_ioctx_t pool = NULL;
    if (ceph_pool_open(cluster, spec->name.pool, spec->name.name_space, &pool, error) < 0)
        return -1;
    AUTO_FREE char *draft = ceph_draft_name(spec->token);
    AUTO_FREE char *text = ceph_image_text(&spec->name);
    const struct making making = {
        cluster, spec, pool, {spec->name.pool, spec->name.name_space, draft}, text};
    return create(&making, error);
}
