#include "policy/glob.h"

#include "base/vector.h"
#include "policy/glob_analysis.h"

#include <stdint.h>

enum token_kind {
    LITERAL,     /* one certain character */
    ANY_ONE,     /* '?': any but '/' */
    ONE_OF,      /* '[a-z]': never '/' */
    ANY_TEXT,    /* '*': any number of characters without '/' */
    ANY_PATH,    /* '**': any number of any characters */
    ANY_FOLDERS, /* a whole component '**' and its slash: nothing, or anything that ends in '/' */
};

struct token {
    enum token_kind kind;
    uint32_t character; /* LITERAL */
    const char *set;    /* ONE_OF: behind the '[', with the ']' at its end */
    size_t set_length;
};
DEFINE_VECTOR(tokens, struct token);

static void tokens_clear(struct tokens *tokens)
{
    free(tokens->items);
}

static size_t utf8_length(const char *text)
{
    unsigned char lead = (unsigned char)*text;
    size_t length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 1;
    return length;
}

/* The next character, as a number that only this character has. For UTF-8 that is its bytes read
 * as one number, which keeps the order of the code points: good enough for ranges. */
static uint32_t next_character(const char **text)
{
    uint32_t character = 0;
    for (size_t length = utf8_length(*text); length > 0; length--)
        character = character << 8 | (unsigned char)*(*text)++;
    return character;
}

/* The next range of a set, a single character being one from itself to itself. Returns false at the
 * end of the set or, with *cursor at the NUL, of the whole pattern. */
static bool next_range(const char **cursor, bool first, uint32_t *low, uint32_t *high)
{
    if (**cursor == '\0' || (**cursor == ']' && !first))
        return false;
    if (**cursor == '\\' && (*cursor)[1] != '\0')
        (*cursor)++;
    *low = *high = next_character(cursor);
    if (**cursor != '-' || (*cursor)[1] == ']' || (*cursor)[1] == '\0')
        return true;
    (*cursor)++;
    if (**cursor == '\\' && (*cursor)[1] != '\0')
        (*cursor)++;
    *high = next_character(cursor);
    return true;
}

static bool is_negation(char c)
{
    return c == '!' || c == '^';
}

static const char *tokenise_set(const char **cursor, struct token *token)
{
    const char *start = *cursor;
    const char *end = start + is_negation(*start);
    uint32_t low = 0, high = 0;
    for (bool first = true; next_range(&end, first, &low, &high); first = false)
        if (low > high)
            return "a range in '[' and ']' runs backwards";
    if (*end == '\0')
        return "'[' is not closed";
    *token = (struct token){.kind = ONE_OF, .set = start, .set_length = (size_t)(end + 1 - start)};
    *cursor = end + 1;
    return NULL;
}

static bool set_contains(const struct token *set, uint32_t character)
{
    if (character == '/')
        return false;
    bool negated = is_negation(*set->set);
    const char *cursor = set->set + negated;
    uint32_t low = 0, high = 0;
    for (bool first = true; next_range(&cursor, first, &low, &high); first = false)
        if (character >= low && character <= high)
            return !negated;
    return negated;
}

static bool ends_component(const struct token *token)
{
    return token->kind == ANY_FOLDERS || (token->kind == LITERAL && token->character == '/');
}

static void tokenise_stars(const char **cursor, struct tokens *tokens)
{
    size_t stars = strspn(*cursor, "*");
    bool component = tokens->count == 0 || ends_component(&tokens->items[tokens->count - 1]);
    *cursor += stars;
    enum token_kind kind = stars == 1 ? ANY_TEXT : ANY_PATH;
    if (kind == ANY_PATH && component && **cursor == '/') {
        kind = ANY_FOLDERS;
        (*cursor)++;
    }
    tokens_add(tokens)->kind = kind;
}

