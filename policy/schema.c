#include "policy/schema.h"

#include "policy/draft.h"

#define POLICY(field) offsetof(struct policy, field)
#define CLUSTER(field) offsetof(struct policy_cluster, field)
#define TIER(field) offsetof(struct policy_tier, field)
#define RULE(field) offsetof(struct policy_rule, field)

/* QEMU's own bound for I/O limits (THROTTLE_VALUE_MAX); librbd takes more than anyone has. */
#define QOS_MAX 1000000000000000ull

static const struct policy_word enforce_words[] = {
    {"rbd", QOS_RBD}, {"iotune", QOS_IOTUNE}, {NULL, 0}};
static const struct policy_word mode_words[] = {{"background", COPY_BACKGROUND},
                                                {"synchronous", COPY_SYNCHRONOUS},
                                                {"auto", COPY_AUTO},
                                                {NULL, 0}};
static const struct policy_word definition_words[] = {
    {"auto", DEFINITION_AUTO}, {"dance", DEFINITION_DANCE}, {"keep", DEFINITION_KEEP}, {NULL, 0}};
static const struct policy_word offline_words[] = {
    {"copy", OFFLINE_COPY}, {"migrate", OFFLINE_MIGRATE}, {NULL, 0}};
static const struct policy_word verify_words[] = {
    {"none", VERIFY_NONE}, {"full", VERIFY_FULL}, {NULL, 0}};
static const struct policy_word after_words[] = {
    {"keep", SOURCE_KEEP}, {"trash", SOURCE_TRASH}, {"remove", SOURCE_REMOVE}, {NULL, 0}};
static const struct policy_word snapshots_words[] = {
    {"leave", SNAPSHOTS_LEAVE}, {"copy", SNAPSHOTS_COPY}, {NULL, 0}};
static const struct policy_word loss_words[] = {
    {"snapshots", LOSS_SNAPSHOTS}, {"children", LOSS_CHILDREN},     {"group", LOSS_GROUP},
    {"mirroring", LOSS_MIRRORING}, {"journaling", LOSS_JOURNALING}, {NULL, 0}};

static const struct policy_word on_error_words[] = {
    {"refuse", ON_ERROR_REFUSE}, {"pass", ON_ERROR_PASS}, {NULL, 0}};

/* The words that libvirt's <driver> takes (domaincommon.rng). */
static const struct policy_word cache_words[] = {
    {"default", 0},    {"none", 0},   {"writeback", 0}, {"writethrough", 0},
    {"directsync", 0}, {"unsafe", 0}, {NULL, 0}};
static const struct policy_word discard_words[] = {{"unmap", 0}, {"ignore", 0}, {NULL, 0}};
static const struct policy_word detect_zeroes_words[] = {
    {"off", 0}, {"on", 0}, {"unmap", 0}, {NULL, 0}};

static const struct policy_word type_words[] = {
    {"file", 0}, {"block", 0}, {"network", 0}, {"volume", 0}, {NULL, 0}};
/* The formats of disks that libvirt knows (storagecommon.rng). */
static const struct policy_word format_words[] = {
    {"raw", 0}, {"qcow2", 0}, {"qcow", 0},  {"qed", 0},   {"vmdk", 0},
    {"vdi", 0}, {"vpc", 0},   {"vhd", 0},   {"luks", 0},  {"dmg", 0},
    {"iso", 0}, {"bochs", 0}, {"cloop", 0}, {"ploop", 0}, {NULL, 0}};

static const struct policy_key keys[] = {
#define KEY(path_, bind_, offset_, ...)                                                            \
    {.path = path_, .bind = bind_, .offset = offset_, __VA_ARGS__},
#include "policy/keys.def"
#undef KEY
};

static const char *const key_paths[] = {
#define KEY(path, ...) path,
#include "policy/keys.def"
#undef KEY
};

const struct policy_key *policy_schema(size_t *count)
{
    *count = ARRAY_SIZE(keys);
    return keys;
}

const char *const *policy_known_keys(size_t *count)
{
    *count = ARRAY_SIZE(key_paths);
    return key_paths;
}

