"""The commands of docs/ that put files in their places, make certificates and check what is there,
as they stand on their pages; a folder stands for the machine's root."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from tests.deploy.balancers import make_certificate, nginx_before
from tests.deploy.files import REPOSITORY, tool
from tests.deploy.kamailio import modules
from tests.page_commands import MACHINE, Part, parts_run_by

SECONDS = 60
PLACES = ("/etc/", "/usr/lib/", "/usr/local/", "/var/lib/", "/mnt/", "/opt/")
FOLDERS = (
    "etc/haproxy",
    "etc/kamailio",
    "etc/nginx/conf.d",
    "etc/freeswitch/tls",
    "etc/ssl/certs",
    "etc/systemd/system",
    "usr/local/bin",
    "opt",
)
"""What packages make when they are installed."""
CHECKOUT = ("deploy", "etc", "systemd")


def machine(folder: Path) -> Path:
    """A root with what the distribution brings, and a checkout beside it."""
    for it in FOLDERS:
        (folder / "root" / it).mkdir(parents=True)
    (folder / "root/etc/ssl/certs/ca-certificates.crt").write_text("")
    for it in CHECKOUT:
        shutil.copytree(REPOSITORY / it, folder / "checkout" / it)
    return folder / "root"


def here(text: str, root: Path) -> str:
    """A command with its absolute places below `root`, by this user alone."""
    for it in PLACES:
        text = re.sub(rf"(?<![\w.]){it}", f"{root}{it}", text)
    return re.sub(r" -[og] \w+", "", text) if text.startswith("install ") else text


def run(text: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def of_page(page: str) -> list[Part]:
    return [it for it in parts_run_by(MACHINE) if it.page == page]


PAGES = [page for page, _ in groupby(parts_run_by(MACHINE), key=lambda it: it.page)]


# -- what else a page takes for given, and with which changes it works here ------------------------


def nginx(root: Path) -> Callable[[str], str]:
    """Names, ports and the certificate are the operator's to change; the package has nginx.conf."""
    tool("nginx", "nginx")
    tool("haproxy", "haproxy")
    make_certificate(root)
    shutil.copy(root / "nizam.pem", root / "etc/haproxy/nizam.pem")

    def changed(text: str) -> str:
        if text == "nginx -t":
            installed = root / "etc/nginx/conf.d"
            # Names of machines that there are not here.
            instances = re.sub(r"nizam-\d", "127.0.0.1", (installed / "instances.conf").read_text())
            balancer = nginx_before(root, instances)
            shutil.copy(root / "nizam.conf", installed / "nizam.conf")
            return f"{' '.join(balancer.command)} -t"
        if text.startswith("haproxy "):
            file = root / "etc/haproxy/haproxy.cfg"
            file.write_text(re.sub(r"nizam-\d:", "127.0.0.1:", here(file.read_text(), root)))
        return text

    return changed


def kamailio(root: Path) -> Callable[[str], str]:
    """The addresses in local.cfg stay: nothing is opened by a check."""
    tool("kamailio", "kamailio")
    (root / "etc/kamailio/dispatcher.list").write_text("1 sip:192.0.2.1:5060 0 0 weight=50\n")

    def changed(text: str) -> str:
        for it in (root / "etc/kamailio").glob("*.cfg"):
            it.write_text(it.read_text().replace('"/etc/kamailio', f'"{root}/etc/kamailio'))
        return text.replace("kamailio -c", f"kamailio -c -L {modules()}", 1)

    return changed


def certificates(root: Path) -> Callable[[str], str]:
    """The files of a public authority, and a profile with TLS to look at."""
    tool("openssl", "openssl")
    checkout = root.parent / "checkout"
    for name in ("fullchain.pem", "privkey.pem"):
        (checkout / name).write_text(f"{name}\n")

    def changed(text: str) -> str:
        if "s_client" not in text:
            return text
        port = served(checkout / "agent.pem")
        where = f"localhost:{port} -servername sip.example.com -verify_hostname sip.example.com"
        return text.replace("sip.example.com:5061", where)

    return changed


def served(certificate: Path) -> int:
    """The port at which somebody shows this certificate, once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listening, listening.accept()[0] as one:
            one.settimeout(10)
            with context.wrap_socket(one, server_side=True) as spoken:
                # Until the client says goodbye: it takes another end for an error.
                while spoken.recv(1000):
                    pass

    threading.Thread(target=answer, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def plain(root: Path) -> Callable[[str], str]:
    return lambda text: text


PREPARE: dict[str, Callable[[Path], Callable[[str], str]]] = {
    "docs/load-balancing.md": nginx,
    "docs/several-switches.md": kamailio,
    "docs/sip-profiles.md": certificates,
}


@pytest.mark.time_limit(90)
@pytest.mark.parametrize("page", PAGES, ids=lambda it: Path(it).stem)
def test_what_is_pasted_from_a_page_is_done(page: str, tmp_path: Path) -> None:
    root = machine(tmp_path)
    changed = PREPARE.get(page, plain)(root)
    folder, said = tmp_path / "checkout", ""
    for part in of_page(page):
        if part.text.startswith("cd "):
            folder = folder / part.text.removeprefix("cd ")
            continue
        said += run(changed(here(part.text, root)), folder)
    if page == "docs/sip-profiles.md":
        assert re.search(r"New, TLSv1\.[23]", said)
        assert "Verify return code: 0 (ok)" in said
    if page == "docs/install.md":
        assert (root / "etc/nizam/nizam.toml").stat().st_mode & 0o777 == 0o640
        assert (root / "etc/systemd/system/nizam.service").exists()
        assert (root / "opt/nizam").readlink() == root / "opt/nizam-0.1.0"
    if page == "docs/containers.md":
        assert {it.name for it in (folder / "secrets").iterdir()} >= {"db_password", "secret_keys"}
