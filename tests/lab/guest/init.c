/* The only process of a lab guest: it loads the disk drivers, then writes stamped
 * blocks to every disk in turn and logs each acknowledged write on the console.
 *
 * Kernel command line:
 *   vp.disks=vda,vdb    disks to write to; a missing one stops the guest, loudly
 *   vp.block=16         KiB a write
 *   vp.window=16        MiB a disk that are ever written, spread over all of it
 *   vp.rate=40          writes a second over all disks, 0: as fast as it goes
 *   vp.read=8           read back and compare before every 8th write, 0: never
 *   vp.off_after=N      power off after N writes
 *   vp.reboot_after=N   restart after N writes
 *
 * Console lines (check.py reads them):
 *   VP-UP boot=HEX block=BYTES disks=vda:SIZE,...
 *   W SEQUENCE DISK OFFSET ok             the write is acknowledged and durable
 *   WRITE-FAIL SEQUENCE DISK OFFSET TEXT
 *   READ-FAIL SEQUENCE DISK OFFSET TEXT   (SEQUENCE: what should be there)
 *   VP-MISSING DISK, VP-OFF, VP-REBOOT, VP-POWER-BUTTON
 */
#define _GNU_SOURCE
#include <sys/mount.h> /* first: older ones break after linux/fs.h */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "stamp.h"

#define DISKS_MAX 16
#define BUTTONS_MAX 8

struct disk {
    char name[16];
    int fd;
    uint64_t index; /* 0 is vda */
    uint64_t size;
    uint64_t slots;
    uint64_t *written; /* the sequence last written to each slot, 0: none */
};

struct guest {
    int console;
    int buttons[BUTTONS_MAX];
    struct disk disks[DISKS_MAX];
    size_t disk_count;
    uint64_t boot;
    uint64_t sequence;
    uint64_t random;
    uint64_t block, window, rate, read_every, off_after, reboot_after;
    uint64_t *buffer, *expected;
};

static void say(const struct guest *guest, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Waits until the line has left the serial port: what is in the log has happened. */
static void say(const struct guest *guest, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0 && write(guest->console, line, (size_t)length) == length) {
        tcdrain(guest->console);
    }
}

static void stop_loudly(const struct guest *guest, const char *why, const char *what)
{
    for (;;) {
        say(guest, "\n%s %s\n", why, what);
        sleep(10);
    }
}

static uint64_t next_random(struct guest *guest)
{
    guest->random = stamp_mix(guest->random);
    return guest->random;
}

static void mount_all(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
}

static void load_modules(const struct guest *guest)
{
    FILE *list = fopen("/modules.list", "re");
    char line[256];
    while (list && fgets(line, sizeof(line), list)) {
        line[strcspn(line, "\n")] = '\0';
        int fd = open(line, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) {
            say(guest, "module %s: %m\n", line);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    if (list) {
        fclose(list);
    }
}

static void read_number(const char *option, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(option, name, length) == 0 && option[length] == '=') {
        *value = strtoull(option + length + 1, NULL, 10);
    }
}

static void add_disks(struct guest *guest, char *names)
{
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name && guest->disk_count < DISKS_MAX;
         name = strtok_r(NULL, ",", &rest)) {
        struct disk *disk = &guest->disks[guest->disk_count++];
        snprintf(disk->name, sizeof(disk->name), "%s", name);
        disk->index = (uint64_t)(name[strlen(name) - 1] - 'a');
    }
}

static void read_command_line(struct guest *guest)
{
    char line[2048] = "";
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0) {
        stop_loudly(guest, "VP-NO-COMMAND-LINE", "");
    }
    close(fd);
    uint64_t block_kib = 16;
    uint64_t window_mib = 16;
    char *rest = NULL;
    for (char *option = strtok_r(line, " \n", &rest); option;
         option = strtok_r(NULL, " \n", &rest)) {
        read_number(option, "vp.block", &block_kib);
        read_number(option, "vp.window", &window_mib);
        read_number(option, "vp.rate", &guest->rate);
        read_number(option, "vp.read", &guest->read_every);
        read_number(option, "vp.off_after", &guest->off_after);
        read_number(option, "vp.reboot_after", &guest->reboot_after);
        if (strncmp(option, "vp.disks=", 9) == 0) {
            add_disks(guest, option + 9);
        }
    }
    guest->block = block_kib * 1024;
    guest->window = window_mib * 1024 * 1024;
}

static void open_disk(struct guest *guest, struct disk *disk)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof(path), "/dev/%s", disk->name);
    for (int tries = 0; stat(path, &status) < 0 && tries < 100; tries++) {
        usleep(100 * 1000);
    }
    disk->fd = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
    if (disk->fd < 0 || fstat(disk->fd, &status) < 0 || !S_ISBLK(status.st_mode) ||
        ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0 || disk->size < guest->block) {
        stop_loudly(guest, "VP-MISSING", disk->name);
    }
    disk->slots = guest->window / guest->block;
    if (disk->slots > disk->size / guest->block) {
        disk->slots = disk->size / guest->block;
    }
    disk->written = calloc(disk->slots, sizeof(*disk->written));
    if (!disk->written) {
        stop_loudly(guest, "VP-NO-MEMORY", disk->name);
    }
}

