"""Which strings need quotes in YAML? What the reader of Kubernetes, sigs.k8s.io/yaml, says: ``python -m`` records it."""
