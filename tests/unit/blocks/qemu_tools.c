#include "qemu_tools.h"

#include <sys/stat.h>
#include <sys/wait.h>

int scratch_begin(void **state)
{
    struct scratch *scratch = NEW(struct scratch);
    strcpy(scratch->folder, "/tmp/vp-blocks-XXXXXX");
    if (!mkdtemp(scratch->folder))
        return -1;
    chmod(scratch->folder, 0755); /* other users' tests look into it */
    scratch->path = text_dup(getenv("PATH"));
    scratch->runtime = text_dup(getenv("XDG_RUNTIME_DIR"));
    AUTO_FREE char *runtime = scratch_path(scratch, "run");
    mkdir(runtime, 0700);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    *state = scratch;
    return 0;
}

int scratch_end(void **state)
{
    struct scratch *scratch = *state;
    setenv("PATH", scratch->path, 1);
    if (scratch->runtime)
        setenv("XDG_RUNTIME_DIR", scratch->runtime, 1);
    else
        unsetenv("XDG_RUNTIME_DIR");
    int result = scratch_status(scratch, "rmdir run");
    AUTO_FREE char *command = text_format("rm -rf '%s'", scratch->folder);
    result |= scratch_status(scratch, command);
    free(scratch->path);
    free(scratch->runtime);
    free(scratch);
    return result;
}

/* The tests' own commands may go through a shell. */
int scratch_status(const struct scratch *scratch, const char *command)
{
    AUTO_FREE char *whole = text_format("cd '%s' && { %s; }", scratch->folder, command);
    int status = system(whole); // NOLINT
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void scratch_run(const struct scratch *scratch, const char *command)
{
    int status = scratch_status(scratch, command);
    if (status)
        fail_msg("exit status %d: %s", status, command);
}

void scratch_needs_tools(const struct scratch *scratch)
{
    if (scratch_status(scratch, "command -v qemu-nbd qemu-img qemu-io >/dev/null"))
        skip();
}

char *scratch_path(const struct scratch *scratch, const char *name)
{
    return text_format("%s/%s", scratch->folder, name);
}
