/* Runs the files of the folders that it is given through a fuzzer's entry, without libFuzzer: a
 * corpus as an ordinary test. A find is a crash, or a sanitizer's complaint. */
#include "base/cleanup.h"
#include "base/text.h"
#include "base/vector.h"

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    AUTO_FCLOSE FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    AUTO_BUFFER struct buffer content = {0};
    char block[16384];
    for (size_t n = fread(block, 1, sizeof(block), file); n;
         n = fread(block, 1, sizeof(block), file))
        buffer_add_slice(&content, block, n);

    /* A copy of exactly this size, so that AddressSanitizer sees a read behind its end. */
    AUTO_FREE uint8_t *data = memory_new(content.length, 1);
    if (content.length > 0)
        memcpy(data, content.text, content.length);
    fprintf(stderr, "%s\n", path); /* the last line before a crash names its cause */
    LLVMFuzzerTestOneInput(data, content.length);
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Returns how many files were run, or -1. */
static long replay_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        perror(folder);
        return -1;
    }
    CLEANUP(text_list_clear) struct text_list paths = {0};
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        AUTO_FREE char *path = text_format("%s/%s", folder, entry->d_name);
        struct stat status;
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
            text_list_append(&paths, path);
    }
    closedir(directory);
    if (paths.count > 0)
        qsort(paths.items, paths.count, sizeof(*paths.items), compare_paths);
    for (size_t i = 0; i < paths.count; i++)
        if (replay_file(paths.items[i]) < 0)
            return -1;
    return (long)paths.count;
}

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 1; i < argc; i++) {
        long count = replay_folder(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%ld files replayed\n", total);
    if (total == 0)
        fputs("a corpus without files tests nothing\n", stderr);
    return total > 0 ? 0 : 1;
}
