/* Who still names a source: every domain of this host, in its running guest, in its definition and
 * in what their images stand on; and every other move. */
#include "files/files.h"
#include "move/retire.h"

#include <inttypes.h>

#define MAX_CHAIN 256 /* libvirt's own limit is 200; a chain that bites its tail ends there */

/* ---- reading ---- */

static struct naming *add(struct retiring *retiring, const struct naming *like)
{
    struct naming *naming = namings_add(&retiring->namings);
    naming->domain = text_dup(like->domain);
    naming->uuid = text_dup(like->uuid);
    naming->live = like->live;
    return naming;
}

/* A name out of an image's header: a path, or QEMU's notation for something else. */
static void add_backing(struct retiring *retiring, const struct naming *of, const char *name)
{
    struct naming *naming = add(retiring, of);
    naming->at.target = text_dup(of->at.target);
    naming->at.source.type = *name == '/' ? SOURCE_FILE : SOURCE_OTHER;
    if (*name == '/')
        naming->at.source.path = text_dup(name);
    else
        naming->at.source.name = text_dup(name);
}

/* What cannot be read is remembered: then nobody knows what it stands on. */
static void follow(struct retiring *retiring, const struct naming *naming)
{
    AUTO_FREE char *path = text_dup(naming->at.source.path);
    AUTO_FREE char *format = text_dup(naming->at.format);
    for (unsigned depth = 0; depth < MAX_CHAIN; depth++) {
        AUTO_ERROR struct error failure = {0};
        CLEANUP(file_backing_clear) struct file_backing backing = {0};
        if (files_backing(path, format, &backing, &failure) < 0) {
            if (failure.code == ERROR_NOT_FOUND)
                return;
            error_prefix(&failure, "disk %s of domain '%s'", naming->at.target, naming->domain);
            if (!error_is_set(&retiring->unknown))
                error_move(&retiring->unknown, &failure);
            return;
        }
        if (!backing.path)
            return;
        add_backing(retiring, naming, backing.path);
        free(path);
        free(STEAL(format)); /* of what is below, the header itself tells */
        path = STEAL(backing.path);
        if (*path != '/')
            return;
    }
}

/* libvirt tells the whole chain of a running guest; of a definition, which seldom has it, the
 * headers do. An image without <driver type=…> is raw to libvirt. */
static bool needs_following(const struct retiring *retiring, const struct naming *naming)
{
    const struct named_source *at = &naming->at;
    bool is_file = at->source.type == SOURCE_FILE || at->source.type == SOURCE_BLOCK;
    if (!is_file || at->is_told || !at->format || text_equal(at->format, "raw"))
        return false;
    for (size_t i = 0; i < retiring->namings.count; i++) {
        const struct naming *other = &retiring->namings.items[i];
        if (other->live && text_equal(other->uuid, naming->uuid) && other->at.is_told &&
            disk_source_same(&other->at.source, &at->source))
            return false;
    }
    return true;
}

/* A volume is a file or device of libvirt's. One that libvirt does not know now cannot be in use by
 * a guest that runs; what it is, nobody can tell. */
static void resolve_volume(struct retiring *retiring, struct naming *naming)
{
    struct disk_source *source = &naming->at.source;
    AUTO_ERROR struct error failure = {0};
    char *path = NULL;
    if (source->type != SOURCE_VOLUME || !source->volume_pool || !source->volume)
        return;
    if (virt_volume_path(retiring->mover->virt, source->volume_pool, source->volume, &path,
                         &failure) == 0) {
        source->type = *path == '/' ? SOURCE_FILE : SOURCE_OTHER; /* of an RBD pool: "pool/image" */
        *(*path == '/' ? &source->path : &source->name) = path;
        return;
    }
    if (failure.code == ERROR_NOT_FOUND)
        error_hint(&failure,
                   "start the storage pool with 'virsh pool-start', or take the disk out of "
                   "the domain");
    error_prefix(&failure, "disk %s of domain '%s'", naming->at.target, naming->domain);
    if (!error_is_set(&retiring->unknown))
        error_move(&retiring->unknown, &failure);
}

