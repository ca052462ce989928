#include "base/text.h"
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <sys/resource.h>

enum { OPTION_POLICY = 256, OPTION_STATE, OPTION_FORMAT, OPTION_HELP, OPTION_VERSION };

/* Taken before the verb and behind it. */
static const struct cli_option common_options[] = {
    {"connect", 'c', "URI", "libvirt connection (default qemu:///system)"},
    {"policy", OPTION_POLICY, "FILE|DIR", "policy (default " POLICY_DEFAULT_PATH ")"},
    {"state", OPTION_STATE, "DIR", "state directory (default " JOURNAL_DEFAULT_DIRECTORY ")"},
    {"format", OPTION_FORMAT, "plain|json", "how data is printed on stdout"},
    {"quiet", 'q', NULL, "say only errors"},
    {"verbose", 'v', NULL, "say more"},
    {"help", 'h', NULL, "print this help"},
    {"version", 'V', NULL, "print the version"},
    {NULL, 0, NULL, NULL},
};

static const struct cli_verb *const verbs[] = {
    &check_verb,   &plan_verb,   &move_verb,  &status_verb,   &throttle_verb, &pause_verb,
    &resume_verb,  &cancel_verb, &undo_verb,  &retire_verb,   &recover_verb,  &verify_verb,
    &history_verb, &report_verb, &agent_verb, &incoming_verb, &guard_verb,    &bring_verb,
};

const struct cli_verb *const *cli_verbs(size_t *count)
{
    *count = ARRAY_SIZE(verbs);
    return verbs;
}

bool cli_has(const struct cli_call *call, int letter)
{
    for (size_t i = 0; i < call->options.count; i++)
        if (call->options.items[i].letter == letter)
            return true;
    return false;
}

const char *cli_value(const struct cli_call *call, int letter)
{
    const char *value = NULL;
    for (size_t i = 0; i < call->options.count; i++)
        if (call->options.items[i].letter == letter)
            value = call->options.items[i].value;
    return value;
}

/* ---- help ---- */

static void print_options(const struct cli_option *options)
{
    for (; options && options->name; options++) {
        AUTO_FREE char *argument =
            options->argument ? text_format(" %s", options->argument) : text_dup("");
        AUTO_FREE char *left =
            options->letter < 256
                ? text_format("-%c, --%s%s", options->letter, options->name, argument)
                : text_format("    --%s%s", options->name, argument);
        printf("  %-26s %s\n", left, options->help);
    }
}

static void print_help(const struct cli_verb *verb)
{
    if (verb) {
        printf("Usage: virt-pivot [OPTION]... %s [OPTION]... %s\n\n%s.\n", verb->name,
               verb->arguments, verb->summary);
        if (verb->options && verb->options->name)
            printf("\nOptions:\n");
        print_options(verb->options);
    } else {
        printf("Usage: virt-pivot [OPTION]... VERB [OPTION]... [ARGUMENT]...\n\n"
               "Moves the disks of running virtual machines onto Ceph RBD, by policy.\n\nVerbs:\n");
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
            AUTO_FREE char *left = text_format("%s %s", verbs[i]->name, verbs[i]->arguments);
            printf("  %-26s %s\n", left, verbs[i]->summary);
        }
    }
    printf("\nCommon options:\n");
    print_options(common_options);
    printf(
        "\nExit status: 0 done; 1 failed, all is as it was; 2 usage or policy wrong; 3 nothing to "
        "do;\n4 an operator is needed.\n");
    if (!verb)
        printf("See virt-pivot(1) and virt-pivot-policy(5).\n");
}

/* ---- parsing ---- */

DEFINE_VECTOR(getopt_rows, struct option);

static void add_rows(struct getopt_rows *rows, struct buffer *letters,
                     const struct cli_option *options)
{
    for (; options && options->name; options++) {
        *getopt_rows_add(rows) =
            (struct option){options->name, options->argument ? required_argument : no_argument,
                            NULL, options->letter};
        if (options->letter < 256)
            buffer_format(letters, "%c%s", options->letter, options->argument ? ":" : "");
    }
}

static int usage(struct error *error, const struct cli_verb *verb, const char *what,
                 const char *which)
{
    error_set(error, ERROR_USAGE, "%s '%s'", what, which);
    return error_hint(error, "see 'virt-pivot %s%s--help'", verb ? verb->name : "",
                      verb ? " " : "");
}

