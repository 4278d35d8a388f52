{{/* Configuration of the Collectors: the files of services/gateway, and what is laid over them. The
     Collector merges its files in the order of their names. */}}

{{- define "headrace.gatewayFiles" -}}
10-gateway.yaml: |
  {{- .Files.Get "files/gateway.yaml" | nindent 2 }}
{{- if .Values.gateway.auth.secretName }}
20-auth-bearer.yaml: |
  {{- .Files.Get "files/auth-bearer.yaml" | nindent 2 }}
{{- end }}
{{- with include "headrace.gatewayKafka" . }}
30-kafka.yaml: |
  {{- . | nindent 2 }}
{{- end }}
{{- if .Values.gateway.tls.secretName }}
40-tls.yaml: |
  receivers:
    otlp:
      protocols:
        grpc:
          tls: &certificate
            cert_file: /etc/headrace/gateway-tls/tls.crt
            key_file: /etc/headrace/gateway-tls/tls.key
            reload_interval: 1h
        http:
          tls: *certificate
{{- end }}
{{- end -}}

{{/* TLS and SASL to Kafka, when there are any. */}}
{{- define "headrace.gatewayKafka" -}}
{{- $kafka := .Values.kafka -}}
{{- if or $kafka.tls.enabled $kafka.sasl.mechanism -}}
exporters:
  kafka:
    {{- if $kafka.tls.enabled }}
    tls:
      insecure: false
      {{- if $kafka.tls.ca.secretName }}
      ca_file: /etc/headrace/kafka-ca/ca.crt
      {{- end }}
      {{- if $kafka.tls.client.secretName }}
      cert_file: /etc/headrace/kafka-client/tls.crt
      key_file: /etc/headrace/kafka-client/tls.key
      {{- end }}
    {{- end }}
    {{- if $kafka.sasl.mechanism }}
    auth:
      sasl:
        mechanism: {{ $kafka.sasl.mechanism }}
        username: {{ $kafka.sasl.username | replace "$" "$$" | quote }}
        password: ${file:/etc/headrace/kafka-login/password}
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "headrace.gatewaySecrets" -}}
{{- include "headrace.kafkaVolumes" . }}
{{- with .Values.gateway.tls.secretName }}
- name: gateway-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "headrace.agentFiles" -}}
10-agent.yaml: |
  {{- .Files.Get "files/agent.yaml" | nindent 2 }}
{{- if or .Values.gateway.auth.secretName .Values.gateway.tls.secretName }}
20-gateway.yaml: |
  exporters:
    otlp/gateway:
      {{- if .Values.gateway.auth.secretName }}
      headers:
        authorization: Bearer ${env:HEADRACE_GATEWAY_TOKEN}
      {{- end }}
      {{- if .Values.gateway.tls.secretName }}
      tls:
        ca_file: /etc/headrace/gateway-ca/ca.crt
      {{- end }}
{{- end }}
{{- end -}}

{{- define "headrace.agentSecrets" -}}
{{- with .Values.gateway.tls.secretName }}
- name: gateway-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end -}}
