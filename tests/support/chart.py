"""The Helm chart as tests read it: rendered for a set of values, held to published schemas."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from headrace_native.layout import CACHE
from headrace_native.spec import ROOT

HELM = ROOT / "deploy" / "helm"
CHART = HELM / "headrace"
EXAMPLES = HELM / "examples"
KUBE = CACHE / "tools" / "kube"
ALTINITY = ROOT / "tests" / "data" / "kube" / "altinity.yaml"
NAMESPACE = "telemetry"

# The sets of values that everything must hold for.
VALUES: Mapping[str, Path | None] = {
    "default": None,
    **{file.stem.removeprefix("values-"): file for file in sorted(EXAMPLES.glob("values-*.yaml"))},
}

Object = dict[str, Any]


@cache
def tools() -> Path:
    """The folder with helm and the schemas, fetched if need be. Raises when they cannot be had."""
    subprocess.run(["bash", ROOT / "deploy" / "native" / "setup" / "helm.sh"], check=True)
    return KUBE


def helm(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run helm; what it says of the chart's links into the repository is left out."""
    done = subprocess.run(
        [tools() / "helm", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | dict.fromkeys(("HELM_CACHE_HOME", "HELM_CONFIG_HOME"), str(KUBE / "home")),
    )  # fmt: skip
    done.stderr = "\n".join(
        line for line in done.stderr.splitlines() if "found symbolic link" not in line
    )
    return done


def chosen(values: str, changes: Sequence[str] = ()) -> list[str]:
    """Helm's arguments for a set of values and `path=JSON` changes to it."""
    file = VALUES[values]
    files = [] if file is None else ["--values", str(file)]
    return files + [part for change in changes for part in ("--set-json", change)]


@cache
def rendered(values: str, *changes: str) -> tuple[Object, ...]:
    """Every object of a release named headrace, hooks included."""
    done = helm(
        "template", "headrace", CHART, "--namespace", NAMESPACE, *chosen(values, changes)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def of_kind(objects: Sequence[Object], *kinds: str) -> dict[str, Object]:
    """Objects of these kinds by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod (metadata and spec) of everything that makes pods."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each
        elif "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]


def container(pod: Object) -> Object:
    """The only container of a pod."""
    [only] = pod["spec"]["containers"]
    found: Object = only
    return found


def variables(objects: Sequence[Object], pod: Object) -> dict[str, str]:
    """A container's variables as its process gets them; those from secrets are left out."""
    maps = of_kind(objects, "ConfigMap")
    found: dict[str, str] = {}
    for source in container(pod).get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]["data"]
    return found | {e["name"]: e["value"] for e in container(pod).get("env", []) if "value" in e}


def _closed(schema: Any) -> Any:
    """A CRD's schema that refuses unknown fields, as a strict API server does."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    done = {
        key: {name: _closed(each) for name, each in value.items()}
        if key == "properties"
        else _closed(value)
        for key, value in schema.items()
    }
    if done.get("x-kubernetes-int-or-string"):
        done.pop("type", None)
    if "properties" in done and not done.get("x-kubernetes-preserve-unknown-fields"):
        done.setdefault("additionalProperties", False)
    return done


@cache
def _custom() -> dict[tuple[str, str], Any]:
    """Schemas of custom resources by apiVersion and kind."""
    found: dict[tuple[str, str], Any] = {}
    for file in sorted((tools() / "crds").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text())["spec"]
        for version in crd["versions"]:
            schema = _closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{crd['group']}/{version['name']}", crd["names"]["kind"]] = schema
    ours = yaml.safe_load(ALTINITY.read_text())
    for name in ours["kinds"]:
        version, _, kind = name.rpartition("/")
        found[version, kind] = _closed(ours["schema"])
    return found


@cache
def _validator(version: str, kind: str) -> Draft202012Validator:
    if (version, kind) in _custom():
        return Draft202012Validator(_custom()[version, kind])
    core = tools() / "core"
    group, _, name = version.rpartition("/")
    parts = [kind.lower(), *([group.split(".")[0]] if group else []), name]
    # An unknown kind has no file, and that is an error here.
    schema = json.loads((core / f"{'-'.join(parts)}.json").read_text())
    shared = json.loads((core / "_definitions.json").read_text())
    registry: Registry[Any] = Registry().with_resource(
        "_definitions.json", DRAFT202012.create_resource(shared)
    )
    return Draft202012Validator(schema, registry=registry)


def problems(one: Object) -> list[str]:
    """What its published schema says is wrong with an object."""
    found = _validator(one["apiVersion"], one["kind"]).iter_errors(one)
    name = f"{one['kind']} {one['metadata']['name']}"
    return [f"{name}: {'.'.join(map(str, each.path))}: {each.message[:300]}" for each in found]
