"""Runs pip-audit over each lock file and says what is known, and what is not. See script/audit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKS = ("runtime", "embedded", "test", "build", "audit")
SECONDS = 300
FINE, VULNERABLE, UNKNOWN = 0, 1, 3
_REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def main(options: list[str]) -> int:
    """Audit every lock file; the worst that was found."""
    return worst([_audit(name, options) for name in LOCKS])


def worst(found: list[int]) -> int:
    """What the whole ends with: a vulnerability is worse than not to know."""
    return next((it for it in (VULNERABLE, UNKNOWN) if it in found), FINE)


def _audit(name: str, options: list[str]) -> int:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--progress-spinner", "off", "--format", "json", *options]
    command += ["--requirement", str(_REQUIREMENTS / f"{name}.lock")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        print(f"{name}.lock: no answer within {SECONDS} s: nothing is known")
        return UNKNOWN
    status, lines = judge(done.stdout, done.stderr)
    for line in lines:
        print(f"{name}.lock: {line}")
    return status


def judge(output: str, errors: str) -> tuple[int, list[str]]:
    """What a run of pip-audit says: how it ends, and lines for people."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        reason = errors.strip().splitlines()[-1:] or ["no reason was given"]
        return UNKNOWN, [f"the data cannot be had, so nothing is known: {reason[0]}"]
    lines = [
        f"{it['name']} {it['version']}: {found['id']}, mended in {_mended(found)}"
        for it in packages
        for found in it.get("vulns", ())
    ]
    silent = [it["name"] for it in packages if "skip_reason" in it]
    if silent:
        some = ", ".join(silent[:5]) + (", ..." if len(silent) > 5 else "")
        lines.append(f"nothing is known of {len(silent)} of {len(packages)} packages: {some}")
    vulnerable = any(it.get("vulns") for it in packages)
    if not lines:
        return FINE, [f"{len(packages)} packages, no known vulnerability"]
    return VULNERABLE if vulnerable else UNKNOWN, lines


def _mended(found: dict[str, Any]) -> str:
    return ", ".join(found["fix_versions"]) or "no version"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
