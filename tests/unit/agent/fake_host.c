#include "agent/fake_host.h"

#include "base/text.h"
#include "domain/domain.h"
#include "survey/clusters.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static struct fake_host *current;

struct virt {
    struct fake_host *host;
    unsigned generation;
};

/* ---- the host ---- */

struct fake_host *fake_host_new(void)
{
    struct fake_host *host =
        mmap(NULL, sizeof(*host), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host == MAP_FAILED)
        abort();
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST); /* agents are killed */
    pthread_mutex_init(&host->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    host->events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    host->up = true;
    host->outcome = OUTCOME_WAITING;
    return host;
}

void fake_host_free(struct fake_host *host)
{
    close(host->events);
    munmap(host, sizeof(*host));
}

void fake_host_use(struct fake_host *host)
{
    current = host;
}

void fake_host_lock(struct fake_host *host)
{
    if (pthread_mutex_lock(&host->mutex) == EOWNERDEAD)
        pthread_mutex_consistent(&host->mutex);
}

void fake_host_unlock(struct fake_host *host)
{
    pthread_mutex_unlock(&host->mutex);
}

struct fake_domain *fake_define(struct fake_host *host, unsigned number, const char *name)
{
    struct fake_domain *domain = &host->domains[number];
    *domain = (struct fake_domain){.exists = true};
    snprintf(domain->uuid, sizeof(domain->uuid), "00000000-0000-4000-8000-%012u", number);
    snprintf(domain->name, sizeof(domain->name), "%s", name);
    domain->disks[0] = (struct fake_disk){"vda", "file", "", 1 << 20, ""};
    return domain;
}

void fake_event(struct fake_host *host, struct fake_domain *domain, bool ran)
{
    fake_host_lock(host);
    domain->changed = true;
    domain->ran |= ran;
    eventfd_write(host->events, 1);
    fake_host_unlock(host);
}

void fake_arrive(struct fake_host *host, struct fake_domain *domain)
{
    fake_host_lock(host);
    domain->arrived = true;
    fake_host_unlock(host);
    fake_event(host, domain, true);
}

void fake_start(struct fake_host *host, struct fake_domain *domain)
{
    fake_host_lock(host);
    domain->id = ++host->last_id;
    snprintf(domain->tier, sizeof(domain->tier), "%s", domain->saved_tier);
    domain->sizes[0] = '\0';
    domain->active = true;
    fake_host_unlock(host);
    fake_event(host, domain, true);
}

void fake_stop(struct fake_host *host, struct fake_domain *domain)
{
    fake_host_lock(host);
    domain->active = domain->arriving = false;
    domain->id = 0;
    fake_host_unlock(host);
    fake_event(host, domain, false);
}

void fake_daemon_dies(struct fake_host *host)
{
    fake_host_lock(host);
    host->up = false;
    host->generation++;
    eventfd_write(host->events, 1);
    fake_host_unlock(host);
}

void fake_daemon_is_back(struct fake_host *host)
{
    fake_host_lock(host);
    host->up = true;
    fake_host_unlock(host);
}

/* ---- virt.h ---- */

bool virt_connected(struct virt *virt)
{
    return virt->host->up && virt->generation == virt->host->generation;
}

static int enter(struct virt *virt, struct error *error)
{
    fake_host_lock(virt->host);
    virt->host->calls++;
    if (virt_connected(virt))
        return 0;
    fake_host_unlock(virt->host);
    return error_set(error, ERROR_DISCONNECTED, "libvirt's daemon went away");
}

static int leave(struct virt *virt)
{
    fake_host_unlock(virt->host);
    return 0;
}

int virt_open(const char *uri, struct virt **virt, struct error *error)
{
    if (!current->up)
        return error_set(error, ERROR_UNREACHABLE, "cannot connect to libvirt at %s", uri);
    *virt = NEW(struct virt);
    **virt = (struct virt){current, current->generation};
    return 0;
}

void virt_close(struct virt *virt)
{
    free(virt);
}

const char *virt_uri(const struct virt *virt UNUSED)
{
    return "fake:///";
}

int virt_reconnect(struct virt *virt, unsigned seconds UNUSED, struct error *error)
{
    if (!virt->host->up)
        return error_set(error, ERROR_UNREACHABLE, "cannot connect to libvirt");
    fake_host_lock(virt->host);
    virt->generation = virt->host->generation;
    virt->host->missed = true;
    fake_host_unlock(virt->host);
    return 0;
}

