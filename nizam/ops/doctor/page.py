"""`docs/doctor.md`, written from the declarations of the checks.

`python -m nizam.ops.doctor.page`, run in the repository, writes it; a test checks that it is
current.
"""

from __future__ import annotations

from pathlib import Path

from nizam.ops.doctor import CHECKS
from nizam.ops.doctor.finding import Area

_HEAD = """\
# nizam doctor

Written from the declarations in `nizam/ops/doctor`. `nizam doctor` looks at everything that NIZAM
needs, from the machine that it runs on, says what is wrong, why it matters and how to mend it, and
changes nothing.

```sh
nizam doctor                        # all areas, side by side
nizam doctor --quiet                # what is not well alone
nizam doctor --only redis --only nodes
nizam doctor --json | jq '.findings[] | select(.severity == "failure")'
```

It takes the settings as the daemon does (`NIZAM_CONFIG` or `--config`, the environment, files of
secrets). Run it as the user nizam, or as root to see the limits of daemons of other users. Each
check has 10 s (`--deadline`). On a FreeSWITCH machine it reads that one's files too
(`--freeswitch-folder`); what a node on another machine has loaded it asks over the event socket.
Nodes are those of the settings and those of the API.

| ends with | when |
|---|---|
| 0 | all is well, or there are notes alone |
| 1 | there are warnings: something will cost you some day, or opens a door |
| 2 | there are failures: something does not work or is open now, or the settings are not valid |

Wrong usage ends with 2 too. A monitoring system can take it as it is: Nagios and Icinga read 0, 1
and 2 so.

With `--json` the output is one object; fields are added, never removed or changed:

| field | is |
|---|---|
| `status` | the worst severity: `ok`, `note`, `warning`, `failure` |
| `counts` | how many findings there are of each severity |
| `findings[].check` | the check's name, as below |
| `findings[].area` | its area |
| `findings[].subject` | what was looked at: a server, a setting, a file |
| `findings[].severity` | as in `status` |
| `findings[].detail` | what was seen; no secrets |
| `findings[].why`, `.mend` | why it matters, and how to mend it; null when it is well |

"""
_TITLES = {
    Area.CONFIGURATION: "The settings",
    Area.DATABASE: "PostgreSQL",
    Area.REDIS: "Redis",
    Area.NODES: "FreeSWITCH nodes",
    Area.FREESWITCH: "FreeSWITCH's configuration",
    Area.CLOCKS: "Clocks",
    Area.CERTIFICATES: "Certificates",
    Area.DISK: "Disks",
    Area.BACKUPS: "Backups",
    Area.PROCESS: "The daemon and its machine",
    Area.NAMES: "Names of hosts",
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for area in Area:
        parts.append(f"## {_TITLES[area]}: `--only {area}`\n\n")
        for it in CHECKS:
            if it.area is area:
                parts.append(
                    f"**`{it.name}`** ({it.worst.value} at worst): {it.looks_at}.\n"
                    f"Why: {it.why}\nMend: {it.mend}\n\n"
                )
    return "".join(parts).rstrip("\n") + "\n"


if __name__ == "__main__":
    Path("docs/doctor.md").write_text(page())
