#!/usr/bin/env python3
"""Prints the software bill of materials of the program: CycloneDX 1.5, made from Cargo.lock by `cargo metadata`.

Only what is linked into the program on Linux is listed: no test and build dependencies of our own.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def metadata():
    target = next(
        line.removeprefix("host: ")
        for line in subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
        if line.startswith("host: ")
    )
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return json.loads(done.stdout)


def reached(nodes, start):
    """Every package that is linked or built into `start`, by its id."""
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            deps = nodes[node]["deps"]
            waiting += [dep["pkg"] for dep in deps if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
    return seen


def checksums():
    """SHA-256 of each crate as Cargo.lock has it, by name and version."""
    found, name, version = {}, None, None
    for line in (ROOT / "Cargo.lock").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(" = ")
        value = value.strip('"')
        if key == "name":
            name = value
        elif key == "version":
            version = value
        elif key == "checksum":
            found[name, version] = value
    return found


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, hashes):
    entry = {"type": "library", "name": package["name"], "version": package["version"], "purl": purl(package)}
    entry["bom-ref"] = purl(package)
    if package.get("license"):
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    digest = hashes.get((package["name"], package["version"]))
    if digest:
        entry["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return entry


def main():
    data = metadata()
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    linked = sorted(reached(nodes, root) - {root}, key=lambda one: purl(packages[one]))
    hashes = checksums()
    of = packages[root]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**component(of, hashes), "type": "application"}},
        "components": [component(packages[one], hashes) for one in linked],
        "dependencies": [
            {
                "ref": purl(packages[one]),
                "dependsOn": sorted({purl(packages[dep["pkg"]]) for dep in nodes[one]["deps"] if dep["pkg"] in linked}),
            }
            for one in [root, *linked]
        ],
    }
    # The same lock file gives the same number.
    digest = hashlib.sha256(json.dumps(bom, sort_keys=True).encode()).hexdigest()
    bom["serialNumber"] = f"urn:uuid:{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
    json.dump(bom, sys.stdout, indent=1)
    print()


main()