static int take_common(struct cli *cli, int letter, const char *value, bool *help,
                       struct error *error)
{
    switch (letter) {
    case 'c':
        cli->uri = value;
        return 0;
    case OPTION_POLICY:
        cli->policy = value;
        return 0;
    case OPTION_STATE:
        cli->state = value;
        return 0;
    case OPTION_FORMAT:
        if (!text_equal(value, "plain") && !text_equal(value, "json"))
            return usage(error, NULL, "--format is plain or json, not", value);
        cli->format = text_equal(value, "json") ? FORMAT_JSON : FORMAT_PLAIN;
        return 0;
    case 'q':
        cli->quiet = true;
        return 0;
    case 'v':
        cli->verbose++;
        return 0;
    case 'h':
        *help = true;
        return 0;
    default:
        return 1; /* not a common one */
    }
}

/* Parses options from argv[1] on; with a verb, its own too and anywhere among the arguments. */
static int parse_options(struct cli *cli, const struct cli_verb *verb, int argc, char **argv,
                         struct cli_call *call, bool *help, struct error *error)
{
    struct getopt_rows rows = {0};
    AUTO_BUFFER struct buffer letters = {0};
    buffer_add(&letters, verb ? ":" : "+:");
    add_rows(&rows, &letters, common_options);
    add_rows(&rows, &letters, verb ? verb->options : NULL);
    getopt_rows_add(&rows);
    AUTO_FREE struct option *table = rows.items;

    optind = 0; /* glibc: start anew */
    int letter = 0;
    while ((letter = getopt_long(argc, argv, letters.text, table, NULL)) != -1) {
        if (letter == '?')
            return usage(error, verb, "unknown or ambiguous option", argv[optind - 1]);
        if (letter == ':')
            return usage(error, verb, "an argument is missing after", argv[optind - 1]);
        if (letter == 'V') {
            printf("virt-pivot %s\n", VP_VERSION);
            exit(0);
        }
        int common = take_common(cli, letter, optarg, help, error);
        if (common < 0)
            return -1;
        if (common > 0)
            *cli_givens_add(&call->options) = (struct cli_given){letter, optarg};
    }
    return optind;
}

static const struct cli_verb *find_verb(const char *name, struct error *error)
{
    const char *names[ARRAY_SIZE(verbs)];
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (text_equal(verbs[i]->name, name))
            return verbs[i];
        names[i] = verbs[i]->name;
    }
    usage(error, NULL, "there is no verb", name);
    const char *likely = text_closest(name, names, ARRAY_SIZE(names));
    if (likely)
        error_hint(error, "did you mean '%s'?", likely);
    return NULL;
}

static int check_count(const struct cli_verb *verb, size_t count, struct error *error)
{
    if (count >= verb->least && count <= verb->most)
        return 0;
    error_set(error, ERROR_USAGE, "'%s' takes: %s", verb->name,
              *verb->arguments ? verb->arguments : "no arguments");
    return error_hint(error, "see 'virt-pivot %s --help'", verb->name);
}

static int run(struct cli *cli, int argc, char **argv, struct error *error)
{
    struct cli_call call = {0};
    bool help = false;
    int first = parse_options(cli, NULL, argc, argv, &call, &help, error);
    if (first < 0)
        return -1;
    if (first >= argc) {
        if (!help)
            return usage(error, NULL, "a verb is missing after", argv[0]);
        print_help(NULL);
        return 0;
    }
    const struct cli_verb *verb = find_verb(argv[first], error);
    if (!verb)
        return -1;
    /* The verb stands where getopt_long expects the program's name. */
    int used = parse_options(cli, verb, argc - first, argv + first, &call, &help, error);
    AUTO_FREE UNUSED struct cli_given *givens = call.options.items;
    if (used < 0)
        return -1;
    if (help) {
        print_help(verb);
        return 0;
    }
    call.arguments = (const char *const *)argv + first + used;
    call.argument_count = (size_t)(argc - first - used);
    if (check_count(verb, call.argument_count, error) < 0)
        return -1;
    return verb->run(cli, &call, error);
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return text_empty(value) ? otherwise : value;
}

/* What is in memory are clusters' keys, and definitions with their passwords. */
static void leave_no_core(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv)
{
    leave_no_core();
    setlocale(LC_CTYPE, "");  /* and no more: numbers in JSON have a point wherever we are */
    signal(SIGPIPE, SIG_IGN); /* a closed pager must not end a move */
    struct cli cli = {
        .program = argv[0],
        .uri = from_environment("VIRT_PIVOT_URI", "qemu:///system"),
        .policy = from_environment("VIRT_PIVOT_POLICY", POLICY_DEFAULT_PATH),
        .state = from_environment("VIRT_PIVOT_STATE", JOURNAL_DEFAULT_DIRECTORY),
    };
    AUTO_ERROR struct error error = {0};
    if (run(&cli, argc, argv, &error) == 0)
        return 0;
    cli_print_error(&cli, &error);
    return error_exit_status(&error);
}
