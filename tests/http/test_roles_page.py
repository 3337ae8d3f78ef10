"""docs/authentication.md shows what each role has; run this file to write its table anew."""

from __future__ import annotations

from pathlib import Path

from nizam.model.permissions import ROLES, permissions, role_permissions

PAGE = Path(__file__).parent.parent.parent / "docs" / "authentication.md"
START, END = "<!-- roles -->\n", "<!-- /roles -->"
READING = ("read", "explain", "plan")


def table() -> str:
    lines = ["| | " + " | ".join(f"`{role}`" for role in ROLES) + " |"]
    lines.append("|---" * (len(ROLES) + 1) + "|")
    for area in sorted({it.partition(":")[0] for it in permissions()}):
        cells = []
        for role in ROLES:
            actions = {
                action
                for held, _, action in (it.partition(":") for it in role_permissions(role))
                if held == area
            }
            kinds = {"r" if it in READING else "s" if it == "reveal" else "w" for it in actions}
            cells.append("".join(kind for kind in "rws" if kind in kinds))
        lines.append(f"| `{area}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_of_the_page_is_what_the_roles_have() -> None:
    text = PAGE.read_text()
    shown = text.partition(START)[2].partition(END)[0]
    assert shown == table(), f"run python {Path(__file__).name} to write it anew"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(START)
    PAGE.write_text(before + START + table() + END + rest.partition(END)[2])
