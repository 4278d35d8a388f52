"""The Helm chart's README, from the comments of its values.yaml."""
