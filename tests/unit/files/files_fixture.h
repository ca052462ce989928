/* A folder with files in it. */
#ifndef TESTS_UNIT_FILES_FIXTURE_H
#define TESTS_UNIT_FILES_FIXTURE_H

#include "journal/scratch.h"

#include "files/files.h"

#include <fcntl.h>
#include <sys/stat.h>

static inline UNUSED char *file_new(const char *folder, const char *name, const char *content)
{
    char *path = text_format("%s/%s", folder, name);
    AUTO_FCLOSE FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(content, file);
    return path;
}

static inline UNUSED bool holds(const char *path, const char *content)
{
    char text[64] = "";
    AUTO_FCLOSE FILE *file = fopen(path, "re");
    return file && fgets(text, sizeof(text), file) && text_equal(text, content);
}

#endif