static void open_disks(struct guest *guest)
{
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < guest->disk_count; i++) {
        open_disk(guest, &guest->disks[i]);
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s:%llu", i ? "," : "",
                                 guest->disks[i].name, (unsigned long long)guest->disks[i].size);
    }
    if (posix_memalign((void **)&guest->buffer, 4096, guest->block) ||
        posix_memalign((void **)&guest->expected, 4096, guest->block)) {
        stop_loudly(guest, "VP-NO-MEMORY", "");
    }
    say(guest, "\nVP-UP boot=%016llx block=%llu disks=%s\n", (unsigned long long)guest->boot,
        (unsigned long long)guest->block, list);
}

static void open_buttons(struct guest *guest)
{
    char path[64];
    for (int i = 0; i < BUTTONS_MAX; i++) {
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        guest->buttons[i] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
}

static bool power_button_pressed(const struct guest *guest)
{
    struct input_event event;
    for (int i = 0; i < BUTTONS_MAX; i++) {
        while (guest->buttons[i] >= 0 &&
               read(guest->buttons[i], &event, sizeof(event)) == sizeof(event)) {
            if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1) {
                return true;
            }
        }
    }
    return false;
}

/* Slots lie evenly over the disk, on block boundaries. */
static uint64_t slot_offset(const struct guest *guest, const struct disk *disk, uint64_t slot)
{
    return slot * (disk->size / guest->block) / disk->slots * guest->block;
}

static void check_slot(struct guest *guest, const struct disk *disk, uint64_t slot)
{
    struct stamp stamp = {guest->boot, disk->index, slot_offset(guest, disk, slot),
                          disk->written[slot]};
    if (!stamp.sequence) {
        return;
    }
    stamp_fill(guest->expected, guest->block, &stamp);
    ssize_t got = pread(disk->fd, guest->buffer, guest->block, (off_t)stamp.offset);
    const char *wrong = NULL;
    if (got != (ssize_t)guest->block) {
        wrong = got < 0 ? strerror(errno) : "short read";
    } else if (memcmp(guest->buffer, guest->expected, guest->block) != 0) {
        wrong = "not what was written";
    }
    if (wrong) {
        say(guest, "READ-FAIL %llu %s %llu %s\n", (unsigned long long)stamp.sequence, disk->name,
            (unsigned long long)stamp.offset, wrong);
    }
}

static void write_slot(struct guest *guest, struct disk *disk, uint64_t slot)
{
    struct stamp stamp = {guest->boot, disk->index, slot_offset(guest, disk, slot),
                          ++guest->sequence};
    stamp_fill(guest->buffer, guest->block, &stamp);
    ssize_t put = pwrite(disk->fd, guest->buffer, guest->block, (off_t)stamp.offset);
    if (put == (ssize_t)guest->block) {
        disk->written[slot] = stamp.sequence;
        say(guest, "W %llu %s %llu ok\n", (unsigned long long)stamp.sequence, disk->name,
            (unsigned long long)stamp.offset);
    } else {
        disk->written[slot] = 0;
        say(guest, "WRITE-FAIL %llu %s %llu %s\n", (unsigned long long)stamp.sequence, disk->name,
            (unsigned long long)stamp.offset, put < 0 ? strerror(errno) : "short write");
        sleep(1);
    }
}

static void leave_when_due(const struct guest *guest)
{
    int how = RB_POWER_OFF;
    if (power_button_pressed(guest)) {
        say(guest, "VP-POWER-BUTTON\n");
    } else if (guest->off_after && guest->sequence >= guest->off_after) {
        say(guest, "VP-OFF\n");
    } else if (guest->reboot_after && guest->sequence >= guest->reboot_after) {
        say(guest, "VP-REBOOT\n");
        how = RB_AUTOBOOT;
    } else {
        return;
    }
    reboot(how);
    stop_loudly(guest, "VP-CANNOT-LEAVE", strerror(errno));
}

static void wait_for_turn(const struct guest *guest, struct timespec *turn)
{
    struct timespec now;
    if (!guest->rate) {
        return;
    }
    turn->tv_nsec += (long)(1000000000 / guest->rate);
    turn->tv_sec += turn->tv_nsec / 1000000000;
    turn->tv_nsec %= 1000000000;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > turn->tv_sec) {
        *turn = now; /* slow disk: no burst afterwards */
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, turn, NULL);
}

static void write_for_ever(struct guest *guest)
{
    struct timespec turn;
    clock_gettime(CLOCK_MONOTONIC, &turn);
    for (uint64_t turns = 0;; turns++) {
        leave_when_due(guest);
        if (!guest->disk_count) {
            sleep(1);
            continue;
        }
        struct disk *disk = &guest->disks[turns % guest->disk_count];
        if (guest->read_every && turns % guest->read_every == 0) {
            check_slot(guest, disk, next_random(guest) % disk->slots);
        }
        write_slot(guest, disk, next_random(guest) % disk->slots);
        wait_for_turn(guest, &turn);
    }
}

int main(void)
{
    struct guest guest = {.rate = 40, .read_every = 8};
    struct timespec now;

    mount_all();
    guest.console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);
    load_modules(&guest);
    clock_gettime(CLOCK_REALTIME, &now);
    if (getrandom(&guest.boot, sizeof(guest.boot), GRND_NONBLOCK) < 0) {
        guest.boot = 0;
    }
    guest.boot ^= stamp_mix((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    guest.random = guest.boot;
    read_command_line(&guest);
    open_disks(&guest);
    open_buttons(&guest);
    write_for_ever(&guest);
}
