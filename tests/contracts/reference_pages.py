"""The generated parts of docs/reference: `python -m tests.contracts.reference_pages` writes them anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.infra.mocks import ACCOUNT, IMAGE, REGION, standard

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
# Role of the program -> what people call it.
ROLES = {
    "intake": "Lambda `upkeep-<stack>-intake`",
    "dispatch": "Lambda `upkeep-<stack>-dispatch`",
    "judge": "Lambda `upkeep-<stack>-judge`",
    "release": "Lambda `upkeep-<stack>-release`",
    "flights": "Training and serving of a model",
    "flights-retrain": "State machine `upkeep-<stack>-<model>-retrain`",
    "flights-release": "State machine `upkeep-<stack>-<model>-release`",
    "flights-release-starter": "EventBridge rules `upkeep-<stack>-<model>-approved` and `-cut-off`",
}
_REPLACED = (
    (f"arn:aws:ecr:{REGION}:{IMAGE.partition('.')[0]}:", "arn:aws:ecr:<region>:<AWS's own account>:"),
    (ACCOUNT, "<account>"),
    (REGION, "<region>"),
    ("upkeep-test", "upkeep-<stack>"),
    ("-flights", "-<model>"),
    ("/flights", "/<model>"),
    ("role/<model>-role", "role/<the model's role>"),
    ("key/storage-key", "key/<the stack's key>"),
)


def configuration() -> str:
    """The table of configuration keys, from the schema in Pulumi.yaml."""
    schema: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    lines = ["| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key, entry in schema.items():
        default = json.dumps(entry["default"])
        lines.append(f"| `upkeep:{key}` | {entry['type']} | `{default}` | {entry['description']} |")
    return "\n".join(lines)


def permissions() -> str:
    """One section per role, from its policy."""
    parts = []
    for name, title in ROLES.items():
        lines = [f"### {title}", "", "| For | Actions | Resources | Condition |", "| --- | --- | --- | --- |"]
        for statement in standard().policy(f"{name}-policy")["Statement"]:
            actions = "<br>".join(f"`{action}`" for action in statement["Action"])
            resources = "<br>".join(f"`{_general(arn)}`" for arn in statement["Resource"])
            condition = _general(json.dumps(statement["Condition"])) if "Condition" in statement else ""
            shown = f"`{condition}`" if condition else ""
            lines.append(f"| {statement['Sid']} | {actions} | {resources} | {shown} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _general(text: str) -> str:
    for found, general in _REPLACED:
        text = text.replace(found, general)
    return text


def put(page: str, block: str) -> str:
    """The page with what stands between its two marks replaced."""
    return re.sub(
        r"(<!-- generated -->\n).*(<!-- end -->)",
        lambda m: f"{m[1]}\n{block}\n\n{m[2]}",
        page,
        flags=re.DOTALL,
    )


def pages() -> dict[Path, str]:
    """The generated block of each page."""
    return {FOLDER / "configuration.md": configuration(), FOLDER / "permissions.md": permissions()}


if __name__ == "__main__":
    for path, block in pages().items():
        path.write_text(put(path.read_text(), block))
