"""Which strings need quotes in YAML? ``python -m`` records what sigs.k8s.io/yaml, the reader of Kubernetes, says."""
