"""Holds dashboards and provisioning against Grafana's own schema (its foundation SDK for Grafana 10.1), and compose.yaml
against the Compose specification.

Standard input: {"dashboards": {NAME: TEXT}, "rules": …, …}, the kinds being those of CHECKS. Standard output: a JSON list of faults, empty when there is none. A fault is a key that the schema does
not have, a value of another type, or one that is none of an enumeration.
"""

import enum
import importlib.resources
import json
import sys
import types
import typing

import jsonschema
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import alerting, dashboard

# What Grafana reads and its schema of this version does not list: the fields of annotations, which belong to the data
# source ("this should just be a normal query target", it says).
UNLISTED = {"titleFormat", "textFormat", "tagKeys", "step", "useValueForTime"}
UNLISTED_IN_TARGET = {"refId", "query"}
SCALARS = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}


def missing(ours, theirs, path):
    """Keys of ours that the schema dropped."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from missing(value, theirs[key], f"{path}.{key}")
            elif key not in UNLISTED and not (path.endswith(".target") and key in UNLISTED_IN_TARGET):
                yield f"{path}: the schema has no {key!r}"
    elif isinstance(ours, list) and isinstance(theirs, list):
        for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from missing(one, other, f"{path}[{i}]")
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


def mistyped(value, hint, path):
    """Values that are not what the schema's types say."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (object, typing.Any) or isinstance(hint, typing.TypeVar):
        if hasattr(value, "__dict__") and not isinstance(value, enum.Enum):
            yield from attributes(value, path)
    elif origin in (typing.Union, types.UnionType):
        tried = [list(mistyped(value, one, path)) for one in arguments]
        if [] not in tried:
            yield min(tried, key=len)[0]
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{path}: {value!r} is none of {arguments}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
        else:
            for i, one in enumerate(value):
                yield from mistyped(one, arguments[0], f"{path}[{i}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no mapping"
    elif hint is type(None):
        if value is not None:
            yield f"{path}: {value!r} is not null"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [one.value for one in hint]:
            yield f"{path}: {value!r} is none of {[one.value for one in hint]}"
    elif hint in SCALARS:
        if not isinstance(value, SCALARS[hint]) or (isinstance(value, bool) and hint is not bool):
            yield f"{path}: {value!r} is no {hint.__name__}"
    elif hasattr(value, "__dict__"):
        yield from attributes(value, path)
    elif isinstance(hint, type) and not getattr(hint, "__abstractmethods__", None):
        # The SDK leaves some lists of objects as they are: read them now.
        try:
            yield from attributes(hint.from_json(value), path)
        except Exception as fault:
            yield f"{path}: {fault!r}"


def attributes(thing, path):
    hints = typing.get_type_hints(type(thing))
    for name, value in vars(thing).items():
        if name in hints:
            yield from mistyped(value, hints[name], f"{path}.{name}")


def against(model, data, path):
    read = model.from_json(data)
    yield from missing(data, json.loads(json.dumps(read, cls=JSONEncoder)), path)
    yield from attributes(read, path)


def a_dashboard(text, name):
    data = json.loads(text)
    yield from against(dashboard.Dashboard, data, name)
    for panel in data["panels"]:
        if panel["type"] not in PANELS and panel["type"] != "row":
            yield f"{name}: panels of type {panel['type']!r} are unknown to the schema"


def is_matcher(it):
    return len(it) == 3 and it[1] in ("=", "!=", "=~", "!~") and all(isinstance(part, str) for part in it)


def without_extras(entry, matchers):
    """The entry without what belongs to the file (the organisation), and without its matchers, which are gathered: the
    SDK reads a list of three texts as an object."""
    if isinstance(entry, list):
        return [without_extras(one, matchers) for one in entry]
    if not isinstance(entry, dict):
        return entry
    matchers.extend(entry.get("object_matchers", []))
    rest = {key: value for key, value in entry.items() if key not in ("orgId", "object_matchers")}
    return {key: without_extras(value, matchers) for key, value in rest.items()}


def provisioned(model, section, inner):
    def check(text, name):
        data = yaml.safe_load(text)
        if data.get("apiVersion") != 1:
            yield f"{name}: apiVersion must be 1"
        for i, entry in enumerate(data[section]):
            for j, one in enumerate(entry[inner] if inner else [entry]):
                yield from against(model, without_extras(one, found := []), f"{name}.{section}[{i}][{j}]")
                yield from (f"{name}: {it!r} is no matcher" for it in found if not is_matcher(it))

    return check


def a_compose_file(text, name):
    root = importlib.resources.files("compose")
    schema = json.loads((root / "config" / "compose_spec.json").read_text())
    faults = jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(text))
    yield from (f"{name}.{'.'.join(map(str, fault.path))}: {fault.message}" for fault in faults)


def listed(section, required, known):
    """A provisioning file without a schema: its entries have these keys and no others (Grafana's documentation)."""

    def check(text, name):
        data = yaml.safe_load(text)
        if data.get("apiVersion") != 1:
            yield f"{name}: apiVersion must be 1"
        for i, entry in enumerate(data[section]):
            yield from (f"{name}.{section}[{i}]: no {key!r}" for key in required - entry.keys())
            yield from (f"{name}.{section}[{i}]: {key!r} is unknown" for key in entry.keys() - required - known)

    return check


def any_yaml(text, name):
    if yaml.safe_load(text) is None:
        yield f"{name}: empty"


CHECKS = {
    "dashboards": a_dashboard,
    "rules": provisioned(alerting.Rule, "groups", "rules"),
    "contacts": provisioned(alerting.ContactPoint, "contactPoints", "receivers"),
    "policies": provisioned(alerting.NotificationPolicy, "policies", None),
    "datasources": listed(
        "datasources", {"name", "type", "uid", "access", "url", "jsonData"}, {"secureJsonData", "isDefault", "editable"}
    ),
    "providers": listed("providers", {"name", "type", "options"}, {"folder", "allowUiUpdates", "updateIntervalSeconds"}),
    "compose": a_compose_file,
    "yaml": any_yaml,
}

plugins.register_default_plugins()
PANELS = plugins.cogruntime.Runtime().panelcfg_variants


def faults_of(kind, name, text):
    try:
        return list(CHECKS[kind](text, name))
    except Exception as fault:
        return [f"{name}: {fault!r}"]


job = json.load(sys.stdin)
found = [fault for kind, files in job.items() for name, text in files.items() for fault in faults_of(kind, name, text)]
json.dump(found, sys.stdout)
