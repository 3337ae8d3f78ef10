"""nginx and HAProxy as processes, with the configurations that deploy/ ships."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from nizam.embedded.process import free_port
from tests.deploy.files import tool

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
NAME = "nizam.example.com"
_CERTIFICATE = f"/etc/letsencrypt/live/{NAME}/fullchain.pem"
_KEY = f"/etc/letsencrypt/live/{NAME}/privkey.pem"
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    {temporary}
    include {folder}/instances.conf;
    include {folder}/nizam.conf;
}}
"""


@attrs.frozen
class Balancer:
    """A load balancer in front of instances, by its ports on this machine."""

    name: str
    http: int
    https: int
    folder: Path
    command: tuple[str, ...]

    @property
    def output(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.output"

    def start(self) -> subprocess.Popen[bytes]:
        """Run it."""
        with self.output.open("wb") as output:
            return subprocess.Popen(
                self.command, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a balancer, with the workers of nginx: they would outlive a master that is killed."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_certificate(folder: Path, days: float = 1) -> Path:
    """`nizam.pem` with a certificate for NAME and its key; both are beside it in files as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, SHA256())
    )
    certificate = made.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "fullchain.pem").write_bytes(certificate)
    (folder / "privkey.pem").write_bytes(private)
    (folder / "nizam.pem").write_bytes(certificate + private)
    return folder / "nizam.pem"


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client of the balancers believes."""
    return ssl.create_default_context(cafile=str(certificate.with_name("fullchain.pem")))


def nginx(folder: Path, instances: Sequence[int]) -> Balancer:
    """deploy/nginx in front of the ports `instances`; the certificate is in `folder`."""
    where = (DEPLOY / "nginx" / "instances.conf").read_text()
    return nginx_before(folder, _changed(where, _names(instances)))


def nginx_before(folder: Path, instances: str) -> Balancer:
    """deploy/nginx/nizam.conf in front of what `instances`, as an instances.conf, says."""
    http, https = free_port(), free_port()
    shipped = (DEPLOY / "nginx" / "nizam.conf").read_text()
    changes = {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        _CERTIFICATE: str(folder / "fullchain.pem"),
        _KEY: str(folder / "privkey.pem"),
        "/var/log/nginx/": f"{folder}/",
    }
    (folder / "nizam.conf").write_text(_changed(shipped, changes))
    (folder / "instances.conf").write_text(instances)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{it}_temp_path {folder}/{it};" for it in kinds)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, temporary=temporary))
    command = (tool("nginx", "nginx"), "-p", str(folder), "-e", str(folder / "error.log"))
    return Balancer("nginx", http, https, folder, (*command, "-c", str(folder / "nginx.conf")))


def haproxy(folder: Path, instances: Sequence[int]) -> Balancer:
    """deploy/haproxy/haproxy.cfg in front of the ports `instances`."""
    http, https = free_port(), free_port()
    shipped = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    changes = {
        "bind :80": f"bind 127.0.0.1:{http}",
        "bind :443": f"bind 127.0.0.1:{https}",
        "/etc/haproxy/nizam.pem": str(folder / "nizam.pem"),
        # As many as a test may have open files.
        "maxconn 20000": "maxconn 1000",
    } | _names(instances)
    (folder / "haproxy.cfg").write_text(_changed(shipped, changes))
    return Balancer(
        "haproxy",
        http,
        https,
        folder,
        (tool("haproxy", "haproxy"), "-db", "-f", str(folder / "haproxy.cfg")),
    )


def _names(instances: Sequence[int]) -> dict[str, str]:
    return {f"nizam-{it}:8080": f"127.0.0.1:{port}" for it, port in enumerate(instances, 1)}


def _changed(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, after)
    return text
