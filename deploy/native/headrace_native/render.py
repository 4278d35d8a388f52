"""Configuration files of every component, from Jinja2 templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from headrace_native.layout import BROKER_MESSAGE_BYTES, MARKER, Layout
from headrace_native.spec import ROOT

TEMPLATES = Path(__file__).parent / "templates"


def ini(value: object) -> str:
    """A value inside double quotes in supervisord.conf, where % begins an expansion."""
    return str(value).replace("%", "%%").replace('"', '\\"')


def ini_word(word: str) -> str:
    """One argument of a command line in supervisord.conf."""
    return f'"{ini(word)}"' if any(c in word for c in " '\"*;") else ini(word)


def render(layout: Layout) -> dict[Path, str]:
    """Text of every configuration file by its path. Nothing is written."""
    # The files are INI, YAML and properties; XML gets only numbers and paths of ours.
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    jinja.filters |= {"ini": ini, "ini_word": ini_word}
    shared = {"layout": layout, "spec": layout.spec}
    components = layout.components
    conf = layout.conf
    files: dict[Path, str] = {}

    def add(path: Path, template: str, **values: object) -> None:
        files[path] = jinja.get_template(template).render(**shared, **values)

    for number in range(1, layout.spec.brokers + 1):
        name = f"kafka-{number}"
        add(
            conf / f"{name}.properties",
            "kafka.properties.j2",
            name=name,
            node=number,
            ports=components[name].ports,
            message_bytes=BROKER_MESSAGE_BYTES,
        )
    add(conf / "kafka-log4j2.properties", "kafka-log4j2.properties.j2")
    add(conf / "zoo.cfg", "zoo.cfg.j2", ports=components["zookeeper"].ports)
    for replica in layout.replicas:
        add(conf / f"{replica.name}.xml", "clickhouse.xml.j2", replica=replica)
    add(conf / "clickhouse-users.xml", "clickhouse-users.xml.j2")
    add(
        conf / "haproxy.cfg",
        "haproxy.cfg.j2",
        ports=components["haproxy"].ports,
        haproxy_socket=layout.socket.with_name(f"{layout.socket.stem}-haproxy.sock"),
    )
    add(
        conf / "prometheus.yml",
        "prometheus.yml.j2",
        ports=components["prometheus"].ports,
        rules=ROOT / "deploy" / "observability" / "prometheus" / "rules",
    )
    add(conf / "supervisord.conf", "supervisord.conf.j2", marker=MARKER)
    return files


def write(files: dict[Path, str]) -> set[Path]:
    """Write what differs from the disk; returns the paths of files that existed and changed."""
    changed = set()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else None
        if before == text:
            continue
        path.write_text(text)
        if before is not None:
            changed.add(path)
    return changed