/* Returns what is wrong with the pattern, or NULL. */
static const char *tokenise(const char *pattern, struct tokens *tokens)
{
    const char *cursor = pattern;
    while (*cursor) {
        if (*cursor == '*') {
            tokenise_stars(&cursor, tokens);
            continue;
        }
        struct token *token = tokens_add(tokens);
        if (*cursor == '?') {
            token->kind = ANY_ONE;
            cursor++;
        } else if (*cursor == '[') {
            cursor++;
            const char *problem = tokenise_set(&cursor, token);
            if (problem)
                return problem;
        } else {
            if (*cursor == '\\')
                cursor++;
            if (*cursor == '\0')
                return "it ends in a backslash";
            token->character = next_character(&cursor);
        }
    }
    return NULL;
}

static void tokenise_text(const char *text, struct tokens *tokens)
{
    while (*text)
        tokens_add(tokens)->character = next_character(&text);
}

/* Whether one token of the wide pattern takes one of the narrow, whatever that stands for. */
static bool takes_one(const struct token *wide, const struct token *narrow)
{
    switch (wide->kind) {
    case LITERAL:
        return narrow->kind == LITERAL && narrow->character == wide->character;
    case ONE_OF:
        if (narrow->kind == LITERAL)
            return set_contains(wide, narrow->character);
        return narrow->kind == ONE_OF && narrow->set_length == wide->set_length &&
               memcmp(narrow->set, wide->set, wide->set_length) == 0;
    case ANY_ONE:
    case ANY_TEXT:
        return (narrow->kind == LITERAL && narrow->character != '/') || narrow->kind == ANY_ONE ||
               narrow->kind == ONE_OF || (narrow->kind == ANY_TEXT && wide->kind == ANY_TEXT);
    default:
        return true;
    }
}

/* reach[j]: the wide tokens so far take the first j narrow ones. Moves that on by one wide token.
 */
static void advance(bool *reach, const struct token *wide, const struct tokens *narrow)
{
    bool reached = reach[0];
    switch (wide->kind) {
    case ANY_TEXT:
    case ANY_PATH:
        for (size_t j = 1; j <= narrow->count; j++)
            reach[j] = reach[j] || (reach[j - 1] && takes_one(wide, &narrow->items[j - 1]));
        break;
    case ANY_FOLDERS:
        for (size_t j = 1; j <= narrow->count; j++) {
            bool here = reach[j];
            reach[j] = here || (reached && ends_component(&narrow->items[j - 1]));
            reached = reached || here;
        }
        break;
    default:
        for (size_t j = narrow->count; j > 0; j--)
            reach[j] = reach[j - 1] && takes_one(wide, &narrow->items[j - 1]);
        reach[0] = false;
    }
}

static bool covers(const struct tokens *wide, const struct tokens *narrow, size_t *steps)
{
    AUTO_FREE bool *reach = memory_new(narrow->count + 1, sizeof(*reach));
    reach[0] = true;
    for (size_t i = 0; i < wide->count; i++) {
        advance(reach, &wide->items[i], narrow);
        *steps += narrow->count + 1;
    }
    return reach[narrow->count];
}

bool glob_covers(const char *wide, const char *narrow, size_t *steps)
{
    CLEANUP(tokens_clear) struct tokens wide_tokens = {0};
    CLEANUP(tokens_clear) struct tokens narrow_tokens = {0};
    if (tokenise(wide, &wide_tokens) || tokenise(narrow, &narrow_tokens))
        return false;
    return covers(&wide_tokens, &narrow_tokens, steps);
}

bool glob_matches_counted(const char *pattern, const char *text, size_t *steps)
{
    CLEANUP(tokens_clear) struct tokens pattern_tokens = {0};
    CLEANUP(tokens_clear) struct tokens text_tokens = {0};
    if (tokenise(pattern, &pattern_tokens))
        return false;
    tokenise_text(text, &text_tokens);
    return covers(&pattern_tokens, &text_tokens, steps);
}

bool glob_matches(const char *pattern, const char *text)
{
    size_t steps = 0;
    return glob_matches_counted(pattern, text, &steps);
}

const char *glob_problem(const char *pattern)
{
    CLEANUP(tokens_clear) struct tokens tokens = {0};
    if (!*pattern)
        return "it is empty";
    return tokenise(pattern, &tokens);
}