const char *policy_key_name(const struct policy_key *key)
{
    const char *dot = strrchr(key->path, '.');
    return dot ? dot + 1 : key->path;
}

/* The row's name when it stands directly below PATH, else NULL. */
static const char *name_below(const struct policy_key *key, const char *path)
{
    size_t length = strlen(path);
    if (length > 0) {
        if (strncmp(key->path, path, length) != 0 || key->path[length] != '.')
            return NULL;
        length++;
    }
    const char *name = key->path + length;
    return strchr(name, '.') ? NULL : name;
}

static const struct policy_key *find_key(const char *path, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *below = name_below(&keys[i], path);
        if (below && strcmp(below, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* The first row of this name anywhere: the key was right, but its place was not. */
static const struct policy_key *find_elsewhere(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(policy_key_name(&keys[i]), name) == 0)
            return &keys[i];
    return NULL;
}

static int unknown_key(const char *path, const struct policy_node *key, struct error *error)
{
    AUTO_FREE char *word = policy_shorten(key->text);
    policy_fault(&key->place, error, "unknown key '%s'%s%s", word, *path ? " in " : "", path);

    const char *names[ARRAY_SIZE(keys)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *name = name_below(&keys[i], path);
        if (name)
            names[count++] = name;
    }
    const char *closest = text_closest(key->text, names, count);
    if (closest)
        return error_hint(error, "did you mean '%s'?", closest);
    const struct policy_key *elsewhere = find_elsewhere(key->text);
    if (elsewhere)
        return error_hint(error, "'%s' is a key, but as '%s'", key->text, elsewhere->path);
    AUTO_BUFFER struct buffer known = {0};
    for (size_t i = 0; i < count; i++)
        buffer_format(&known, "%s%s", i ? ", " : "", names[i]);
    return error_hint(error, "known here: %s", known.text);
}

int policy_expected(const struct policy_key *key, const struct policy_node *value,
                    const char *expected, struct error *error)
{
    AUTO_FREE char *found = policy_node_describe(value);
    return policy_fault(&value->place, error, "%s: expected %s, found %s", policy_key_name(key),
                        expected, found);
}

/* What holds for the whole policy may be given once in all of its files. */
static int check_given_once(struct policy_draft *draft, const struct policy_key *row,
                            const struct policy_node *key, struct error *error)
{
    if (row->repeatable || strchr(row->path, '*'))
        return 0;
    const struct policy_node **given = &draft->given[row - keys];
    if (*given) {
        AUTO_FREE char *first = policy_place_text(&(*given)->place);
        return policy_fault(&key->place, error, "'%s' is given again, first at %s", row->path,
                            first);
    }
    *given = key;
    return 0;
}

int policy_bind_mapping(struct policy_draft *draft, const char *path, void *object,
                        const struct policy_node *mapping, struct error *error)
{
    for (size_t i = 0; i + 1 < mapping->items.count; i += 2) {
        const struct policy_node *key = mapping->items.items[i];
        const struct policy_node *value = mapping->items.items[i + 1];
        const struct policy_key *row = find_key(path, key->text);
        if (!row)
            return unknown_key(path, key, error);
        if (check_given_once(draft, row, key, error) < 0 ||
            row->bind(draft, row, (char *)object + row->offset, value, error) < 0)
            return -1;
    }
    return 0;
}

/* Whether a row's field is in the object at PATH, be it in a section of it. */
static bool belongs_to(const struct policy_key *row, const char *path)
{
    size_t length = strlen(path);
    return strncmp(row->path, path, length) == 0 && !strchr(row->path + length, '*');
}

int policy_bind_defaults(struct policy_draft *draft, const char *path, void *object,
                         struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!keys[i].fallback || !belongs_to(&keys[i], path))
            continue;
        struct policy_node value = {.kind = NODE_SCALAR,
                                    .place = {"default", 1, 1},
                                    .text = (char *)keys[i].fallback,
                                    .plain = true};
        if (keys[i].bind(draft, &keys[i], (char *)object + keys[i].offset, &value, error) < 0)
            return -1;
    }
    return 0;
}