void virt_collect_changes(struct virt *virt)
{
    fake_host_lock(virt->host);
    virt->host->missed = true;
    fake_host_unlock(virt->host);
}

int virt_changes_fd(const struct virt *virt)
{
    return virt->host->events;
}

void virt_take_changes(struct virt *virt, struct virt_changes *changes, bool *all)
{
    struct fake_host *host = virt->host;
    eventfd_t count;
    fake_host_lock(host);
    eventfd_read(host->events, &count);
    *all = host->missed;
    host->missed = false;
    for (size_t i = 0; i < FAKE_DOMAINS; i++) {
        struct fake_domain *domain = &host->domains[i];
        if (domain->changed) {
            struct virt_change *change = virt_changes_add(changes);
            snprintf(change->uuid, sizeof(change->uuid), "%s", domain->uuid);
            change->ran_at = domain->ran ? time(NULL) : 0;
            change->arrived_at = domain->arrived ? time(NULL) : 0;
        }
        domain->changed = domain->ran = domain->arrived = false;
    }
    fake_host_unlock(host);
}

int virt_list(struct virt *virt, struct virt_uuids *uuids, struct error *error)
{
    if (enter(virt, error) < 0)
        return -1;
    for (size_t i = 0; i < FAKE_DOMAINS; i++)
        if (virt->host->domains[i].exists)
            snprintf(virt_uuids_add(uuids)->text, VIRT_UUID_TEXT, "%s",
                     virt->host->domains[i].uuid);
    return leave(virt);
}

static struct fake_domain *find(struct virt *virt, const char *uuid)
{
    for (size_t i = 0; i < FAKE_DOMAINS; i++)
        if (virt->host->domains[i].exists && text_equal(virt->host->domains[i].uuid, uuid))
            return &virt->host->domains[i];
    return NULL;
}

int virt_domain(struct virt *virt, const char *uuid, struct virt_domain *state, struct error *error)
{
    *state = (struct virt_domain){0};
    if (enter(virt, error) < 0)
        return -1;
    const struct fake_domain *domain = find(virt, uuid);
    if (domain)
        *state = (struct virt_domain){
            .exists = true,
            .name = text_dup(domain->name),
            .active = domain->active,
            .persistent = true,
            .arriving = domain->arriving,
            .id = domain->id,
            .job = *domain->job ? text_dup(domain->job) : NULL,
        };
    return leave(virt);
}

bool virt_answers(struct virt *virt, const char *uuid)
{
    const struct fake_domain *domain = find(virt, uuid);
    return !domain || !domain->mute;
}

void virt_domain_clear(struct virt_domain *state)
{
    free(state->name);
    free(state->job);
    *state = (struct virt_domain){0};
}

/* The metadata as libvirt prints them: each element with its namespace. */
static void add_metadata(struct buffer *xml, const struct fake_domain *domain, bool live)
{
    const char *tier = live ? domain->tier : domain->saved_tier;
    buffer_add(xml, "<metadata>");
    if (*tier)
        buffer_format(
            xml, "<pivot:tier xmlns:pivot='" DOMAIN_METADATA_NAMESPACE "'>%s</pivot:tier>", tier);
    if (live && *domain->sizes)
        buffer_format(xml, "<d:disks xmlns:d='" DOMAIN_SIZES_NAMESPACE "'%s",
                      domain->sizes + strlen("<disks"));
    buffer_add(xml, "</metadata>");
}

static char *closing_prefixed(const char *xml)
{
    const char *end = strstr(xml, "</disks></metadata>");
    return end ? text_format("%.*s</d:disks></metadata>%s", (int)(end - xml), xml,
                             end + strlen("</disks></metadata>"))
               : text_dup(xml);
}

static char *print(const struct fake_domain *domain, bool live)
{
    AUTO_BUFFER struct buffer xml = {0};
    buffer_format(&xml, "<domain type='kvm'%s><name>%s</name><uuid>%s</uuid>",
                  live ? " id='1'" : "", domain->name, domain->uuid);
    add_metadata(&xml, domain, live);
    buffer_add(&xml, "<devices>");
    for (size_t i = 0; i < FAKE_DISKS; i++) {
        const struct fake_disk *disk = &domain->disks[i];
        AUTO_FREE char *path =
            *disk->path ? text_dup(disk->path) : text_format("/nonexistent/%s", disk->target);
        if (disk->type)
            buffer_format(&xml,
                          "<disk type='%s' device='disk'><driver name='qemu' type='raw'/>"
                          "<source %s='%s'/><target dev='%s' bus='virtio'/>%s</disk>",
                          disk->type, text_equal(disk->type, "block") ? "dev" : "file", path,
                          disk->target, disk->more ? disk->more : "");
    }
    buffer_add(&xml, "</devices></domain>");
    return closing_prefixed(xml.text);
}

