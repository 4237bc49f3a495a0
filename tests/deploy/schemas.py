"""Cuts from Kubernetes' published JSON schemas what deploy/kubernetes uses: `python -m tests.deploy.schemas FOLDER`.

FOLDER holds the strict definitions of one release as the package kubernetes-validate ships them (Apache 2.0; 22 MB, so
no dependency): kubernetes-json-schema/vX-local-strict. A field that no manifest of ours has is left out too, so a new
one that is right fails until this is run again.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
SCHEMAS = Path(__file__).with_name("kubernetes.json")
NOT_CORE = ("kustomize", "keda.sh")


def documents() -> Iterator[tuple[str, Any]]:
    """Every document of the manifests, with its file's name."""
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield path.name, document


def core() -> Iterator[Any]:
    """Those that Kubernetes itself knows."""
    return (one for _, one in documents() if not any(word in one["apiVersion"] for word in NOT_CORE))


class Cut:
    """The definitions that the documents touch, with the fields that they have."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._all = definitions
        self.kept: dict[str, Any] = {}

    def walk(self, name: str, value: Any) -> None:
        """Keep of the definition `name` what `value` needs."""
        whole = self._all[name]
        kept = self.kept.setdefault(
            name, {k: v for k, v in whole.items() if k in ("type", "required", "additionalProperties", "oneOf")}
        )
        if "properties" not in whole or value is None:
            return
        fields = kept.setdefault("properties", {})
        for field in set(value) | set(whole.get("required", ())):
            schema = whole["properties"][field]
            fields[field] = without_words(schema)
            if field in value:
                self._into(schema, value[field])
        kept["properties"] = dict(sorted(fields.items()))

    def _into(self, schema: Any, value: Any) -> None:
        if "$ref" in schema:
            self.walk(schema["$ref"].rpartition("/")[2], value)
        elif "items" in schema:
            for one in value:
                self._into(schema["items"], one)
        elif isinstance(schema.get("additionalProperties"), dict):
            for one in value.values():
                self._into(schema["additionalProperties"], one)


def without_words(schema: Any) -> Any:
    """A schema without what only people read."""
    if isinstance(schema, list):
        return [without_words(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: without_words(v) for k, v in schema.items() if k != "description" and not k.startswith("x-")}
    if "$ref" in kept:
        kept = {"$ref": "#/$defs/" + kept["$ref"].rpartition("/")[2]}
    return kept


def main() -> None:
    """Write kubernetes.json anew."""
    text = json.loads((Path(sys.argv[1]) / "_definitions.json").read_text("utf-8"))
    definitions = text["$defs"]
    cut, kinds = Cut(definitions), {}
    for document in core():
        group, _, version = document["apiVersion"].rpartition("/")
        [name] = [
            name
            for name, one in definitions.items()
            for known in one.get("x-kubernetes-group-version-kind", ())
            if known == {"group": group, "kind": document["kind"], "version": version} and not name.endswith("List")
        ]
        kinds[f"{document['apiVersion']} {document['kind']}"] = name
        cut.walk(name, document)
    lines = [f"  {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in sorted(cut.kept.items())]
    head = f'{{"release": "{Path(sys.argv[1]).name}", "kinds": {json.dumps(kinds, sort_keys=True)}, "definitions": {{\n'
    SCHEMAS.write_text(head + ",\n".join(lines) + "\n}}\n", "utf-8")


if __name__ == "__main__":
    main()
