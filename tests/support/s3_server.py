"""An S3 server on the loopback interface: Versity's gateway, whose buckets are folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.child import Child, accepts, free_ports

BINARY = Path(__file__).resolve().parents[2] / ".cache" / "tools" / "versitygw"
ACCESS_KEY, SECRET_KEY = "headrace", "headrace-secret"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of a running server."""

    url: str
    """Ends in the bucket's name and a slash."""
    folder: Path

    def objects(self) -> dict[str, int]:
        """Key → bytes of every object, as the server has them on its disk."""
        return {
            str(file.relative_to(self.folder)): file.stat().st_size
            for file in self.folder.rglob("*")
            if file.is_file()
        }

    def disk_xml(self) -> str:
        """What a ClickHouse disk says to keep its data here."""
        return (
            f"<type>s3</type><endpoint>{self.url}clickhouse/</endpoint>"
            f"<access_key_id>{ACCESS_KEY}</access_key_id>"
            f"<secret_access_key>{SECRET_KEY}</secret_access_key>"
        )


@contextmanager
def s3_bucket(folder: Path, name: str = "cold") -> Iterator[Bucket]:
    """Run a server with one bucket; it refuses requests that are not signed with the key."""
    if not BINARY.exists():
        msg = f"{BINARY} is missing: bash deploy/native/setup/s3.sh"
        raise RuntimeError(msg)
    buckets, sidecar = folder / "buckets", folder / "sidecar"
    (buckets / name).mkdir(parents=True)
    sidecar.mkdir()
    (port,) = free_ports(1)
    # Beside the files, because not every file system has extended attributes.
    argv = [str(BINARY), "--port", f"127.0.0.1:{port}", "posix", "--sidecar", str(sidecar)]
    env = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with Child([*argv, str(buckets)], folder / "s3.log", cwd=folder, env=env) as child:
        child.wait_until(lambda: accepts(port))
        yield Bucket(f"http://127.0.0.1:{port}/{name}/", buckets / name)