int virt_domain_xml(struct virt *virt, const char *uuid, enum virt_xml which, char **xml,
                    struct error *error)
{
    if (enter(virt, error) < 0)
        return -1;
    const struct fake_domain *domain = find(virt, uuid);
    if (domain)
        *xml = print(domain, which == VIRT_XML_LIVE && domain->active);
    else
        error_set(error, ERROR_NOT_FOUND, "domain %s", uuid);
    leave(virt);
    return domain ? 0 : -1;
}

int virt_disk_size(struct virt *virt, const char *uuid, const char *target,
                   struct virt_disk_size *size, struct error *error)
{
    if (enter(virt, error) < 0)
        return -1;
    struct fake_domain *domain = find(virt, uuid);
    domain->size_reads++;
    for (size_t i = 0; i < FAKE_DISKS; i++)
        if (text_equal(domain->disks[i].target, target))
            size->capacity = domain->disks[i].capacity;
    return leave(virt);
}

int virt_set_live_metadata(struct virt *virt, const char *uuid, const char *name_space,
                           const char *prefix UNUSED, const char *xml, struct error *error)
{
    if (enter(virt, error) < 0)
        return -1;
    struct fake_domain *domain = find(virt, uuid);
    if (!text_equal(name_space, DOMAIN_SIZES_NAMESPACE))
        abort(); /* the tier is the operator's */
    domain->size_writes++;
    if (!domain->forgets_sizes)
        snprintf(domain->sizes, sizeof(domain->sizes), "%s", xml);
    domain->changed = true; /* METADATA_CHANGE */
    eventfd_write(virt->host->events, 1);
    return leave(virt);
}

/* ---- survey/clusters.h ---- */

struct clusters {
    int unused;
};

struct clusters *clusters_new(struct virt *virt UNUSED)
{
    return NEW(struct clusters);
}

void clusters_free(struct clusters *clusters)
{
    free(clusters);
}

void clusters_reset(struct clusters *clusters UNUSED)
{
}

/* ---- move/move.h ---- */

static int walk_to_the_end(const struct mover *mover, int64_t id, struct error *error)
{
    static const enum move_phase way[] = {PHASE_PIVOTED, PHASE_REDEFINED, PHASE_VERIFIED};
    for (size_t i = 0; i < ARRAY_SIZE(way); i++)
        if (journal_begin(mover->journal, id, way[i], error) < 0 ||
            journal_reach(mover->journal, id, way[i], NULL, error) < 0)
            return -1;
    return 0;
}

int move_recover(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                 struct error *error)
{
    struct fake_host *host = current;
    int pid = 0;
    CLEANUP(move_record_clear) struct move_record record = {0};
    if (journal_read(mover->journal, id, &record, error) < 0)
        return -1;
    host->lock_was_held = journal_is_locked(mover->journal, record.uuid, &pid);
    if (host->ran_just_now)
        fake_event(host, &host->domains[host->ran_just_now], true);
    if (host->asks_never_ran)
        host->never_ran =
            mover->never_ran(mover->watch_opaque, record.uuid, record.created)     ? NEVER_RAN
            : mover->has_arrived(mover->watch_opaque, record.uuid, record.created) ? HAS_ARRIVED
                                                                                   : MAY_HAVE_RUN;
    host->settled++;
    if (host->failure)
        return error_set(error, host->failure, "it cannot be settled");
    *outcome = host->outcome;
    return host->outcome == OUTCOME_FINISHED ? walk_to_the_end(mover, id, error) : 0;
}

/* A plan that says "retire" wants its sources to be given up at once. */
int move_retire_due(struct journal *journal UNUSED, const struct move_record *record, bool *wants,
                    int64_t *due, struct error *error UNUSED)
{
    *wants = strstr(record->plan, "retire") != NULL;
    *due = record->updated;
    return 0;
}
