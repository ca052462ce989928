/* Any bytes as a policy: refused with an error that names its place, or a policy that decides and
 * explains alike. The same bytes as a ceph.conf: monitors, or none. */
#include "base/text.h"
#include "policy/mons.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert(3) is compiled out of release builds. */
static void require(bool holds)
{
    if (!holds)
        abort();
}

struct sample {
    struct domain domain;
    struct disk disk;
    struct network_host host;
    uint64_t capacity;
};

enum { SAMPLES = 4 };

/* One disk of each kind that conditions tell apart; nothing in them is owned. */
static void make_samples(struct sample samples[SAMPLES])
{
    static const enum source_type types[SAMPLES] = {SOURCE_NETWORK, SOURCE_FILE, SOURCE_BLOCK,
                                                    SOURCE_NETWORK};
    for (size_t i = 0; i < SAMPLES; i++) {
        struct sample *sample = &samples[i];
        *sample = (struct sample){0};
        sample->domain.name = (char *)"db-1";
        sample->domain.uuid = (char *)"c7a5fdbd-cdaf-9455-926a-d65c16db1809";
        sample->disk.target = (char *)"vda";
        sample->disk.source.type = types[i];
        sample->disk.source.protocol = types[i] == SOURCE_NETWORK ? (char *)"rbd" : NULL;
        sample->capacity = i << 30;
    }
    samples[0].disk.source.name = (char *)"vms/ns/image";
    samples[0].host.name = (char *)"10.0.0.1";
    samples[0].disk.source.hosts.items = &samples[0].host;
    samples[0].disk.source.hosts.count = 1;
    samples[0].domain.tier_label = (char *)"gold";
    samples[1].disk.source.path = (char *)"/var/lib/libvirt/images/a/b.qcow2";
    samples[1].disk.format = (char *)"qcow2";
    samples[2].disk.source.path = (char *)"/dev/vg/lv";
    samples[3].disk.source.name = (char *)"vms/image";
    samples[3].disk.source.config_file = (char *)"/etc/ceph/ceph.conf";
}

static void decide(const struct policy *policy, const struct sample *sample)
{
    const struct policy_subject subject = {&sample->domain, &sample->disk, sample->capacity};
    struct policy_decision decision = policy_decide(policy, &subject);
    AUTO_FREE char *text = policy_explain(policy, &subject);
    size_t lines = 0, decided = policy->rules.count;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    for (size_t i = 0; decision.rule && i < policy->rules.count; i++)
        if (policy->rules.items[i] == decision.rule)
            decided = i + 1;
    require(lines == decided);
    require(!decision.rule || decision.tier == decision.rule->tier);
    for (size_t i = 0; i < policy->tiers.count; i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *image =
            policy_image_name(policy->tiers.items[i], &sample->domain, &sample->disk, &error);
        require((image != NULL) != error_is_set(&error));
        require(policy->tiers.items[i]->cluster != NULL);
    }
}

/* Each network is found by its name, which is one that libvirt's XML can hold. */
static void look_at_settings(const struct policy *policy)
{
    require(policy->retries <= 100 && policy->retry_pause >= 1 && policy->retry_pause <= 86400);
    require(policy->on_error == ON_ERROR_REFUSE || policy->on_error == ON_ERROR_PASS);
    for (size_t i = 0; i < policy->networks.count; i++) {
        const struct policy_network *network = &policy->networks.items[i];
        require(policy_network(policy, network->from) == network->to);
        const char *const names[] = {network->from, network->to};
        for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
            size_t length = strlen(names[j]);
            require(length >= 1 && length <= 63 && !strchr(names[j], '/'));
            for (const char *c = names[j]; *c; c++)
                require((unsigned char)*c >= ' ' && *c != 0x7f);
        }
    }
}

static void try_policy(const char *text, size_t length)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(policy_freep) const struct policy *policy = NULL;
    if (policy_parse(text, length, "fuzz.yaml", &policy, &error) < 0) {
        require(!policy && error.code == ERROR_POLICY);
        require(text_starts_with(error.message, "fuzz.yaml:") && !strchr(error.message, '\n'));
        return;
    }
    look_at_settings(policy);
    struct sample samples[SAMPLES];
    make_samples(samples);
    for (size_t i = 0; i < SAMPLES; i++)
        decide(policy, &samples[i]);
}

static void try_ceph_conf(const char *text, size_t length)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(policy_mons_clear) struct mon_addresses mons = {0};
    AUTO_FREE char *mon_host = policy_conf_mon_host(text, length);
    if (mon_host && policy_mons_read(mon_host, &mons, &error) == 0)
        require(mons.count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_policy((const char *)data, size);
    try_ceph_conf((const char *)data, size);
    return 0;
}
