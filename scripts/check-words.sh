#!/bin/sh
# Checks comments, documents, test names and texts that users see for words that plain technical English avoids. Prints
# FILE:LINE: WORD for each and exits with status 1 when there is one. To excuse a line, add `words-ok: REASON` to it.
# The list holds extended regular expressions, matched as whole words in any case; a space also matches `_`. It leaves
# technical uses alone, such as "NTP stands for", "a server that lies" or "turn off".
set -eu

cd "$(dirname "$0")/.."

words=$(grep -v '^#' <<'LIST'
whoever
whomever
whence
thereof
therein
thereby
hitherto
heretofore
henceforth
anew
betimes
lest
nobody (is|who|hears|listens|reads|looks|waits|at home|has asked|can)
somebody (is|has) to
(is|are|was|were|be|been) told
told (once|of|so|together|about|apart)
(is|are) to be (told|said|had|found|seen)
is nothing without
lets? go of
let go of
came of
come of
comes of
for want of
wants? for nothing
at home
falls short
makes? do with
takes? up the
taken up (at|by|in)
bids?
waits? for company
for company
its own affair
as it (likes|pleases)
holds? all the same
stands? (beside|right before|at its|in the configuration|in the verdict|under)
outlasts?
said (since|where|when|there)
what (came|comes|became) of
who is (to be )?told
of its own accord
by hearsay
LIST
)
alternatives=$(printf '%s\n' "$words" | paste -s -d '|' - | sed 's/ /[ _]/g')
pattern="(^|[^[:alnum:]])($alternatives)(\$|[^[:alnum:]])"

files=$(git ls-files '*.rs' '*.ts' '*.tsx' '*.md' '*.sh' '*.toml' '*.mjs' |
    grep -Ev '^(scripts/check-words\.sh|fuzz/seeds/|crates/core/fuzz/seeds/|tests/fixtures/|web/node_modules/)')

# Names of files have no spaces here.
# shellcheck disable=SC2086
found=$(grep -nHioE "$pattern" $files | sort -t: -k1,1 -k2,2n -u |
    while IFS=: read -r file line word; do
        word=$(printf '%s' "$word" | sed 's/^[^[:alnum:]]*//; s/[^[:alnum:]]*$//')
        sed -n "${line}p" "$file" | grep -q 'words-ok: [^ ]' || printf '%s:%s: %s\n' "$file" "$line" "$word"
    done)

if [ -n "$found" ]; then
    printf '%s\n' "$found"
    printf 'words: %s lines need plain English; see "Plain English" in CONTRIBUTING.md\n' "$(printf '%s\n' "$found" | wc -l)" >&2
    exit 1
fi
