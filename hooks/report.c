#include "base/text.h"
#include "hooks/hook.h"

#include <syslog.h>

enum { LINE_MAX_BYTES = 2000 }; /* libvirt repeats it in its own error and log */

/* C0 and DEL, and C1, which UTF-8 writes as 0xC2 0x80 … 0x9F. A cut character at the end goes. */
static void make_printable(char *line)
{
    size_t length = strlen(line);
    if (length > LINE_MAX_BYTES) {
        length = LINE_MAX_BYTES;
        while (length > 0 && ((unsigned char)line[length] & 0xc0) == 0x80)
            length--;
        line[length] = '\0';
    }
    for (unsigned char *c = (unsigned char *)line; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = ' ';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = ' ';
    }
}

/* The line for stderr ends with a newline: one write, so that nothing comes between. */
static void say(int priority, const char *name, const char *what)
{
    AUTO_FREE char *line = text_format("virt-pivot: domain '%s': %s", name, what);
    make_printable(line);
    AUTO_FREE char *out = text_format("%s\n", line);
    AUTO_ERROR struct error ignored = {0}; /* there is nobody left to tell */
    if (process_write(STDERR_FILENO, out, &ignored) < 0)
        error_clear(&ignored);
    openlog("virt-pivot", LOG_PID, LOG_DAEMON);
    syslog(priority, "%s", line + strlen("virt-pivot: "));
    closelog();
}

void report(int priority, const char *name, const char *text, const struct error *error)
{
    AUTO_FREE char *what =
        text_format("%s: %s%s%s", text, error->message ? error->message : "no reason given",
                    error->hint ? "; " : "", error->hint ? error->hint : "");
    say(priority, name, what);
}

void report_line(int priority, const char *name, const char *text)
{
    say(priority, name, text);
}
