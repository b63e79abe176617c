"""What lies in a shared-memory region, ours or a server's, without touching it. Knows no session: see
docs/design/inspector.md.
"""
