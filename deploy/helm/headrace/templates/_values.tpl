{{/* Arithmetic and formats. YAML's numbers reach a template as floats, which print with an exponent. */}}

{{- define "headrace.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else if kindIs "map" . -}}
{{- toJson . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* A quantity of processors as a number: 500m is 0.5. */}}
{{- define "headrace.cores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- divf (trimSuffix "m" $text | float64) 1000 -}}
{{- else -}}
{{- float64 $text -}}
{{- end -}}
{{- end -}}

{{/* (root, signal): rows per second that one writer is planned to take. */}}
{{- define "headrace.plannedRows" -}}
{{- $root := index . 0 -}}
{{- $writer := index $root.Values.writer (index . 1) -}}
{{- $cores := include "headrace.cores" $writer.resources.requests.cpu | float64 -}}
{{- mulf $root.Values.autoscaling.utilization $writer.measuredRowsPerSecondPerCore $cores | floor | int64 -}}
{{- end -}}

{{/* a:9000,b:9000;c:9000,d:9000 */}}
{{- define "headrace.shards" -}}
{{- $shards := list -}}
{{- range .Values.clickhouse.shards }}{{ $shards = append $shards (join "," .) }}{{ end -}}
{{- join ";" $shards -}}
{{- end -}}

{{/* The ports of endpoints, each once: (list of host:port, list of further ports). JSON. */}}
{{- define "headrace.ports" -}}
{{- $ports := list -}}
{{- range index . 0 }}{{ $ports = append $ports (regexReplaceAll "^.*:" . "" | int) }}{{ end -}}
{{- range index . 1 }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* librdkafka's settings: TLS, SASL, and what was given beside. */}}
{{- define "headrace.kafkaExtra" -}}
{{- $kafka := .Values.kafka -}}
{{- $extra := deepCopy $kafka.extra -}}
{{- if and $kafka.tls.enabled $kafka.sasl.mechanism }}{{ $_ := set $extra "security.protocol" "SASL_SSL" }}
{{- else if $kafka.tls.enabled }}{{ $_ := set $extra "security.protocol" "SSL" }}
{{- else if $kafka.sasl.mechanism }}{{ $_ := set $extra "security.protocol" "SASL_PLAINTEXT" }}{{ end -}}
{{- if $kafka.sasl.mechanism -}}
{{- $_ := set $extra "sasl.mechanism" $kafka.sasl.mechanism -}}
{{- $_ := set $extra "sasl.username" $kafka.sasl.username -}}
{{- end -}}
{{- if $kafka.tls.enabled -}}
{{- if $kafka.tls.ca.secretName }}{{ $_ := set $extra "ssl.ca.location" "/etc/headrace/kafka-ca/ca.crt" }}{{ end -}}
{{- if $kafka.tls.client.secretName -}}
{{- $_ := set $extra "ssl.certificate.location" "/etc/headrace/kafka-client/tls.crt" -}}
{{- $_ := set $extra "ssl.key.location" "/etc/headrace/kafka-client/tls.key" -}}
{{- end -}}
{{- end -}}
{{- if $extra }}{{ toJson $extra }}{{ end -}}
{{- end -}}

{{/* Where writers send spans of their own: agent, gateway, or nowhere. */}}
{{- define "headrace.ownSpansTarget" -}}
{{- if .Values.writer.ownSpans.enabled -}}
{{- if .Values.agent.enabled -}}
agent
{{- else if and .Values.gateway.enabled (not .Values.gateway.auth.secretName) (not .Values.gateway.tls.secretName) -}}
gateway
{{- else -}}
{{- fail "writer.ownSpans needs agent.enabled, or gateways without a token and TLS: writers send in plain text" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What every headrace command is told (docs/configuration.md), as a YAML map. */}}
{{- define "headrace.settings" -}}
{{- $values := .Values -}}
HEADRACE_KAFKA_BOOTSTRAP_SERVERS: {{ $values.kafka.bootstrapServers | quote }}
HEADRACE_KAFKA_GROUP_PREFIX: {{ $values.kafka.groupPrefix | quote }}
HEADRACE_KAFKA_GROUP_PROTOCOL: {{ $values.kafka.groupProtocol | quote }}
{{- with include "headrace.kafkaExtra" . }}
HEADRACE_KAFKA_EXTRA: {{ . | quote }}
{{- end }}
{{- if $values.kafka.sasl.mechanism }}
HEADRACE_KAFKA_PASSWORD_FILE: /etc/headrace/kafka-login/password
{{- end }}
HEADRACE_TOPIC_TRACES: {{ $values.kafka.topics.traces | quote }}
HEADRACE_TOPIC_METRICS: {{ $values.kafka.topics.metrics | quote }}
HEADRACE_TOPIC_LOGS: {{ $values.kafka.topics.logs | quote }}
HEADRACE_TOPIC_DLQ: {{ $values.kafka.topics.dlq | quote }}
HEADRACE_CLICKHOUSE_SHARDS: {{ include "headrace.shards" . | quote }}
HEADRACE_CLICKHOUSE_DATABASE: {{ $values.clickhouse.database | quote }}
HEADRACE_CLICKHOUSE_CLUSTER: {{ $values.clickhouse.cluster | quote }}
HEADRACE_CLICKHOUSE_TOPOLOGY: {{ $values.clickhouse.topology | quote }}
HEADRACE_CLICKHOUSE_USER: {{ $values.clickhouse.user | quote }}
HEADRACE_CLICKHOUSE_INSERT_QUORUM: {{ $values.clickhouse.insertQuorum | quote }}
{{- if $values.clickhouse.secretName }}
HEADRACE_CLICKHOUSE_PASSWORD_FILE: /etc/headrace/clickhouse-login/password
{{- end }}
{{- if $values.clickhouse.tls.enabled }}
HEADRACE_CLICKHOUSE_SECURE: "true"
{{- if $values.clickhouse.tls.ca.secretName }}
HEADRACE_CLICKHOUSE_CA_FILE: /etc/headrace/clickhouse-ca/ca.crt
{{- end }}
{{- end }}
HEADRACE_DRAIN_DEADLINE_S: {{ $values.writer.drainDeadlineSeconds | quote }}
HEADRACE_START_TIMEOUT_S: {{ $values.writer.startTimeoutSeconds | quote }}
{{- with include "headrace.ownSpansTarget" . }}
HEADRACE_TRACE_ENDPOINT: "{{ include "headrace.fullname" $ }}-{{ . }}.{{ $.Release.Namespace }}.svc:4317"
HEADRACE_TRACE_EVERY_S: {{ $values.writer.ownSpans.everySeconds | quote }}
{{- end }}
{{- with $values.writer.guardrails }}
{{- if .secretName }}
HEADRACE_GUARDRAILS_FILE: /etc/headrace/guardrails/{{ .rules }}
{{- if .hashKey }}
HEADRACE_GUARDRAILS_KEY_FILE: /etc/headrace/guardrails/{{ .hashKey }}
{{- end }}
{{- end }}
{{- end }}
# The image has the kernel; falling back to the slow decoder would hide that it does not load.
HEADRACE_DECODER: native
{{- range $name, $value := $values.writer.settings }}
HEADRACE_{{ upper $name }}: {{ include "headrace.scalar" $value | quote }}
{{- end }}
{{- end -}}
