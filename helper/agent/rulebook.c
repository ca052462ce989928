/* The policy in force: read again when its files change. */
#include "agent/private.h"

#include <dirent.h>
#include <sys/stat.h>

#define FILES_MAX 1000

static void add_file(struct buffer *print, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        buffer_format(print, "%s none\n", path);
        return;
    }
    buffer_format(print, "%s %lld.%09ld %lld %llu\n", path, (long long)status.st_mtim.tv_sec,
                  status.st_mtim.tv_nsec, (long long)status.st_size,
                  (unsigned long long)status.st_ino);
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return text_equal(dot, ".yaml");
}

static void add_folder(struct buffer *print, const char *path)
{
    AUTO_FREE char *main_file = text_format("%s/policy.yaml", path);
    AUTO_FREE char *folder = text_format("%s/policy.d", path);
    add_file(print, main_file);
    add_file(print, folder);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_yaml, alphasort);
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *file = text_format("%s/%s", folder, entries[i]->d_name);
        if (i < FILES_MAX)
            add_file(print, file);
        free(entries[i]);
    }
    free(entries);
}

/* The clusters' conf files count too: monitors are read from them. */
static char *take_print(const struct agent *agent)
{
    AUTO_BUFFER struct buffer print = {0};
    const char *path = agent->settings->policy;
    const struct policy *policy = agent->rulebook.policy;
    struct stat status;
    add_file(&print, path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        add_folder(&print, path);
    for (size_t i = 0; policy && i < policy->clusters.count; i++)
        if (policy->clusters.items[i]->conf)
            add_file(&print, policy->clusters.items[i]->conf);
    return buffer_take(&print);
}

static void take_policy(struct agent *agent, const struct policy *policy)
{
    struct rulebook *rulebook = &agent->rulebook;
    /* What was seen of guests before there was a policy has not been compared yet. */
    agent->all_dirty |= rulebook->policy == NULL;
    policy_freep(&rulebook->policy);
    rulebook->policy = policy;
    trouble_clear(&rulebook->trouble);
    say(&agent->voice, SAY_INFO, "policy %s is in force (%zu rule%s)", agent->settings->policy,
        policy->rules.count, policy->rules.count == 1 ? "" : "s");
}

void rulebook_refresh(struct agent *agent, bool force)
{
    struct rulebook *rulebook = &agent->rulebook;
    AUTO_FREE char *print = take_print(agent); /* before: what changes meanwhile is seen later */
    if (!force && text_equal(print, rulebook->print))
        return;
    const struct policy *policy = NULL;
    AUTO_ERROR struct error error = {0};
    rulebook->valid = policy_load(agent->settings->policy, &policy, &error) == 0;
    if (rulebook->valid)
        take_policy(agent, policy);
    else
        trouble_is(&rulebook->trouble, &agent->voice,
                   rulebook->policy ? "the policy is wrong, and nothing new is moved until it is "
                                      "right"
                                    : "there is no valid policy, and nothing is moved without one",
                   &error);
    AUTO_FREE char *now = take_print(agent); /* with the conf files that the policy names */
    free(rulebook->print);
    rulebook->print = text_starts_with(now, print) ? STEAL(now) : STEAL(print);
}

void rulebook_clear(struct rulebook *rulebook)
{
    policy_freep(&rulebook->policy);
    free(rulebook->print);
    trouble_clear(&rulebook->trouble);
}
