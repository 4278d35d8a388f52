"""The headrace cluster on one machine, without containers.

`cluster.toml` describes it, `spec` reads that, `layout` turns it into components, `render` writes
their configurations, supervisor runs them, `up` starts them in order and waits until each answers.
"""
