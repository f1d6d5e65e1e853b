#!/bin/sh
# Builds the documentation site in target/site from README.md, the pages of docs/ and the files they link to. MkDocs is
# installed from PyPI into a virtual environment. A broken link, or a page missing from the navigation, fails the build.
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
mkdir "$pages/influxdb"
cp influxdb/setup.sh influxdb/downsample.flux "$pages/influxdb/"
# All pages are in one directory on the site, so links between directories are rewritten.
sed -e 's#](docs/#](#g' -e 's#](config/servers#](servers#g' README.md >"$pages/index.md"
for page in "$pages"/*.md; do
    sed -i -e 's#](\.\./README\.md#](index.md#g' -e 's#](\.\./\([A-Z]*\.md\)#](\1#g' -e 's#](docs/\([A-Z_]*\.md\)#](\1#g' \
        -e 's#](\.\./influxdb/#](influxdb/#g' "$page"
done
"$environment/bin/mkdocs" build --strict
printf 'docs: target/site/index.html\n' >&2