static int read_xml(struct retiring *retiring, const char *uuid, bool live, struct error *error)
{
    AUTO_FREE char *xml = NULL;
    CLEANUP(domain_freep) struct domain *domain = NULL;
    CLEANUP(named_sources_clear) struct named_sources sources = {0};
    if (virt_domain_xml(retiring->mover->virt, uuid, live ? VIRT_XML_LIVE : VIRT_XML_INACTIVE, &xml,
                        error) < 0 ||
        domain_parse(xml, strlen(xml), &domain, error) < 0)
        return -1;
    domain_named_sources(domain, &sources);
    for (size_t i = 0; i < sources.count; i++) {
        struct naming *naming = namings_add(&retiring->namings);
        *naming = (struct naming){.domain = text_dup(domain->name),
                                  .uuid = text_dup(uuid),
                                  .live = live,
                                  .at = sources.items[i]};
        sources.items[i] = (struct named_source){0};
        resolve_volume(retiring, naming);
    }
    return 0;
}

static int read_domain(struct retiring *retiring, const char *uuid, struct error *error)
{
    CLEANUP(virt_domain_clear) struct virt_domain state = {0};
    if (virt_domain(retiring->mover->virt, uuid, &state, error) < 0)
        return -1;
    bool runs = state.active || state.arriving;
    if ((runs && read_xml(retiring, uuid, true, error) < 0) ||
        (state.persistent && read_xml(retiring, uuid, false, error) < 0))
        return -1;
    return 0;
}

int retire_read_names(struct retiring *retiring, struct error *error)
{
    struct virt_uuids uuids = {0};
    AUTO_FREE struct virt_uuid *items = NULL;
    int result = virt_list(retiring->mover->virt, &uuids, error);
    items = uuids.items;
    for (size_t i = 0; i < uuids.count && result == 0; i++) {
        result = read_domain(retiring, items[i].text, error);
        if (result < 0 && error->code == ERROR_NOT_FOUND) { /* it ended just now */
            error_clear(error);
            result = 0;
        }
    }
    size_t told = retiring->namings.count;
    for (size_t i = 0; i < told && result == 0; i++) {
        const struct naming naming = retiring->namings.items[i]; /* the list grows */
        if (needs_following(retiring, &naming))
            follow(retiring, &naming);
    }
    return result;
}

/* ---- comparing ---- */

static bool same_path(const struct disk_source *source, const struct disk_source *named)
{
    return source->path && named->path &&
           (text_equal(source->path, named->path) || files_are_one(source->path, named->path));
}

/* Of what QEMU has for other things than paths ("rbd:pool/image:…", "json:{…}"): it is enough that
 * it has the image's name in it. */
static bool notation_has(const char *notation, const struct disk_source *source)
{
    const char *image = source->name ? strrchr(source->name, '/') : NULL;
    return image && notation && strstr(notation, image + 1) != NULL;
}

/* An image of the same name in another cluster: one of those that the disk has moved to since. */
static bool is_later_place(const struct retiring *retiring, const struct disk_source *source,
                           const struct disk_source *named)
{
    for (size_t i = 0; i < retiring->rows.count; i++) {
        AUTO_ERROR struct error unreadable = {0};
        CLEANUP(domain_freep) struct domain *holder = NULL;
        const char *disk = retiring->rows.items[i].new_disk;
        if (!disk || disk_parse(disk, &holder, &unreadable) < 0 || holder->disks.count != 1)
            continue;
        const struct disk_source *place = &holder->disks.items[0].source;
        if (disk_source_same(place, named) && !disk_source_same(place, source))
            return true;
    }
    return false;
}

/* The monitors that two definitions name for one cluster need not be the same: an image of that
 * name is taken for the source unless it is known to be another. */
static bool names_image(const struct retiring *retiring, const struct disk_source *source,
                        const struct disk_source *named)
{
    if (named->type == SOURCE_OTHER)
        return notation_has(named->name, source);
    if (named->type != SOURCE_NETWORK || !text_equal(named->protocol, "rbd") ||
        !text_equal(named->name, source->name))
        return false;
    return disk_source_same(source, named) || !is_later_place(retiring, source, named);
}

