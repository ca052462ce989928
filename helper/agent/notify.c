#include "agent/notify.h"

#include "base/text.h"

#include <sys/stat.h>
#include <time.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* systemd.exec(5): JOURNAL_STREAM is "DEVICE:INODE" of what stderr was; it is inherited by programs
 * whose stderr is something else. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (text_empty(stream) || fstat(STDERR_FILENO, &status) < 0)
        return false;
    AUTO_FREE char *own = text_format("%llu:%llu", (unsigned long long)status.st_dev,
                                      (unsigned long long)status.st_ino);
    return text_equal(stream, own);
}

void voice_init(struct voice *voice, bool quiet, unsigned verbose)
{
    enum say_level usual = verbose ? SAY_DEBUG : SAY_INFO;
    *voice = (struct voice){.most = quiet ? SAY_ERROR : usual, .prefixes = stderr_is_journal()};
}

void voice_clear(struct voice *voice)
{
    free(voice->last);
    free(voice->status);
    *voice = (struct voice){0};
}

/* C0, DEL, and C1, which UTF-8 writes as 0xC2 0x80 … 0x9F. */
static void make_printable(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
}

static const char *level_word(enum say_level level)
{
    switch (level) {
    case SAY_ERROR:
        return "error: ";
    case SAY_WARNING:
        return "warning: ";
    default:
        return "";
    }
}

void say(struct voice *voice, enum say_level level, const char *format, ...)
{
    if (level > voice->most)
        return;
    va_list args;
    va_start(args, format);
    char *text = text_vformat(format, args);
    va_end(args);
    make_printable(text);
    bool again = text_equal(text, voice->last);
    if (!again && voice->prefixes)
        fprintf(stderr, "<%d>%s\n", (int)level, text);
    else if (!again)
        fprintf(stderr, "virt-pivot: %s%s\n", level_word(level), text);
    free(voice->last);
    voice->last = text;
}

void trouble_is(struct trouble *trouble, struct voice *voice, const char *what,
                const struct error *error)
{
    AUTO_FREE char *hint = error->hint ? text_format(" (%s)", error->hint) : text_dup("");
    AUTO_FREE char *text =
        text_format("%s: %s%s", what, error->message ? error->message : "no reason given", hint);
    if (text_equal(text, trouble->said))
        return;
    say(voice, SAY_ERROR, "%s", text);
    free(trouble->said);
    trouble->said = STEAL(text);
}

void trouble_over(struct trouble *trouble, struct voice *voice, const char *good)
{
    if (trouble->said)
        say(voice, SAY_INFO, "%s", good);
    trouble_clear(trouble);
}

void trouble_clear(struct trouble *trouble)
{
    free(trouble->said);
    trouble->said = NULL;
}

/* ---- systemd ---- */

#ifdef HAVE_SYSTEMD

static void tell(const char *text)
{
    sd_notify(0, text);
}

unsigned notify_interval(void)
{
    uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) <= 0)
        return 0;
    /* Half of it, as sd_watchdog_enabled(3) recommends. */
    return microseconds < 4000000 ? 1 : (unsigned)(microseconds / 2000000);
}

#else

static void tell(const char *text UNUSED)
{
}

unsigned notify_interval(void)
{
    return 0;
}

#endif

void notify_ready(void)
{
    tell("READY=1");
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_status(struct voice *voice, const char *text)
{
    if (text_equal(text, voice->status))
        return;
    free(voice->status);
    voice->status = text_dup(text);
    AUTO_FREE char *line = text_format("STATUS=%s", text);
    make_printable(line);
    tell(line);
}

void notify_alive(struct voice *voice)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == voice->fed)
        return;
    voice->fed = now.tv_sec;
    tell("WATCHDOG=1");
}
