{{/* What pods share: the restricted profile, secrets as files, spreading. */}}

{{- define "headrace.podSecurity" -}}
automountServiceAccountToken: false
# The variables of service links would begin with HEADRACE_ and be taken for unknown settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "headrace.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* (root, component): over zones if it can be, over nodes if it can be; never a reason to wait. */}}
{{- define "headrace.spread" -}}
topologySpreadConstraints:
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "headrace.componentSelector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* Secrets as the files that headrace.settings names, keys renamed; 0440 for the group of the pod. */}}
{{- define "headrace.kafkaVolumes" -}}
{{- $kafka := .Values.kafka -}}
{{- if and $kafka.tls.enabled $kafka.tls.ca.secretName }}
- name: kafka-ca
  secret:
    secretName: {{ $kafka.tls.ca.secretName }}
    defaultMode: 0440
    items: [{key: {{ $kafka.tls.ca.key }}, path: ca.crt}]
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.client.secretName }}
- name: kafka-client
  secret:
    secretName: {{ $kafka.tls.client.secretName }}
    defaultMode: 0440
{{- end }}
{{- if $kafka.sasl.mechanism }}
- name: kafka-login
  secret:
    secretName: {{ $kafka.sasl.secretName }}
    defaultMode: 0440
    items: [{key: {{ $kafka.sasl.key }}, path: password}]
{{- end }}
{{- end -}}

{{- define "headrace.volumes" -}}
{{- include "headrace.kafkaVolumes" . }}
{{- $clickhouse := .Values.clickhouse }}
{{- if $clickhouse.secretName }}
- name: clickhouse-login
  secret:
    secretName: {{ $clickhouse.secretName }}
    defaultMode: 0440
    items: [{key: {{ $clickhouse.key }}, path: password}]
{{- end }}
{{- if and $clickhouse.tls.enabled $clickhouse.tls.ca.secretName }}
- name: clickhouse-ca
  secret:
    secretName: {{ $clickhouse.tls.ca.secretName }}
    defaultMode: 0440
    items: [{key: {{ $clickhouse.tls.ca.key }}, path: ca.crt}]
{{- end }}
{{- with .Values.writer.guardrails.secretName }}
- name: guardrails
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* A mount in /etc/headrace for each volume of a YAML list. */}}
{{- define "headrace.mounts" -}}
{{- range fromYamlArray . }}
- {name: {{ .name }}, mountPath: /etc/headrace/{{ .name }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* (root, name, arguments): a pod that runs one headrace command and ends. Values are written out,
     because before an install nothing else of the release exists. */}}
{{- define "headrace.commandPod" -}}
{{- $root := index . 0 -}}
{{- $volumes := include "headrace.volumes" $root -}}
restartPolicy: Never
serviceAccountName: {{ include "headrace.fullname" $root }}-job
{{ include "headrace.podSecurity" $root }}
containers:
  - name: {{ index . 1 }}
    image: {{ include "headrace.image" (list $root $root.Values.writer.image) }}
    imagePullPolicy: {{ $root.Values.writer.image.pullPolicy }}
    args: {{ toJson (index . 2) }}
    env:
      {{- range $name, $value := include "headrace.settings" $root | fromYaml }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    resources:
      requests: {cpu: 50m, memory: 128Mi}
      limits: {cpu: "1", memory: 512Mi}
    {{- include "headrace.containerSecurity" $root | nindent 4 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- include "headrace.mounts" $volumes | nindent 6 }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- $volumes | nindent 2 }}
{{- end -}}