static bool names(const struct retiring *retiring, const struct disk_source *source,
                  const struct disk_source *named)
{
    if (source->type == SOURCE_NETWORK)
        return names_image(retiring, source, named);
    if (named->type == SOURCE_OTHER && named->name)
        return strstr(named->name, source->path) != NULL;
    return same_path(source, named);
}

int retire_check_names(struct retiring *retiring, size_t index, struct error *error)
{
    const struct disk_source *source = &retiring->disks[index].before->source;
    for (size_t i = 0; i < retiring->namings.count; i++) {
        const struct naming *naming = &retiring->namings.items[i];
        if (!names(retiring, source, &naming->at.source))
            continue;
        error_set(error, ERROR_BUSY, "%s of domain '%s' still names it, for disk %s",
                  naming->live ? "the running guest" : "the definition", naming->domain,
                  naming->at.target);
        return error_hint(error,
                          "it cannot be given up as long as that is so; 'virsh dumpxml%s %s' "
                          "shows it",
                          naming->live ? "" : " --inactive", naming->domain);
    }
    if (!error_is_set(&retiring->unknown))
        return 0;
    error_set(error, retiring->unknown.code, "nobody knows whether another image stands on it: %s",
              retiring->unknown.message);
    return retiring->unknown.hint ? error_hint(error, "%s", retiring->unknown.hint) : -1;
}

/* ---- other moves ---- */

/* Whether its proof still needs the image that it has made, if only as the evidence that it failed.
 */
static int awaits_proof(struct retiring *retiring, const struct move_record *record,
                        const struct plan *plan, bool *awaits, struct error *error)
{
    CLEANUP(disk_records_clear) struct disk_records disks = {0};
    *awaits = false;
    if (record->phase != PHASE_REDEFINED || !plan->verify)
        return 0;
    if (journal_disks(retiring->mover->journal, record->id, &disks, error) < 0)
        return -1;
    for (size_t i = 0; i < disks.count; i++)
        *awaits |=
            disks.items[i].fate == DISK_PIVOTED &&
            (disks.items[i].verdict == VERDICT_NONE || disks.items[i].verdict == VERDICT_DIFFERENT);
    return 0;
}

static bool uses(const struct move_record *record, const struct plan *plan, bool awaits,
                 const struct domain *before, const struct disk_source *source)
{
    bool unfinished = !move_phase_is_final(record->phase);
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        CLEANUP(disk_source_clear) struct disk_source target = {0};
        plan_destination_source(&disk->destination, &target);
        const struct disk *old = domain_disk(before, disk->target);
        if (disk_source_same(&target, source) && (unfinished || awaits))
            return true;
        if (old && disk_source_same(&old->source, source) && unfinished)
            return true;
    }
    return false;
}

int retire_check_moves(struct retiring *retiring, size_t index, struct error *error)
{
    const struct disk_source *source = &retiring->disks[index].before->source;
    for (size_t i = 0; i < retiring->others.count; i++) {
        const struct move_record *record = &retiring->others.items[i];
        CLEANUP(plan_freep) struct plan *plan = NULL;
        CLEANUP(domain_freep) struct domain *before = NULL;
        bool awaits = false;
        if (record->phase != PHASE_REDEFINED && move_phase_is_final(record->phase))
            continue;
        if (plan_from_record(record->plan, &plan, error) < 0 ||
            domain_parse(record->live, strlen(record->live), &before, error) < 0 ||
            awaits_proof(retiring, record, plan, &awaits, error) < 0)
            return error_prefix(error, "move %" PRId64 " cannot be read, which may use it",
                                record->id);
        if (!uses(record, plan, awaits, before, source))
            continue;
        error_set(error, ERROR_BUSY, "move %" PRId64 " of domain '%s' (%s) still needs it",
                  record->id, record->domain, move_phase_word(record->phase));
        return error_hint(error, "'virt-pivot history %" PRId64 "' tells how far that is",
                          record->id);
    }
    return 0;
}
