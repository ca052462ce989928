#include "ceph/cephx_key.h"

#include <stdint.h>
#include <string.h>

#define KEY_HEADER 12 /* le16 type, le32 + le32 time, le16 length */
#define KEY_MAX_BYTES 512

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Returns the number of bytes, or 0 when it is not base64 or longer than any key. */
static size_t base64_decode(const char *text, size_t length, uint8_t *bytes)
{
    if (length == 0 || length % 4 != 0 || length / 4 * 3 > KEY_MAX_BYTES)
        return 0;
    size_t padding =
        (text[length - 1] == '=') + (text[length - 1] == '=' && text[length - 2] == '=');
    size_t count = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = i < length - padding ? base64_digit(text[i]) : 0;
        if (digit < 0)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            bytes[count++] = (uint8_t)(bits >> 16);
            bytes[count++] = (uint8_t)(bits >> 8);
            bytes[count++] = (uint8_t)bits;
            bits = 0;
        }
    }
    return count - padding;
}

bool cephx_key_valid(const char *text)
{
    uint8_t bytes[KEY_MAX_BYTES] = {0};
    size_t count = base64_decode(text, strlen(text), bytes);
    size_t secret = (size_t)bytes[KEY_HEADER - 2] | (size_t)bytes[KEY_HEADER - 1] << 8;
    explicit_bzero(bytes, sizeof(bytes));
    return secret > 0 && count == KEY_HEADER + secret;
}
