# Writers, migrations, the headrace command and the load generator. From the repository's root:
#   docker build -f deploy/images/writer.Dockerfile -t headrace/writer .
# The defaults are those of deploy/compose/.env; a test holds them equal.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm

# The kernel, against Python's stable ABI of 3.11: the wheel fits any later Python, too.
FROM ${RUST_IMAGE} AS kernel
RUN apt-get update && apt-get install -qy --no-install-recommends python3-pip \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY services/kernel/Cargo.toml services/kernel/pyproject.toml ./
COPY services/kernel/src src
COPY services/kernel/python python
# pip brings the maturin that pyproject.toml pins.
RUN python3 -m pip wheel --disable-pip-version-check -q --no-deps -w /wheels .

# The rest, into a virtual environment of its own, which is all that the last stage takes.
FROM ${PYTHON_IMAGE} AS environment
WORKDIR /src
COPY pyproject.toml README.md ./
COPY services/writer services/writer
COPY schema schema
COPY loadgen loadgen
COPY --from=kernel /wheels /wheels
RUN python -m venv /opt/headrace \
  && /opt/headrace/bin/pip install --disable-pip-version-check -q --no-cache-dir /wheels/*.whl . \
  && /opt/headrace/bin/headrace --version \
  && /opt/headrace/bin/python -c 'import headrace_kernel'

FROM ${PYTHON_IMAGE}
COPY --from=environment /opt/headrace /opt/headrace
# The root is read-only where it runs: Python shall not try to write beside its modules.
ENV PATH=/opt/headrace/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
# /metrics, /live, /ready
EXPOSE 9464
ENTRYPOINT ["headrace"]
CMD ["write"]
