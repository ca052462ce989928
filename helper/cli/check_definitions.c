/* `check`, the part about definitions: does the next start of a guest use the disks that it has
 * now?
 *
 * A migration takes the definition along that its host has (libvirt qemu_migration.c, the cookie's
 * persistent XML). Where that was stale, before an agent had put it right, so it is here, and no
 * journal of this host knows. */
#include "cli/check.h"

void check_definition(struct check_report *report, const struct domain *live,
                      const struct domain *inactive)
{
    for (size_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = &live->disks.items[i];
        const struct disk *defined = domain_disk(inactive, disk->target);
        if (!text_equal(disk->source.protocol, "rbd") || !defined ||
            disk_source_same(&disk->source, &defined->source))
            continue;
        AUTO_FREE char *now = disk_source_describe(&disk->source);
        AUTO_FREE char *next = disk_source_describe(&defined->source);
        AUTO_FREE char *subject = text_format("domain %s", live->name);
        check_add(report, CHECK_ERROR, subject,
                  "disk %s is on %s, but its definition names %s: the next start would use that",
                  disk->target, now, next);
        check_hint(report,
                   "if nobody wanted it so, give the definition the disk that the guest has: "
                   "'virsh dumpxml %s' shows it, 'virsh edit %s' changes it",
                   live->name, live->name);
    }
}

static int read_domain(struct virt *virt, const char *uuid, enum virt_xml which,
                       struct domain **domain, struct error *error)
{
    AUTO_FREE char *xml = NULL;
    return virt_domain_xml(virt, uuid, which, &xml, error) < 0
               ? -1
               : domain_parse(xml, strlen(xml), domain, error);
}

/* What a move still has to put right, check_moves tells. */
static bool has_unfinished_move(struct check *check, const char *uuid)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    AUTO_ERROR struct error ignored = {0};
    return check->session.journal &&
           journal_list(check->session.journal, MOVES_UNFINISHED, uuid, &records, &ignored) == 0 &&
           records.count > 0;
}

static int look(struct check *check, const char *uuid, struct error *error)
{
    CLEANUP(virt_domain_clear) struct virt_domain state = {0};
    CLEANUP(domain_freep) struct domain *live = NULL, *inactive = NULL;
    if (virt_domain(check->session.virt, uuid, &state, error) < 0)
        return -1;
    if (!state.active || !state.persistent || state.arriving || has_unfinished_move(check, uuid))
        return 0;
    if (read_domain(check->session.virt, uuid, VIRT_XML_LIVE, &live, error) < 0 ||
        read_domain(check->session.virt, uuid, VIRT_XML_INACTIVE, &inactive, error) < 0)
        return -1;
    check_definition(&check->report, live, inactive);
    return 0;
}

void check_definitions(struct check *check)
{
    struct virt_uuids uuids = {0};
    AUTO_ERROR struct error error = {0};
    size_t before = check->report.lines.count;
    bool listed = virt_list(check->session.virt, &uuids, &error) == 0;
    if (!listed)
        check_add_failure(&check->report, CHECK_WARNING, "definitions", &error);
    for (size_t i = 0; i < uuids.count; i++) {
        AUTO_ERROR struct error gone = {0}; /* a guest may end between any two looks */
        if (look(check, uuids.items[i].text, &gone) < 0 && gone.code != ERROR_NOT_FOUND)
            check_add_failure(&check->report, CHECK_WARNING, uuids.items[i].text, &gone);
    }
    free(uuids.items);
    if (listed && check->report.lines.count == before)
        check_add(&check->report, CHECK_OK, "definitions",
                  "every running guest on RBD is defined with the disks that it has");
}
