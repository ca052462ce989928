/* virt-pivot-hook: argv NAME OPERATION SUBOPERATION EXTRA, XML on stdin, XML or nothing on stdout.
 *
 * An exit status other than 0 kills the guest in some operations (prepare, start, started), and in
 * one a guest that has been running for months (reconnect). So only two are looked at all. */
#include "base/text.h"
#include "hooks/hook.h"
#include "journal/journal.h"
#include "policy/policy.h"

#include <sys/stat.h>
#include <syslog.h>

#ifndef HOOK_SECONDS
#define HOOK_SECONDS 60
#define HOOK_INPUT_SECONDS 10
#define HOOK_HELPER_SECONDS 45
#endif

struct operation {
    const char *name, *part;
    int (*answer)(const struct hook_settings *settings, const char *name, char **xml,
                  struct error *error);
    const char *refusal;
};

static const struct operation operations[] = {
    {"migrate", "begin", hook_migrate,
     "the migration to this host is refused, the guest goes on at its source"},
    {"restore", "begin", hook_restore, "the restore is refused, the saved state is untouched"},
};

static const struct operation *find_operation(int argc, char **argv)
{
    for (size_t i = 0; argc >= 4 && i < ARRAY_SIZE(operations); i++)
        if (text_equal(argv[2], operations[i].name) && text_equal(argv[3], operations[i].part))
            return &operations[i];
    return NULL;
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return text_empty(value) ? otherwise : value;
}

static int run(const struct operation *operation, const char *name, struct error *error)
{
    const struct hook_settings settings = {
        .policy = from_environment("VIRT_PIVOT_POLICY", POLICY_DEFAULT_PATH),
        .state = from_environment("VIRT_PIVOT_STATE", JOURNAL_DEFAULT_DIRECTORY),
        .helper = from_environment("VIRT_PIVOT_HELPER", HOOK_HELPER_PATH),
        .input = STDIN_FILENO,
        .input_seconds = HOOK_INPUT_SECONDS,
        .helper_seconds = HOOK_HELPER_SECONDS,
    };
    AUTO_FREE char *xml = NULL;
    if (privileges_drop(settings.state, error) < 0 ||
        process_limit(HOOK_SECONDS, name, operation->refusal, error) < 0 ||
        operation->answer(&settings, name, &xml, error) < 0)
        return -1;
    return xml ? process_write(STDOUT_FILENO, xml, error) : 0;
}

int main(int argc, char **argv)
{
    const struct operation *operation = find_operation(argc, argv);
    if (!operation)
        return 0;
    process_settle();
    umask(077);
    AUTO_ERROR struct error error = {0};
    if (run(operation, argv[1], &error) == 0)
        return 0;
    report(LOG_ERR, argv[1], operation->refusal, &error);
    return 1;
}
