#!/bin/sh
# Makes the documentation a site, in target/site: README.md and the pages of docs/, and what they link to. MkDocs comes
# from PyPI into an environment of its own; a link that leads nowhere is an error.
set -eu

MKDOCS=1.6.1

cd "$(dirname "$0")/.."
environment=target/docs-environment
pages=target/docs

if ! "$environment/bin/mkdocs" --version 2>/dev/null | grep -q "$MKDOCS"; then
    python3 -m venv "$environment"
    "$environment/bin/pip" --quiet --disable-pip-version-check install "mkdocs==$MKDOCS"
fi

rm -rf "$pages" target/site
mkdir -p "$pages"
cp -R docs/. "$pages/"
for page in ARCHITECTURE CONTRIBUTING CHANGELOG; do cp "$page.md" "$pages/"; done
cp LICENSE config/servers.example.toml "$pages/"
# What is in docs/ stands beside the first page here, and the rest of the repository is not part of the site.
sed -e 's#](docs/#](#g' -e 's#](config/servers#](servers#g' README.md >"$pages/index.md"
for page in "$pages"/*.md; do
    sed -i -e 's#](\.\./README\.md#](index.md#g' -e 's#](\.\./\([A-Z]*\.md\)#](\1#g' -e 's#](docs/\([A-Z_]*\.md\)#](\1#g' "$page"
done
"$environment/bin/mkdocs" build --quiet
printf 'docs: target/site/index.html\n' >&2
